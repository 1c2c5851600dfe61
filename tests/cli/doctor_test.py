"""armvisor doctor says what is lacking where something is, and its status says whether machines run."""
import ctypes
import fcntl
import json
import os
import pty
import re
import resource
import struct
import subprocess
import tempfile
import termios
import unittest
from pathlib import Path

from support import ARMVISOR, ROOT, STATUS

ROWS = re.findall(r"^(?:COSTS|CANNOT)\((\w+),", (ROOT / "src/cli/host_checks.inc").read_text(), re.MULTILINE)
MIB = 1 << 20


def doctor(*arguments, env=None, limit=None, **keywords):
    keywords.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([ARMVISOR, "doctor", *arguments], capture_output=True, text=True, timeout=120, preexec_fn=limit,
                          env={**os.environ, **(env or {})}, check=False, **keywords)


def limited(which, most):
    return lambda: resource.setrlimit(which, (most, most))


class Doctor(unittest.TestCase):
    def checks(self, status="PoweredOff", **keywords):
        """Of each row of the table by its name."""
        result = doctor("--json", **keywords)
        self.assertEqual(result.returncode, STATUS[status], result.stdout + result.stderr)
        report = json.loads(result.stdout)
        self.assertEqual([c["name"] for c in report["checks"]], ROWS)
        self.assertEqual(report["can_run"], status == "PoweredOff")
        return {c["name"]: c for c in report["checks"]}

    def test_each_check_has_a_line_and_says_what_to_do(self):
        result = doctor()
        self.assertEqual(result.returncode, 0, result.stderr)
        lines = result.stdout.splitlines()
        self.assertEqual(len(lines), len(ROWS) + 1)
        self.assertEqual(lines[-1], "Machines can run on this host.")
        for line in lines[:-1]:
            self.assertRegex(line, r"^(ok      .+: .+|costs   .+; this costs you: .+; .+|cannot  .+; this host cannot .+; .+)$")
        self.assertTrue(lines[-2].startswith("ok      a machine: ran to its power-off in "))

    def test_hidden_features_cost_something(self):
        checks = self.checks(env={"ARMVISOR_HIDE": "fsgsbase,avx2,bmi2,fma"})
        for name in ("fsgsbase", "avx2", "bmi2", "fma"):
            self.assertEqual(checks[name]["state"], "costs")
            self.assertTrue(checks[name]["lack"] and checks[name]["remedy"])
        self.assertEqual(checks["machine"]["state"], "ok")
        self.assertEqual(doctor(env={"ARMVISOR_HIDE": "nonsense"}).returncode, STATUS["BadArguments"])

    def test_limits(self):
        few = self.checks(limit=limited(resource.RLIMIT_NOFILE, 100))
        self.assertEqual((few["descriptors"]["state"], few["descriptors"]["found"]), ("costs", "100"))
        self.assertEqual(self.checks(limit=limited(resource.RLIMIT_FSIZE, 1024 * MIB))["file_size"]["found"], "1024 MiB")
        cpu = self.checks(limit=lambda: os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]))["cpus"]
        self.assertEqual(cpu["state"], "costs")
        self.assertRegex(cpu["found"], "^1 for this process")

    def test_where_no_machine_runs_the_status_says_so(self):
        checks = self.checks("HostResource", limit=limited(resource.RLIMIT_AS, 300 * MIB))
        self.assertEqual(checks["address_space"]["state"], "costs")
        self.assertEqual(checks["machine"]["state"], "cannot")
        self.assertRegex(checks["machine"]["found"], "ended with status 4: .*(--memory|ulimit -v)")
        checks = self.checks("HostResource", limit=limited(resource.RLIMIT_FSIZE, 100 * MIB))
        self.assertRegex(checks["machine"]["found"], "guest memory")
        checks = self.checks("HostResource", limit=limited(resource.RLIMIT_NOFILE, 8))
        self.assertEqual(checks["machine"]["state"], "cannot")

    def test_programs_are_looked_for_in_PATH(self):
        with tempfile.TemporaryDirectory() as folder:
            checks = self.checks(env={"PATH": folder})
            for name in ("qemu_nbd", "nbdkit", "passt", "vde_switch", "fetch"):
                self.assertEqual(checks[name]["state"], "cannot", name)
            (Path(folder) / "qemu-nbd").touch(0o644)
            self.assertEqual(self.checks(env={"PATH": folder})["qemu_nbd"]["state"], "cannot", "it cannot be executed")
            (Path(folder) / "qemu-nbd").chmod(0o755)
            self.assertEqual(self.checks(env={"PATH": f"/none:{folder}"})["qemu_nbd"]["found"], f"{folder}/qemu-nbd")

    def test_folders(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder)
            (path / "armvisor").mkdir(0o700)
            here = {"XDG_CACHE_HOME": folder, "XDG_RUNTIME_DIR": folder, "TMPDIR": folder}
            checks = self.checks(env=here)
            self.assertEqual((checks["cache"]["state"], checks["sockets"]["state"]), ("ok", "ok"))
            self.assertEqual(checks["kernel"]["state"], "cannot", "none was fetched there")
            kernel = path / "armvisor/debian-kernels"
            self.assertFalse(kernel.exists() and any(kernel.iterdir()))
            (path / "armvisor").chmod(0o777)
            checks = self.checks(env={**here, "TMPDIR": f"{folder}/none"})
            self.assertEqual([checks[n]["state"] for n in ("cache", "sockets", "temporary")], ["costs", "cannot", "costs"])
        self.assertRegex(self.checks(env={"XDG_CACHE_HOME": "", "HOME": ""})["cache"]["found"], "neither HOME")

    def test_the_kernel_is_asked_what_it_has(self):
        checks = self.checks()
        abi = ctypes.CDLL(None, use_errno=True).syscall(444, None, 0, 1)
        self.assertEqual(checks["landlock"]["state"], "ok" if abi > 0 else "costs")
        if abi > 0:
            self.assertEqual(checks["landlock"]["found"], f"version {abi}")
        mappings = Path("/proc/sys/vm/max_map_count").read_text().strip()
        self.assertEqual(checks["mappings"]["found"], mappings)

    def test_a_terminal_has_a_size(self):
        self.assertEqual(self.checks()["terminal"]["state"], "costs")
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 30, 90, 0, 0))
        self.assertEqual(self.checks(stdin=slave)["terminal"]["found"], "90 columns, 30 rows")
        os.close(master)
        os.close(slave)


if __name__ == "__main__":
    unittest.main()
