"""The debug architecture under Debian's kernels: signals for BKPT, hardware breakpoints and watchpoints in programs."""
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from support import GUEST, STATUS, linux_arguments, run

COMPILER = "arm-linux-gnueabihf-gcc"
FOUND = "hw-breakpoint: found 5 (+1 reserved) breakpoint and 4 watchpoint registers."


def initrd_with(program, directory):
    """The guest's initial RAM disk, with `program` in its root: the kernel unpacks one archive behind the other."""
    archive = subprocess.run(["cpio", "--quiet", "--create", "--format=newc"], input=f"{program.name}\n".encode(),
                             cwd=program.parent, capture_output=True, check=True).stdout
    path = Path(directory) / "initrd.img"
    base = (GUEST / "initrd.img").read_bytes()
    path.write_bytes(base + bytes(-len(base) % 4) + archive)
    return path


@unittest.skipUnless(shutil.which(COMPILER) and shutil.which("cpio"), f"needs {COMPILER} and cpio")
class DebugEvents(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        program = Path(directory.name) / "debug_events"
        subprocess.run([COMPILER, "-O1", "-static", "-Wall", "-Werror", "-o", program,
                        Path(__file__).parent / "debug_events.c"], check=True)
        self.initrd = initrd_with(program, directory.name)

    def boot(self, kernel):
        arguments = linux_arguments("dmesg | grep hw-breakpoint; /debug_events", kernel)
        arguments[arguments.index("--initrd") + 1] = self.initrd
        result = run(*arguments, "--timeout", "1000", timeout=1200)
        self.assertIn(FOUND, result.stdout)
        self.assertIn("debug events: all as wanted", result.stdout)
        self.assertEqual(result.returncode, STATUS["PoweredOff"], result.stdout + result.stderr)

    def test_short_descriptors(self):
        self.boot("armmp")

    def test_long_descriptors(self):
        self.boot("armmp-lpae")


if __name__ == "__main__":
    unittest.main()
