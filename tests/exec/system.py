"""A small armhf system around busybox, and commands in it."""
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from support import ARMVISOR, GUEST, ROOT

KERNEL = sorted((GUEST / "linux-armmp" / "boot").glob("vmlinuz-*"))[-1] if GUEST.exists() else None

# Statuses of exec's own, as src/exec/outcomes.inc lists them.
STATUS = {
    match[1]: int(match[2])
    for match in re.finditer(r"^EXEC_STATUS\((\w+),\s*(\d+)", (ROOT / "src/exec/outcomes.inc").read_text(), re.MULTILINE)
}
PASSWD = "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:User:/home/user:/bin/sh\n" \
    "large:x:4294967294:4294967293:Large:/:/bin/sh\nnone:x:4294967295:0::/:/bin/sh\n" \
    "nogroup:x:1001:4294967295::/:/bin/sh\n"
GROUP = "root:x:0:\nuser:x:1000:\nextra:x:2000:user\n"


def make(folder):
    """A system in an empty folder."""
    for name in ("bin", "etc", "root", "tmp", "home/user"):
        (folder / name).mkdir(parents=True)
    (folder / "tmp").chmod(0o1777)
    busybox = folder / "bin" / "busybox"
    busybox.write_bytes((GUEST / "busybox" / "bin" / "busybox").read_bytes())
    busybox.chmod(0o755)
    for name in ("sh cat cp dd echo env false head id kill ls md5sum mkdir mount ps pwd reboot rm seq sleep stty tee test "
                 "tar touch true tty uname wc wget yes").split():
        (folder / "bin" / name).symlink_to("busybox")
    (folder / "etc" / "passwd").write_text(PASSWD)
    (folder / "etc" / "group").write_text(GROUP)
    # A statically linked libc must not look for modules of name services.
    (folder / "etc" / "nsswitch.conf").write_text("hosts: files dns\nservices: files\n")
    return folder


def words(system, *command, options=()):
    return [ARMVISOR, "exec", "--kernel", str(KERNEL), *map(str, options), str(system), "--", *map(str, command)]


def run(system, *command, options=(), timeout=600, **keywords):
    """The command in the system, to its end; output as bytes."""
    keywords.setdefault("stdin", subprocess.DEVNULL)
    if "input" in keywords:
        del keywords["stdin"]
    return subprocess.run(words(system, *command, options=options), capture_output=True, timeout=timeout, **keywords)


class Case(unittest.TestCase):
    """Tests with a system of their own."""

    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        cls.path = Path(directory.name)
        cls.system = make(cls.path / "system")
