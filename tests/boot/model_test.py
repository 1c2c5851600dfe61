"""armvisor calibrate and armvisor model as programs: what they print, keep and refuse."""
import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

from support import HVC, POWER_OFF, STATUS, command_line, mov_r0, raw_kernel, run

MARK_BEGIN, MARK_END = 0x86000007, 0x86000008
# r5 = 0x10000 rounds of SVC, whose vector is found by VBAR; marks around them have the name "a".
VECTOR = 0x40008020
NO_ARGUMENTS = [0xE3A02000, 0xE3A03000, 0xE3A04000]
ROUNDS = [0xE3A05801, 0xEF000000, 0xE2555001, 0x1AFFFFFC]


def mark(function):
    return mov_r0(function) + [0xE3A01061] + NO_ARGUMENTS + [HVC]


# At the load address: a branch over a table of vectors in which only SVC's, at 0x40008028, is used: movs pc, lr.
TABLE = [0xEA00000E] + [0xE320F000] * 7 + [0xEAFFFFFE, 0xEAFFFFFE, 0xE1B0F00E] + [0xEAFFFFFE] * 5
SVCS = (TABLE + mov_r0(VECTOR) + [0xEE0C0F10, 0xE10F0000] + mark(MARK_BEGIN) + ROUNDS + mark(MARK_END) + POWER_OFF)


class Model(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name)
        self.environment = os.environ | {"XDG_CACHE_HOME": directory.name}

    def command(self, *arguments):
        return subprocess.run(command_line(arguments), capture_output=True, text=True, env=self.environment, timeout=120)

    def stats(self, words, *options):
        file = self.path / "stats.json"
        result = run("run", "--engine", "jit", "--kernel", raw_kernel(self.path / "guest.bin", words), f"--stats=json:{file}",
                     *options)
        self.assertEqual(result.returncode, STATUS["PoweredOff"], result.stderr)
        return file

    def refused(self, status, *arguments):
        result = self.command(*arguments)
        self.assertEqual(result.returncode, STATUS[status], result.stdout + result.stderr)
        return result.stderr

    def test_from_calibration_to_prediction(self):
        counted = self.stats(SVCS, "--jit", "count-instructions")
        missing = self.refused("BadInput", "model", counted)
        self.assertIn("armvisor calibrate", missing)
        self.assertIn(str(self.path), missing)

        calibrated = self.command("calibrate", "--rounds", "2", "--json")
        self.assertEqual(calibrated.returncode, 0, calibrated.stderr)
        costs = json.loads(calibrated.stdout)
        self.assertGreater(costs["costs"]["heavy.svc"]["ns"], 0)
        kept = list((self.path / "armvisor").glob("costs-*.json"))
        self.assertEqual(len(kept), 1)
        self.assertEqual(json.loads(kept[0].read_text()), costs)

        told = self.command("model", "--json", counted)
        self.assertEqual(told.returncode, 0, told.stderr)
        load, = json.loads(told.stdout)["loads"]
        self.assertEqual(load["name"], "a")
        terms = {term["name"]: term for term in load["terms"]}
        # The first rounds are interpreted, where an SVC is a heavy trap.
        self.assertEqual(terms["fast.svc"]["count"] + terms["heavy.svc"]["count"], 0x10000)
        self.assertLess(terms["heavy.svc"]["count"], 0x100)
        self.assertGreater(terms["fast.return"]["count"], 0xFF00, "a guest without User mode has fast returns, too")
        self.assertEqual(terms["fast.svc"]["ns_each"], costs["costs"]["fast.svc"]["ns"])
        self.assertAlmostEqual(sum(term["ns"] for term in load["terms"]), load["predicted_ns"], delta=1)
        self.assertAlmostEqual(load["predicted_ns"] / load["measured_ns"] - 1, load["error"], delta=1e-6)
        # A loop of nothing but SVC and return: what was calibrated, so within a factor even on a busy host.
        self.assertLess(abs(load["error"]), 2)
        self.assertIn("fast.svc", self.command("model", counted).stdout)

        # With its own cost of an instruction the prediction of a run is the run, or what its traps alone would take.
        own, = json.loads(self.command("model", "--json", "--reference", counted, counted).stdout)["loads"]
        if own["instruction_ns"] > 0:
            self.assertAlmostEqual(own["error"], 0, delta=1e-6)
        else:
            self.assertGreaterEqual(own["error"], 0)
        changed = json.loads(self.command("model", "--json", "--what-if", "drfa", counted).stdout)
        self.assertGreaterEqual(changed["loads"][0]["what_if_ns"], load["measured_ns"] - 1)

        # A fit needs loads, and is told of.
        self.assertIn("four loads", self.refused("BadInput", "calibrate", "--rounds", "1", "--fit", counted))
        fitted = self.command("calibrate", "--rounds", "1", "--json", *["--fit", counted] * 4)
        self.assertEqual(fitted.returncode, 0, fitted.stderr)
        fitted = json.loads(fitted.stdout)
        self.assertEqual(fitted["fit"]["loads"], 4)
        self.assertIn("code.cold", fitted["costs"])

        # Costs of another host, and of another version.
        for key, value in (("host", "another"), ("version", "0.0.1"), ("format", 99)):
            other = self.path / "other.json"
            other.write_text(json.dumps(costs | {key: value}))
            self.assertIn("calibrate", self.refused("BadInput", "model", "--costs", other, counted))

        old = self.path / "old.json"
        old.write_text(counted.read_text().replace('"fast.svc"', '"fast.call"'))
        self.assertIn("another version", self.refused("BadInput", "model", old))
        old.write_text('{"ns":1}')
        self.assertIn("another version", self.refused("BadInput", "model", old))
        self.refused("BadInput", "model", self.path / "none.json")
        self.assertIn("drfa", self.refused("BadArguments", "model", "--what-if", "x", counted))
        uncounted = self.stats(SVCS)
        self.assertIn("count-instructions", self.refused("BadInput", "model", uncounted))

    def test_what_a_host_lacks_is_said(self):
        self.environment["ARMVISOR_HIDE"] = "fsgsbase,fma"
        missing = self.command("version").stdout.splitlines()[2]
        self.assertIn("fsgsbase", missing)
        self.assertIn("fma", missing)
        calibrated = self.command("calibrate", "--rounds", "1", "--json")
        self.assertEqual(calibrated.returncode, 0, calibrated.stderr)
        costs = json.loads(calibrated.stdout)
        self.assertEqual(list(costs["not_shown"]), ["shadow.window-faults"])
        self.assertNotIn("shadow.window-faults", costs["costs"])
        self.assertIn("without fsgsbase", costs["host"])

        # Counted on another host, which has windows.
        counted = self.stats(SVCS, "--jit", "count-instructions")
        stats = json.loads(counted.read_text())
        stats["marks"][0]["vcpus"][0]["counters"]["shadow.window-faults"] = 9
        counted.write_text(json.dumps(stats))
        self.assertRegex(self.command("model", counted).stdout, "shadow.window-faults, 9 times; .*fsgsbase")
        told = json.loads(self.command("model", "--json", counted).stdout)
        self.assertEqual(told["loads"][0]["unpriced"]["shadow.window-faults"], 9)
        self.assertEqual(told["not_shown"], costs["not_shown"])

        # Costs of a host that lacks something are not those of one that does not.
        self.environment["ARMVISOR_HIDE"] = ""
        if "fsgsbase" in self.command("version").stdout.splitlines()[1]:
            self.assertIn("calibrate", self.refused("BadInput", "model", counted))
        self.environment["ARMVISOR_HIDE"] = "avx,avx3"
        self.assertIn("avx3", self.refused("BadArguments", "version"))

    def test_bad_arguments(self):
        for bad in ([], ["--yaml", "x"], ["--costs"], ["x", "--reference"]):
            self.refused("BadArguments", "model", *bad)
        for bad in (["--rounds", "0"], ["--rounds", "1x"], ["--rounds"], ["more"], ["--output"]):
            self.refused("BadArguments", "calibrate", *bad)
        self.assertIn("/nowhere", self.refused("HostResource", "calibrate", "--rounds", "1", "--output", "/proc/nowhere/at/all"))


if __name__ == "__main__":
    unittest.main()
