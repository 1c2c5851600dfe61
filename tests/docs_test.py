"""The documents name every option, exit status, counter, step of a request and hypercall of the program's tables, and no
others; links lead somewhere; files and symbols in code spans are there."""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def table(name):
    return (ROOT / "src" / name).read_text()


def section(document, title):
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", (ROOT / "docs" / document).read_text(), re.MULTILINE | re.DOTALL)[1]


def compare(document, wanted, found):
    """Complaints about what is missing in a document or too much."""
    if not wanted:
        return [f"{document}: its table is empty"]
    return ([f"{document}: expected a row for {x}" for x in sorted(wanted - found)] +
            [f"{document}: there is no {x}" for x in sorted(found - wanted)])


def counters():
    rows = re.findall(r'^(?:COUNTER|TOTAL|LEVEL)\(\w+,\s*(\w+),\s*"([^"]+)"', table("measure/counters.inc"), re.MULTILINE)
    described = re.findall(r"^\| `([\w.-]+)` \|", section("virtualization.md", "Counters"), re.MULTILINE)
    return compare("docs/virtualization.md", {f"{group.lower()}.{name}" for group, name in rows}, set(described))


def hypercalls():
    rows = re.findall(r"^HYPERCALL\((\w+),\s*(\d+)", table("machine/hypercalls.inc"), re.MULTILINE)
    described = re.findall(r"^\| 0x8600(\w{4}) \| (\w+) \|", section("hypercalls.md", "Calls"), re.MULTILINE)
    return compare("docs/hypercalls.md", {f"{int(number):04x} {name}" for name, number in rows},
                   {f"{number} {name}" for number, name in described})


def cost_model():
    loops = re.findall(r'^ +\{"([\w.-]+)",', table("vmm/calibration_loops.cpp"), re.MULTILINE)
    described = re.findall(r"^\| `([\w.-]+)` \|", section("cost-model.md", "Calibration"), re.MULTILINE)
    wrong = compare("docs/cost-model.md", set(loops), set(described))
    names = re.findall(r'^WHAT_IF\("([^"]+)"', table("measure/what_if.inc"), re.MULTILINE)
    described = re.findall(r"^\| `([\w.-]+)` \|", section("cost-model.md", "What if"), re.MULTILINE)
    return wrong + compare("docs/cost-model.md", set(names), set(described))


def requests():
    wrong = []
    for table_name, title, pattern in (("measure/steps.inc", "Steps", r'^STEP\(\w+,\s*"([\w-]+)"'),
                                       ("devices/io_options.inc", "What makes it short", r'^IO\(\w+,\s*"([\w-]+)"')):
        names = re.findall(pattern, table(table_name), re.MULTILINE)
        described = re.findall(r"^\| `([\w-]+)` \|", section("io.md", title), re.MULTILINE)
        wrong += compare("docs/io.md", set(names), set(described))
    return wrong


def memory_map():
    rows = section("guide.md", "The machine that the guest sees")
    described = {int(a, 16) for row in re.findall(r"^\| (0x[^|]*) \|", rows, re.MULTILINE) for a in row.split(", ")}
    there = {int(a.replace("'", ""), 0) for a in re.findall(r"GuestPa\(([\da-fx']+)\)", table("machine/virt.h"))}
    return compare("docs/guide.md", {f"{a:#010x}" for a in there}, {f"{a:#010x}" for a in described})


def bounds():
    """Every bound on what a guest can make the host hold names a test that there is."""
    sources = "".join(f.read_text() for d in ("tests/unit", "fuzz", "tests/exec") for f in (ROOT / d).glob("*.[ctp]*"))
    wrong = []
    for row in re.findall(r"^\| [^|]+ \| [^|]+ \| [^|]+ \| ([^|]*) \|$", section("security.md", "What it can make the host hold"),
                          re.MULTILINE)[1:]:
        for name in re.findall(r"`([^`]+)`", row):
            if not re.search(rf"\b{re.escape(name.rstrip('*'))}", sources + " ".join(f.name for f in (ROOT / "fuzz").iterdir())):
                wrong.append(f"docs/security.md: there is no test {name}")
    return wrong


def exec_statuses():
    there = set(re.findall(r"^EXEC_STATUS\(\w+,\s*(\d+)", table("exec/outcomes.inc"), re.MULTILINE))
    return compare("docs/exec.md", there, set(re.findall(r"^\| (\d+) \|", section("exec.md", "Exit status of exec"), re.MULTILINE)))


def documents():
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def anchors(text):
    """As web front ends make them of headings."""
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


def links():
    wrong = []
    for document in documents():
        for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", document.read_text()):
            if "://" in target:
                continue
            file = document.parent / target if target else document
            if not file.exists():
                wrong.append(f"{document.relative_to(ROOT)}: there is no {target}")
            elif anchor and anchor not in anchors(file.read_text()):
                wrong.append(f"{document.relative_to(ROOT)}: {target} has no heading #{anchor}")
    return wrong


def expand(path):
    """a/{b,c}.d as a/b.d and a/c.d"""
    match = re.match(r"(.*)\{([^}]*)\}(.*)", path)
    return [match[1] + x + match[3] for x in match[2].split(",")] if match else [path]


def names():
    """Files and symbols in code spans are there. (Decisions are of their time, and need not.)"""
    sources = "\n".join(f.read_text() for d in ("src", "tests", "fuzz", "scripts", "bench", "guest")
                        for f in (ROOT / d).rglob("*") if f.suffix in (".h", ".cpp", ".inc", ".c", ".py", ".S"))
    words = set(re.findall(r"\w+", sources))
    wrong = []
    for document in documents():
        if "decisions" in document.parts:
            continue
        for span in re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)):
            where = document.relative_to(ROOT)
            if re.fullmatch(r"[\w{},-]+(/[\w{},-]+)+\.(h|cpp|inc|py|c|S|md|txt)", span):
                for path in expand(span):
                    if not (ROOT / path).exists() and not (ROOT / "src" / path).exists():
                        wrong.append(f"{where}: there is no file {path}")
            elif re.fullmatch(r"k_\w+|\w+(::\w+)+(\(\))?", span):
                missing = [w for w in re.findall(r"\w+", span) if w not in words]
                wrong += [f"{where}: there is no {w} ({span})" for w in missing]
    return wrong


def main():
    guide = (ROOT / "docs" / "guide.md").read_text()
    options = {n for names in re.findall(r'^(?:TEXT|LIST|FLAG|FORM)\(\w+,\s*"([^"]+)"', table("cli/options.inc"), re.MULTILINE)
               for n in names.split(",")}
    rows = re.search(r"^## Options\n(.*?)^## ", guide, re.MULTILINE | re.DOTALL)[1]
    described = {n for row in re.findall(r"^\| (`-[^|]*) \|", rows, re.MULTILINE) for n in re.findall(r"`(-[-\w]+)", row)}
    statuses = set(re.findall(r"^STATUS\(\w+,\s*(\d+)", table("cli/exit_status.inc"), re.MULTILINE))
    rows = re.search(r"^## Exit statuses\n(.*?)^## ", guide, re.MULTILINE | re.DOTALL)[1]
    numbers = set(re.findall(r"^\| (\d+) \|", rows, re.MULTILINE))
    wrong = compare("docs/guide.md", options, described) + compare("docs/guide.md", statuses, numbers)
    wrong += memory_map() + counters() + hypercalls() + cost_model() + requests() + exec_statuses() + bounds() + links() + names()
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
