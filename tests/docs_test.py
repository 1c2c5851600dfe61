"""The guide names every option and every exit status of the program's tables, and no others."""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def table(name):
    return (ROOT / "src" / "cli" / name).read_text()


def main():
    guide = (ROOT / "docs" / "guide.md").read_text()
    options = {n for names in re.findall(r'^(?:TEXT|LIST|FLAG)\(\w+,\s*"([^"]+)"', table("options.inc"), re.MULTILINE)
               for n in names.split(",")}
    rows = re.search(r"^## Options\n(.*?)^## ", guide, re.MULTILINE | re.DOTALL)[1]
    described = {n for row in re.findall(r"^\| (`-[^|]*) \|", rows, re.MULTILINE) for n in re.findall(r"`(-[-\w]+)", row)}
    statuses = set(re.findall(r"^STATUS\(\w+,\s*(\d+)", table("exit_status.inc"), re.MULTILINE))
    rows = re.search(r"^## Exit statuses\n(.*?)^## ", guide, re.MULTILINE | re.DOTALL)[1]
    numbers = set(re.findall(r"^\| (\d+) \|", rows, re.MULTILINE))
    wrong = [f"docs/guide.md: expected a row for {x}" for x in sorted((options - described) | (statuses - numbers))]
    wrong += [f"docs/guide.md: there is no {x}" for x in sorted((described - options) | (numbers - statuses))]
    print("\n".join(wrong))
    return 1 if wrong or not options or not statuses else 0


if __name__ == "__main__":
    sys.exit(main())
