"""A host that has no more threads, memory, descriptors or room in files: a message and a status, at whatever point."""
import os
import re
import resource
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path

from support import POWER_OFF, ROOT, SPIN, STATUS, command_line, raw_kernel

# A user without processes of its own, whose limit on processes therefore counts this test's alone.
NOBODY_ELSE = 1_234_567_000 + os.getpid() % 1000
CPUS = 4


def limited(which, most, uid=None):
    def in_child():
        resource.setrlimit(which, (most, most))
        if uid is not None:
            os.setgid(uid)
            os.setuid(uid)

    return in_child


class HostLimits(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.path = Path(self.directory.name)
        self.path.chmod(0o777)  # other users run some of the machines
        self.kernel = raw_kernel(self.path / "off.bin", POWER_OFF)
        self.disk = self.path / "disk"
        self.disk.write_bytes(bytes(1 << 20))
        self.disk.chmod(0o666)

    def machine(self, limit, *arguments):
        """One with a thread of each kind."""
        everything = ["run", "-k", self.kernel, "-m", "32M", "-c", CPUS, "-d", self.disk, "-n", "user", "--name",
                      f"limit{os.getpid()}", "--timeout", "60", *arguments]
        return subprocess.run(command_line(everything), stdin=subprocess.PIPE, capture_output=True, text=True,
                              timeout=120, preexec_fn=limit, env={**os.environ, "XDG_RUNTIME_DIR": str(self.path)})

    def check(self, result, pattern, what):
        """Either it got all it needed, or it says what it lacked."""
        self.assertIn(result.returncode, (STATUS["PoweredOff"], STATUS["HostResource"]), (what, result.stderr))
        if result.returncode == STATUS["HostResource"]:
            self.assertRegex(result.stderr, r"(?m)^armvisor: .*expected ", what)
            self.assertRegex(result.stderr, pattern, what)
        return result.returncode

    def check_each(self, statuses):
        self.assertEqual(statuses[-1], STATUS["PoweredOff"], "the largest limit is enough")
        self.assertIn(STATUS["HostResource"], statuses, "the smallest is not")

    @unittest.skipIf(os.geteuid() != 0, "becomes another user, whose processes can be counted; that takes root")
    def test_threads(self):
        readable = subprocess.run([command_line(["version"])[0], "version"], capture_output=True,
                                  preexec_fn=limited(resource.RLIMIT_CORE, 0, NOBODY_ELSE), check=False)
        if readable.returncode != 0:
            self.skipTest("the program is where other users cannot run it")
        # The main thread, event loop, disk, network, console, compiler, vCPUs.
        statuses = [self.check(self.machine(limited(resource.RLIMIT_NPROC, most, NOBODY_ELSE)), "ulimit -u", most)
                    for most in range(1, 8 + CPUS)]
        self.check_each(statuses)

    def test_memory(self):
        mib = 1 << 20
        statuses = []
        for most in [*range(24, 900, 12), 1 << 20]:  # a thread's stack is 8 MiB of addresses
            result = self.machine(limited(resource.RLIMIT_AS, most * mib), "--engine", "jit")
            if result.returncode == 127:  # the dynamic linker's own complaint
                continue
            statuses.append(self.check(result, "ulimit -v|out of memory|--memory", most))
        self.check_each(statuses)

    def test_descriptors(self):
        statuses = []
        for most in range(4, 48):
            result = self.machine(limited(resource.RLIMIT_NOFILE, most))
            if result.returncode == 127:
                continue
            statuses.append(self.check(result, "ulimit -n", most))
        self.check_each(statuses)

    def test_size_of_files(self):
        spin = raw_kernel(self.path / "spin.bin", SPIN)
        report = self.path / "report.json"
        for arguments in (["--dump-dtb", self.path / "dtb"], [f"--stats=json:{report}", "--timeout", "1"], []):
            result = subprocess.run(command_line(["run", "-k", spin, "-m", "32M", *arguments]), capture_output=True,
                                    stdin=subprocess.DEVNULL, text=True, timeout=120,
                                    preexec_fn=limited(resource.RLIMIT_FSIZE, 100))
            self.assertEqual(result.returncode, STATUS["HostResource"], (arguments, result.stderr))
            self.assertRegex(result.stderr, "ulimit -f", arguments)


if __name__ == "__main__":
    unittest.main()
