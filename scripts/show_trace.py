#!/usr/bin/env python3
"""Reads what `armvisor run --trace` wrote and shows the blocks at the given guest addresses (all without any), with the
host code disassembled by objdump."""
import argparse
import subprocess
import sys
import tempfile


def disassembled(line):
    _, address, code = line.split()
    with tempfile.NamedTemporaryFile() as file:
        file.write(bytes.fromhex(code))
        file.flush()
        text = subprocess.run(["objdump", "-D", "-b", "binary", "-m", "i386:x86-64", "-M", "intel", "--no-show-raw-insn",
                               f"--adjust-vma=0x{address}", file.name], capture_output=True, text=True, check=True).stdout
    return "".join(part + "\n" for part in text.splitlines() if part.startswith(" "))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trace", help="file with the standard error of the run")
    parser.add_argument("address", nargs="*", help="guest address of a block, hexadecimal")
    arguments = parser.parse_args()
    wanted = {int(a, 16) for a in arguments.address}
    showing = False
    with open(arguments.trace, errors="replace") as trace:
        for line in trace:
            if line.startswith("translated "):
                showing = not wanted or int(line.split()[1], 16) in wanted
            if showing:
                sys.stdout.write(disassembled(line) if line.startswith("host ") else line)


if __name__ == "__main__":
    main()
