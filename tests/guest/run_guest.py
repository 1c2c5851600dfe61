#!/usr/bin/env python3
"""Runs a bare-metal test program and judges what it prints.

Passes when armvisor ends with the expected status, the program printed "done: all ok" as its last line and no line begins with FAIL.
"""
import argparse
import subprocess
import sys
import tempfile


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--armvisor", required=True, help="the armvisor program")
    parser.add_argument("--kernel", required=True, help="ELF file of the test program")
    parser.add_argument("--cpus", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=60, help="seconds")
    parser.add_argument("--status", type=int, default=0, help="exit status expected of armvisor")
    parser.add_argument("--memory", default="128M", help="as armvisor run takes it")
    parser.add_argument("--folder", action="store_true", help="semihosting has a folder, empty at first")
    parser.add_argument("--option", action="append", default=[], help="a further option for armvisor run")
    args = parser.parse_args()

    command = [args.armvisor, "run", "--kernel", args.kernel, "--cpus", str(args.cpus), "--memory", args.memory]
    command += args.option
    with tempfile.TemporaryDirectory() as folder:
        return judge(args, command + ([f"--semihosting={folder}"] if args.folder else []))


def judge(args, command):
    try:
        run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=args.timeout)
    except subprocess.TimeoutExpired as late:
        print((late.stdout or b"").decode(errors="replace"), end="")
        print((late.stderr or b"").decode(errors="replace"), end="")
        print(f"run_guest: not finished after {args.timeout:g} s")
        return 1
    text = run.stdout.decode(errors="replace").replace("\r", "")
    print(text, end="")
    print(run.stderr.decode(errors="replace"), end="")

    lines = [line for line in text.split("\n") if line]
    failures = [line for line in lines if "FAIL" in line]
    if failures:
        print(f"run_guest: {len(failures)} lines with FAIL")
        return 1
    if not lines or lines[-1] != "done: all ok":
        print(f'run_guest: the last line is not "done: all ok"; armvisor ended with status {run.returncode}')
        return 1
    if run.returncode != args.status:
        print(f"run_guest: armvisor ended with status {run.returncode}, expected {args.status}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
