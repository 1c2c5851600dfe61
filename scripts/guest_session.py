#!/usr/bin/env python3
"""Boots a Debian kernel under armvisor, has the guest check its CPUs, memory, disk and network, and judges the outcome.

Exit status 0 only if the guest powered off, every check of its session passed, the page that it fetched is the one this
script served, and the disk is clean and holds what the guest wrote.
"""
import argparse
import http.server
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GUEST = ROOT / "build" / "guest"
EXPECTED_CHECKS = ["uname", "cpuinfo", "memory", "disk-mount", "disk-write", "network", "fetch"]


class Page:
    """An HTTP server on the loopback that gives one page with a token that nobody can guess."""

    def __init__(self):
        self.token = secrets.token_hex(16)
        body = f"page {self.token}\n".encode()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def run_guest(arguments, disk, page, echo):
    """Runs the machine; returns its exit status and what its console said."""
    command = [
        arguments.armvisor, "run",
        "--kernel", str(GUEST / f"zImage-{arguments.kernel}"),
        "--initrd", str(GUEST / "initrd.img"),
        "--append", f"console=ttyAMA0 armvisor.session=check armvisor.url=http://10.0.2.2:{page.port}/ {arguments.append}",
        "--memory", arguments.memory,
        "--cpus", str(arguments.cpus),
        "--disk", str(disk),
        "--net", "user",
        "--timeout", str(arguments.timeout),
        "--no-reboot",
    ] + arguments.option
    lines = []
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        for raw in process.stdout:
            line = raw.decode(errors="replace").rstrip("\r\n")
            lines.append(line)
            if echo:
                print(line, flush=True)
        status = process.wait()
    return status, lines


def problems(arguments, status, lines, page, disk):
    """What went wrong, one sentence each; empty when all is well."""
    found = []
    if status != 0:
        found.append(f"exit status {status}, expected 0 (the guest powered off)")
    text = "\n".join(lines)
    for check in EXPECTED_CHECKS:
        if f"CHECK {check}: ok" not in text:
            found.append(f"the guest's check '{check}' did not pass")
    if not re.search(rf"^CPUS {arguments.cpus}$", text, re.MULTILINE):
        found.append(f"the guest did not see {arguments.cpus} CPUs")
    if page.token not in text:
        found.append("the guest did not get the page")
    # (A lockup is a matter of time: of a host that is too busy, not of what the guest computes.)
    if re.search(r"Oops|Internal error|BUG:(?! soft lockup)|Kernel panic|WARNING: CPU", text):
        found.append("the kernel complained")
    fsck = subprocess.run(["/sbin/e2fsck", "-f", "-n", str(disk)], capture_output=True, text=True)
    if fsck.returncode != 0:
        found.append(f"e2fsck: the disk is not clean:\n{fsck.stdout}{fsck.stderr}")
    hello = subprocess.run(["/sbin/debugfs", "-R", "cat /hello", str(disk)], capture_output=True, text=True)
    if hello.stdout != "hello from the guest\n":
        found.append("the file that the guest wrote is not on the disk")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--armvisor", default=str(ROOT / "build" / "release" / "armvisor"))
    parser.add_argument("--kernel", default="armmp", help="armmp or armmp-lpae")
    parser.add_argument("--cpus", type=int, default=1)
    parser.add_argument("--memory", default="512M")
    parser.add_argument("--append", default="", help="more for the kernel command line")
    parser.add_argument("--timeout", type=int, default=600)
    parser.add_argument("--option", action="append", default=[], help="another option for armvisor run")
    parser.add_argument("--quiet", action="store_true", help="show the console only when something went wrong")
    arguments = parser.parse_args()

    page = Page()
    with tempfile.TemporaryDirectory(prefix="armvisor-") as directory:
        disk = Path(directory) / "disk.img"
        shutil.copyfile(GUEST / "disk.img", disk)
        status, lines = run_guest(arguments, disk, page, not arguments.quiet)
        found = problems(arguments, status, lines, page, disk)
    page.close()
    if found and arguments.quiet:
        print("\n".join(lines[-200:]))
    for sentence in found:
        print(f"guest_session: {sentence}", file=sys.stderr)
    if not found:
        print(f"guest_session: {arguments.kernel} with {arguments.cpus} CPUs: all checks passed, the disk is clean")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
