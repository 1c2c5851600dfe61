"""What a comparison prints: text, JSON (the dictionary that `result` makes), and a page of HTML with plots."""
import html as markup
import math

import figures
import rows
from figures import short

SPEEDUPS = ("parallel", "locks")


def ratio_entry(ratio):
    return ratio and {"value": ratio.value, "least": ratio.least, "most": ratio.most}


def row_entry(row, samples):
    """One row: each machine's samples and summary, armvisor against QEMU, and each machine against the host."""
    entry = {"key": row.key, "name": row.name, "group": row.group, "unit": row.unit,
             "higher_is_better": row.higher_is_better, "machines": {}, "ratio": None, "slowdown": {}}
    for machine, values in samples.items():
        s = figures.summary(values)
        entry["machines"][machine] = {"median": s.median, "least": s.least, "most": s.most, "samples": values}
    if row.compared:
        entry["ratio"] = ratio_entry(figures.ratio(samples.get("armvisor"), samples.get("qemu"), row.higher_is_better))
    for machine in ("armvisor", "qemu"):
        slowdown = figures.ratio(samples.get("native"), samples.get(machine), row.higher_is_better)
        if slowdown:
            entry["slowdown"][machine] = ratio_entry(slowdown)
    return entry


def group_entry(entries):
    """Geometric means over a group's rows, and its worst row."""
    ratios = [(e["ratio"]["value"], e["name"]) for e in entries if e["ratio"]]
    group = {"ratio": figures.geometric_mean(v for v, _ in ratios), "worst": None, "slowdown": {}}
    if ratios:
        value, name = min(ratios)
        group["worst"] = {"name": name, "ratio": value}
    for machine in ("armvisor", "qemu"):
        slowdowns = [e["slowdown"][machine]["value"] for e in entries if machine in e["slowdown"]]
        group["slowdown"][machine] = figures.geometric_mean(slowdowns)
    return group


def speedups(entries):
    """How many times faster a parallel load is with more virtual CPUs (or threads, natively) than with one."""
    medians = {e["name"]: {m: d["median"] for m, d in e["machines"].items()} for e in entries}
    found = []
    for load in SPEEDUPS:
        one = medians.get(f"{load}-1", {})
        for cpus in (2, 4):
            many = medians.get(f"{load}-{cpus}", {})
            values = {m: one[m] / many[m] for m in one if m in many and many[m] > 0}
            if values:
                found.append({"load": load, "cpus": cpus, "speedup": values})
    return found


def result(selected, samples, versions, host, repeats, problems):
    entries = [row_entry(row, samples[row.key]) for row in selected]
    groups = {}
    for name in rows.GROUPS:
        members = [e for e in entries if e["group"] == name]
        if members:
            groups[name] = group_entry(members)
    programs = [e for e in entries if e["group"] in ("integer", "float", "simd")]
    return {"versions": versions, "host": host, "repeats": repeats, "rows": entries, "groups": groups,
            "programs": group_entry(programs) if programs else None,
            "float_and_simd": group_entry([e for e in programs if e["group"] != "integer"]) if programs else None,
            "speedups": speedups(entries), "problems": problems}


# --- text

HEADINGS = ["row", "unit", "QEMU", "armvisor", "times better", "range", "native", "QEMU slowdown", "armvisor slowdown"]


def cells(entry):
    def median(machine):
        of = entry["machines"].get(machine)
        return short(of["median"]) if of else ""

    ratio = entry["ratio"]
    return [entry["name"], entry["unit"], median("qemu"), median("armvisor"),
            f"{ratio['value']:.2f}" if ratio else "", f"{ratio['least']:.2f}-{ratio['most']:.2f}" if ratio else "",
            median("native")] + [
                f"{entry['slowdown'][m]['value']:.2f}" if m in entry["slowdown"] else "" for m in ("qemu", "armvisor")]


def group_cells(group):
    slowdown = [f"{group['slowdown'][m]:.2f}" if group["slowdown"][m] else "" for m in ("qemu", "armvisor")]
    return ["geometric mean", "", "", "", f"{group['ratio']:.2f}" if group["ratio"] else "", "", "", *slowdown]


def worst_text(group):
    return f"worst: {group['worst']['name']}, {group['worst']['ratio']:.2f}" if group["worst"] else ""


def table(lines):
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(cell.ljust(w) if i < 2 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths)))
                     .rstrip() for line in lines)


def averaged(group):
    """Whether a geometric mean over the rows of this group says anything."""
    return group in ("integer", "float", "simd", "lmbench", "boot")


def speedup_text(entry):
    values = ", ".join(f"{machine} {value:.2f}" for machine, value in sorted(entry["speedup"].items()))
    return f"{entry['load']} load, {entry['cpus']} CPUs against 1: {values}"


def summary_lines(result):
    lines = []
    for title, key in (("all programs", "programs"), ("floating point and SIMD", "float_and_simd")):
        group = result[key]
        if group and group["ratio"]:
            lines.append(f"{title}: geometric mean {group['ratio']:.2f} times QEMU; {worst_text(group)}")
        if group and group["slowdown"]["armvisor"] and key == "programs":
            qemu = group["slowdown"]["qemu"]
            lines.append(f"{title}: slowdown against native: armvisor {group['slowdown']['armvisor']:.2f}"
                         + (f", QEMU {qemu:.2f}" if qemu else ""))
    return lines + [speedup_text(entry) for entry in result["speedups"]]


def host_text(result):
    host = result["host"]
    return (f"{host['cpu']}, {host['cores']} cores, Linux {host['kernel']}, load {host['load']:.1f} before; "
            f"medians of {result['repeats']}")


def text(result):
    out = ["; ".join(result["versions"].values()), f"host: {host_text(result)}"]
    for name, group in result["groups"].items():
        members = [e for e in result["rows"] if e["group"] == name]
        lines = [HEADINGS] + [cells(e) for e in members]
        if averaged(name):
            lines.append(group_cells(group))
        out += ["", rows.GROUPS[name] + (f" ({worst_text(group)})" if group["worst"] and averaged(name) else ""),
                table(lines)]
    out += [""] + summary_lines(result)
    out += [f"PROBLEM: {problem}" for problem in result["problems"]]
    return "\n".join(out)


# --- HTML

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 62em; padding: 0 1em; color: #222; }
table { border-collapse: collapse; margin: 1em 0; font-variant-numeric: tabular-nums; }
td, th { padding: .15em .7em; text-align: right; border-bottom: 1px solid #ddd; }
td:nth-child(-n+2), th:nth-child(-n+2) { text-align: left; }
tr.mean td { font-weight: 600; border-top: 2px solid #888; }
.problem { color: #a00; }
svg text { font: 12px system-ui, sans-serif; fill: #222; }
"""
PLOT = {"left": 150, "width": 640, "line": 22, "top": 26}


def position(value, low, high):
    """Where a value stands on the logarithmic axis."""
    share = (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
    return PLOT["left"] + PLOT["width"] * min(1, max(0, share))


def ticks(low, high):
    candidates = [m * 10.0 ** e for e in range(-3, 6) for m in (1, 2, 5)]
    return [c for c in candidates if low <= c <= high]


def axis(low, high, height):
    parts = []
    for tick in ticks(low, high):
        x = position(tick, low, high)
        colour = "#444" if tick == 1 else "#ddd"
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{PLOT["top"] - 6}" y2="{height}" stroke="{colour}"/>'
                     f'<text x="{x:.1f}" y="{PLOT["top"] - 12}" text-anchor="middle">{tick:g}</text>')
    return "".join(parts)


def plot(bars, colours):
    """Horizontal bars from 1 on a logarithmic axis: (label, [(value, least, most), ...]), one value per colour."""
    values = [v for _, series in bars for item in series if item for v in item]
    low, high = min(0.8, min(values) * 0.8), max(2.0, max(values) * 1.25)
    height = PLOT["top"] + PLOT["line"] * len(bars) + 6
    parts = [axis(low, high, height)]
    thickness = (PLOT["line"] - 6) / len(colours)
    for row, (label, series) in enumerate(bars):
        y = PLOT["top"] + PLOT["line"] * row
        parts.append(f'<text x="{PLOT["left"] - 8}" y="{y + 14}" text-anchor="end">{markup.escape(label)}</text>')
        for i, (item, colour) in enumerate(zip(series, colours)):
            if not item:
                continue
            start, end = sorted((position(1, low, high), position(item[0], low, high)))
            least, most = (position(v, low, high) for v in item[1:])
            top, middle = y + 2 + i * thickness, y + 2 + (i + 0.5) * thickness
            parts.append(f'<rect x="{start:.1f}" y="{top:.1f}" width="{end - start:.1f}" height="{thickness - 1:.1f}" fill="{colour}">'
                         f'<title>{markup.escape(label)}: {item[0]:.2f} ({item[1]:.2f} to {item[2]:.2f})</title></rect>'
                         f'<line x1="{least:.1f}" x2="{most:.1f}" y1="{middle:.1f}" y2="{middle:.1f}" stroke="#222"/>')
    return (f'<svg viewBox="0 0 {PLOT["left"] + PLOT["width"] + 20} {height}" width="100%" role="img">'
            + "".join(parts) + "</svg>")


def triple(ratio):
    return ratio and (ratio["value"], ratio["least"], ratio["most"])


def html_table(lines, mean):
    out = ["<table><tr>" + "".join(f"<th>{markup.escape(h)}</th>" for h in HEADINGS) + "</tr>"]
    for line in lines:
        out.append("<tr>" + "".join(f"<td>{markup.escape(c)}</td>" for c in line) + "</tr>")
    if mean:
        out.append('<tr class="mean">' + "".join(f"<td>{markup.escape(c)}</td>" for c in mean) + "</tr>")
    return "".join(out + ["</table>"])


def html_group(result, name, group):
    members = [e for e in result["rows"] if e["group"] == name]
    parts = [f"<h2>{markup.escape(rows.GROUPS[name])}</h2>"]
    compared = [(e["name"], [triple(e["ratio"])]) for e in members if e["ratio"]]
    if compared:
        parts += [f"<p>Times better than QEMU (line: range over the repetitions). {markup.escape(worst_text(group))}</p>",
                  plot(compared, ["#2a7de1"])]
    slowed = [(e["name"], [triple(e["slowdown"].get(m)) for m in ("qemu", "armvisor")]) for e in members if e["slowdown"]]
    if slowed:
        parts += ["<p>Slowdown against the host itself: QEMU orange, armvisor blue.</p>",
                  plot(slowed, ["#e08a2a", "#2a7de1"])]
    parts.append(html_table([cells(e) for e in members], group_cells(group) if averaged(name) else None))
    return "".join(parts)


def html(result):
    out = ['<!doctype html><html lang="en"><head><meta charset="utf-8"><title>armvisor and QEMU</title>',
           f"<style>{STYLE}</style></head><body><h1>armvisor and QEMU</h1>",
           "<p>" + markup.escape("; ".join(result["versions"].values())) + "<br>"
           + markup.escape(host_text(result))
           + "</p><ul>"]
    out += [f"<li>{markup.escape(line)}</li>" for line in summary_lines(result)]
    out += [f'<li class="problem">{markup.escape(problem)}</li>' for problem in result["problems"]]
    out.append("</ul>")
    out += [html_group(result, name, group) for name, group in result["groups"].items()]
    return "".join(out + ["</body></html>\n"])
