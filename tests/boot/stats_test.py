"""Counters of real runs: --stats, armvisor stat, the guest's own exit status, and the Linux module with the hypercalls."""
import json
import os
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from support import GUEST, HVC, POWER_OFF, ROOT, SLEEP, SPIN, STATUS, Session, command_line, linux_arguments, mov_r0
from support import raw_kernel, run

MOV_R1_5 = 0xE3A01005
EXIT_5 = [MOV_R1_5] + mov_r0(0x86000006) + [HVC] + SPIN

IN_THE_GUEST = """
    modprobe armvisor_hints {options} && echo LOADED
    ls -l /dev/armvisor
    echo begin listing > /dev/armvisor
    for i in 1 2 3; do ls / > /dev/null; done
    echo end > /dev/armvisor
    cat /dev/armvisor
    echo end nothing > /dev/armvisor || echo NOT-OPEN
    echo exit 64 > /dev/armvisor || echo OUT-OF-RANGE
    rmmod armvisor_hints && echo UNLOADED
    modprobe armvisor_hints
    echo exit 9 > /dev/armvisor
"""


class Stats(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name)
        self.environment = os.environ | {"XDG_RUNTIME_DIR": directory.name}

    def guest(self, words):
        return raw_kernel(self.path / "guest.bin", words)

    def counted(self, *arguments, **keywords):
        """A run with --stats as JSON: (finished process, what was counted)."""
        file = self.path / "stats.json"
        result = run(*arguments, f"--stats=json:{file}", **keywords)
        return result, json.loads(file.read_text())

    def stat(self, *arguments):
        return subprocess.run(command_line(["stat", *arguments]), capture_output=True, text=True, env=self.environment,
                              timeout=60)

    def test_at_the_end(self):
        result, stats = self.counted("run", "--kernel", self.guest(POWER_OFF))
        self.assertEqual(result.returncode, STATUS["PoweredOff"], result.stderr)
        self.assertEqual(stats["total"]["counters"]["heavy.hvc"], 1)
        self.assertEqual(len(stats["vcpus"]), 1)
        self.assertGreater(stats["total"]["time_ns"]["hypervisor"], 0)
        self.assertGreater(stats["machine"]["cache.blocks-made"], 0)
        result = run("run", "--kernel", self.guest(POWER_OFF), "--stats")
        self.assertRegex(result.stderr, r"heavy traps +\d+ .*\n(.*\n)*? +hvc +1 ")

    def test_a_loop_across_two_pages_stays_in_generated_code(self):
        # From the load address, 0x40008000: a jump to a Thumb loop of 200,000 rounds whose addw is at 0x40008ffe.
        start = [0xE59F0000, 0xE12FFF10, 0x40008FF1]  # ldr r0, [pc]; bx r0
        loop = [0x2003, 0x0400,                                           # movs r0, #3; lsls r0, #16
                0xBF00, 0xBF00, 0xBF00, 0xBF00, 0xBF00, 0xF201, 0x0101,  # nops; addw r1, r1, #1
                0x3801, 0xD1F8, 0x4801, 0x4700, 0xBF00, 0x9010, 0x4000]  # subs r0, #1; bne; ldr r0, =; bx r0
        words = start + [0] * ((0xFF0 - 4 * len(start)) // 4)
        words += [low | high << 16 for low, high in zip(loop[::2], loop[1::2])] + POWER_OFF
        for engine in ("interp", "jit"):
            result, stats = self.counted("run", "--engine", engine, "--kernel", self.guest(words), "--timeout", "60")
            self.assertEqual(result.returncode, STATUS["PoweredOff"], result.stderr)
            self.assertLess(stats["total"]["counters"]["code.lookups"], 1000, engine)

    def test_output_that_cannot_be(self):
        kernel = self.guest(POWER_OFF)
        self.assertEqual(run("run", "--kernel", kernel, "--stats=yes").returncode, STATUS["BadArguments"])
        result = run("run", "--kernel", kernel, "--stats=json:/nowhere/at/all")
        self.assertEqual(result.returncode, STATUS["HostResource"])
        self.assertIn("/nowhere/at/all", result.stderr)

    def test_a_status_of_the_guests_choice(self):
        self.assertEqual(run("run", "--kernel", self.guest(EXIT_5)).returncode, STATUS["Guest"] + 5)

    def test_of_a_running_machine(self):
        arguments = ["run", "--kernel", self.guest(SLEEP), "--cpus", "2", "--name", "vm-1", "--timeout", "60"]
        with Session(*arguments, env=self.environment):
            for _ in range(200):
                found = self.stat("vm-1", "--json")
                if found.returncode == 0 and json.loads(found.stdout)["total"]["counters"]["heavy.wfi"]:
                    break
                time.sleep(0.05)
            first = json.loads(found.stdout)
            time.sleep(0.2)
            second = json.loads(self.stat("vm-1", "--json").stdout)
            self.assertEqual(len(second["vcpus"]), 2)
            self.assertGreater(second["vcpus"][0]["time_ns"]["idle"], first["vcpus"][0]["time_ns"]["idle"])
            self.assertIn("heavy traps", self.stat("vm-1").stdout)
            taken = run(*arguments, env=self.environment)
            self.assertEqual(taken.returncode, STATUS["HostResource"])
            self.assertIn("vm-1", taken.stderr)
            other = self.stat("vm-2")
            self.assertEqual(other.returncode, STATUS["BadArguments"])
            self.assertIn("vm-1", other.stderr)
            lines = subprocess.Popen(command_line(["stat", "vm-1", "--json", "--interval", "0.05"]), env=self.environment,
                                     stdout=subprocess.PIPE, text=True)
            for _ in range(3):
                self.assertLess(json.loads(lines.stdout.readline())["vcpus"][0]["time_ns"]["guest"], 10**9)
            lines.kill()
            lines.communicate()
        self.assertEqual(run("run", "--kernel", self.guest(POWER_OFF), "--name", "a/b").returncode, STATUS["BadArguments"])
        for bad in ([], ["vm-1", "--interval", "0"], ["vm-1", "vm-2"], ["--yaml", "vm-1"]):
            self.assertEqual(self.stat(*bad).returncode, STATUS["BadArguments"], bad)

    def test_the_module_for_linux(self):
        made = subprocess.run([ROOT / "scripts/guest_hints.sh"], capture_output=True, text=True)
        if made.returncode:
            self.skipTest(f"the module could not be built: {made.stderr[-500:]}")
        for kernel, options, cpus in (("armmp", "", 1), ("armmp-lpae", "tables=1", 2)):
            with self.subTest(kernel):
                arguments = linux_arguments(IN_THE_GUEST.format(options=options), kernel)
                arguments[arguments.index("--initrd") + 1] = GUEST / "hints" / "initrd.img"
                result, stats = self.counted(*arguments, "--cpus", cpus, "--timeout", "600", timeout=700)
                self.assertEqual(result.returncode, STATUS["Guest"] + 9, result.stdout + result.stderr)
                for word in ("LOADED", "/dev/armvisor", "NOT-OPEN", "OUT-OF-RANGE", "UNLOADED"):
                    self.assertIn(word, result.stdout)
                self.assertRegex(result.stdout, r"monotonic \d+\s+realtime \d{19}\s")
                self.assertEqual([(m["name"], m["times"]) for m in stats["marks"]], [("listing", 1)])
                counters = stats["marks"][0]["total"]["counters"]
                self.assertGreaterEqual(counters["fast.svc"] + counters["heavy.svc"], 3)
                self.assertEqual(stats["total"]["counters"]["shadow.hint-table"] > 0, bool(options))


if __name__ == "__main__":
    unittest.main()
