"""Command lines of qemu-system-arm that people use (command_lines.tsv), and what armvisor makes of each.

  lines.py --update ARMVISOR    writes what is expected of each line, and the page docs/qemu-command-lines.md
"""
import json
import re
import shlex
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
DATA = HERE / "command_lines.tsv"
PAGE = HERE.parent.parent / "docs" / "qemu-command-lines.md"

# What stands for what the authors' scripts fill in.
FILLED_IN = {"$GUEST_CORES": "2", "${GUEST_RAM}": "512", "$kernel": "zImage", "$image": "image.img", "$configimage": "config.img",
             "$VM_CPUS": "2", "$VM_MEM": "512", "$cloud_config": "config.qcow2", "$VM_SSH_PORT": "2222", "$(nproc)": "2",
             "$KERNEL_PATH": "vmlinuz", " $QEMU_EXTRA": "", "<QEMU_PATH>": "/usr", "-m MEM": "-m 512"}


@dataclass
class Line:
    source: str
    expected: str  # "runs", or "refused: " and the options that are
    text: str

    def words(self):
        text = self.text
        for name, value in FILLED_IN.items():
            text = text.replace(name, value)
        return shlex.split(text)[1:]


def read():
    rows = [row.split("\t") for row in DATA.read_text().splitlines()]
    assert rows[0] == ["source", "expected", "command line"], rows[0]
    return [Line(*row) for row in rows[1:]]


def explain(armvisor, words, folder):
    """The program's own account of a line, none of whose files exists."""
    process = subprocess.run([armvisor, "qemu", "--explain", *words], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True,
                             text=True, timeout=60)
    account = json.loads(process.stdout)
    assert process.returncode == (0 if account["outcome"] == "runs" else 1), process
    return account


def outcome(account):
    refused = [o["option"] for o in account["options"] if o["fate"] == "refused"]
    return "refused: " + "; ".join(refused) if refused else "runs"


def cell(text):
    return re.sub(r"\s+", " ", text).replace("|", "\\|")


def reasons(account):
    """Why a line is refused; of one that runs, what is done in another way, and what is left out."""
    fates = ["refused"] if account["outcome"] == "refused" else ["clamped", "ignored"]
    parts = []
    for fate in fates:
        for o in account["options"]:
            if o["fate"] == fate:
                became = f" becomes {o['became']}:" if fate == "clamped" else ""
                parts.append(f"`{cell(o['option'])}`{became} {o['why']}")
    return cell("; ".join(dict.fromkeys(parts)))


def page(lines, accounts):
    count = Counter(account["outcome"] for account in accounts)
    text = f"""# What becomes of people's command lines of qemu-system-arm

{len(lines)} lines for QEMU's board `virt`, found in public files ([tests/qemu/command_lines.tsv](../tests/qemu/command_lines.tsv)
has them in full), and what `armvisor qemu` makes of each: {count["runs"]} run, {count["refused"]} are refused. Of those that
run, the table says what is done in another way and what is left out since it changes nothing; of the others, why. How a
line is read is in [qemu.md](qemu.md). `tests/qemu/lines.py --update ARMVISOR` writes this page.

| | source | outcome | what and why |
| --- | --- | --- | --- |
"""
    for number, (line, account) in enumerate(zip(lines, accounts), 1):
        text += f"| {number} | {cell(line.source)} | {account['outcome']} | {reasons(account)} |\n"
    return text


def accounts_of(armvisor, lines):
    with tempfile.TemporaryDirectory() as folder:
        return [explain(armvisor, line.words(), folder) for line in lines]


def main():
    assert sys.argv[1] == "--update", __doc__
    lines = read()
    accounts = accounts_of(str(Path(sys.argv[2]).resolve()), lines)
    rows = [f"{line.source}\t{outcome(account)}\t{line.text}\n" for line, account in zip(lines, accounts)]
    DATA.write_text("source\texpected\tcommand line\n" + "".join(rows))
    PAGE.write_text(page(lines, accounts))
    print(Counter(account["outcome"] for account in accounts))


if __name__ == "__main__":
    main()
