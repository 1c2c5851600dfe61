"""What the tests of "armvisor qemu" share."""
import importlib.util
import os
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
GUEST = ROOT / "build" / "guest"
ARMVISOR = os.environ.get("ARMVISOR", str(ROOT / "build" / "release" / "armvisor"))


def load_boot_support():
    """tests/boot/support.py, which has the same name as this file."""
    spec = importlib.util.spec_from_file_location("boot_support", ROOT / "tests" / "boot" / "support.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def connect(path, limit, family=socket.AF_UNIX):
    """A connection to who listens there, once somebody does; `limit` in seconds, also for what is read from it."""
    deadline = time.monotonic() + limit
    while True:
        connection = socket.socket(family)
        try:
            connection.connect(path)
            break
        except OSError:
            connection.close()
            assert time.monotonic() < deadline, f"nobody listens on {path}"
            time.sleep(0.02)
    connection.settimeout(limit)
    return connection


class Folder:
    """A folder with a link of QEMU's name to the program, in which command lines are run."""

    def __enter__(self):
        self.holder = tempfile.TemporaryDirectory()
        self.path = Path(self.holder.name)
        self.program = self.path / "qemu-system-arm"
        self.program.symlink_to(ARMVISOR)
        return self

    def __exit__(self, *_):
        self.holder.cleanup()

    def qemu(self, *words, timeout=120, **keywords):
        """The command line, to its end."""
        keywords.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run([str(self.program), *map(str, words)], cwd=self.path, capture_output=True, text=True,
                              errors="replace", timeout=timeout, **keywords)

    def start(self, *words, **keywords):
        return subprocess.Popen([str(self.program), *map(str, words)], cwd=self.path, stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, **keywords)
