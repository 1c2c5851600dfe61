"""The report: sections of paragraphs, tables and plots, as a page of HTML that needs no other file, and as Markdown."""
import html as markup
import math
from dataclasses import dataclass, field

import figures
from figures import short

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 68em; padding: 0 1em; color: #222; }
table { border-collapse: collapse; margin: 1em 0; font-variant-numeric: tabular-nums; font-size: 13px; }
td, th { padding: .15em .6em; text-align: right; border-bottom: 1px solid #ddd; }
td:first-child, th:first-child { text-align: left; }
tr.strong td { font-weight: 600; border-top: 2px solid #888; }
.problem { color: #a00; }
svg text { font: 12px system-ui, sans-serif; fill: #222; }
"""
LEFT, WIDTH, BAR, TOP = 170, 640, 9, 26


@dataclass
class Table:
    heading: list
    lines: list  # of lists of cells: text, numbers or None
    strong: list = field(default_factory=list)  # lines below: means


@dataclass
class Plot:
    """Bars from 1 on a logarithmic axis: {label: {series: figures.Ratio or None}}."""
    title: str
    bars: dict
    colours: dict  # series -> colour


@dataclass
class Part:
    title: str
    paragraphs: list
    items: list = field(default_factory=list)  # Tables and Plots


def cell(value):
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(value)
    return short(value)


# --- plots

def axis(low, high, height):
    parts = []
    for tick in (m * 10.0 ** e for e in range(-4, 7) for m in (1, 2, 5)):
        if low <= tick <= high:
            x = place(tick, low, high)
            parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{height}" stroke="{"#444" if tick == 1 else "#ddd"}"/>'
                         f'<text x="{x:.1f}" y="{TOP - 12}" text-anchor="middle">{tick:g}</text>')
    return "".join(parts)


def place(value, low, high):
    share = (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
    return LEFT + WIDTH * min(1.0, max(0.0, share))


def svg(plot):
    ratios = [r for bars in plot.bars.values() for r in bars.values() if r]
    if not ratios:
        return ""
    low, high = min(0.8, 0.8 * min(r.least for r in ratios)), max(2.0, 1.25 * max(r.most for r in ratios))
    step = BAR * len(plot.colours) + 8
    height = TOP + step * len(plot.bars) + 4
    parts = [axis(low, high, height)]
    for row, (label, bars) in enumerate(plot.bars.items()):
        y = TOP + step * row
        parts.append(f'<text x="{LEFT - 8}" y="{y + step / 2 + 2:.0f}" text-anchor="end">{markup.escape(label)}</text>')
        for i, (series, colour) in enumerate(plot.colours.items()):
            ratio = bars.get(series)
            if not ratio:
                continue
            start, end = sorted((place(1, low, high), place(ratio.value, low, high)))
            least, most = place(ratio.least, low, high), place(ratio.most, low, high)
            top = y + 2 + i * BAR
            parts.append(f'<rect x="{start:.1f}" y="{top}" width="{max(end - start, 0.5):.1f}" height="{BAR - 1}" fill="{colour}">'
                         f'<title>{markup.escape(f"{label}, {series}: {ratio.value:.2f} ({ratio.least:.2f} to {ratio.most:.2f})")}</title></rect>'
                         f'<line x1="{least:.1f}" x2="{most:.1f}" y1="{top + BAR / 2}" y2="{top + BAR / 2}" stroke="#222"/>')
    legend = " ".join(f'<span style="color:{c}">&#9632; {markup.escape(s)}</span>' for s, c in plot.colours.items())
    return (f"<p>{markup.escape(plot.title)}: {legend}</p>"
            f'<svg viewBox="0 0 {LEFT + WIDTH + 20} {height}" width="100%" role="img">' + "".join(parts) + "</svg>")


# --- the two forms

def html_table(table):
    def line(cells, tag, attribute=""):
        return f"<tr{attribute}>" + "".join(f"<{tag}>{markup.escape(cell(c))}</{tag}>" for c in cells) + "</tr>"

    return ("<table>" + line(table.heading, "th") + "".join(line(cells, "td") for cells in table.lines)
            + "".join(line(cells, "td", ' class="strong"') for cells in table.strong) + "</table>")


def html(title, lead, parts, problems):
    out = [f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{markup.escape(title)}</title>'
           f"<style>{STYLE}</style></head><body><h1>{markup.escape(title)}</h1>"]
    out += [f"<p>{markup.escape(text)}</p>" for text in lead]
    out += [f'<p class="problem">{markup.escape(text)}</p>' for text in problems]
    for part in parts:
        out.append(f"<h2>{markup.escape(part.title)}</h2>")
        out += [f"<p>{markup.escape(text)}</p>" for text in part.paragraphs]
        out += [html_table(item) if isinstance(item, Table) else svg(item) for item in part.items]
    return "".join(out) + "</body></html>\n"


def markdown_table(table):
    def line(cells):
        return "| " + " | ".join(cell(c).replace("|", "\\|") for c in cells) + " |"

    strong = [[f"**{cell(c)}**" if cell(c) else "" for c in cells] for cells in table.strong]
    rule = "| " + " | ".join(["---"] + ["---:"] * (len(table.heading) - 1)) + " |"
    return "\n".join([line(table.heading), rule, *map(line, table.lines), *map(line, strong)])


def markdown(title, lead, parts, problems):
    out = [f"# {title}", *lead]
    if problems:
        out.append("Problems:\n\n" + "\n".join(f"- {text}" for text in problems))
    for part in parts:
        out += [f"## {part.title}", *part.paragraphs]
        out += [markdown_table(item) for item in part.items if isinstance(item, Table)]
    return "\n\n".join(out) + "\n"


# --- what several sections make

def ratio_text(ratio):
    return f"{ratio.value:.2f} ({ratio.least:.2f}-{ratio.most:.2f})" if ratio else None


def mean(ratios):
    return figures.geometric_mean(r.value for r in ratios if r)
