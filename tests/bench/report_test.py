"""The bench's arithmetic, what it reads from consoles and /proc, its archives, and its reports."""
import io
import json
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import support  # noqa: F401

import assets
import figures
import machines
import report
import rows


class Figures(unittest.TestCase):
    def test_summary(self):
        self.assertEqual(figures.summary([3, 1, 2]), figures.Summary(2, 1, 3, 3))
        self.assertIsNone(figures.summary([]))

    def test_ratio_of_times_pairs_the_repetitions(self):
        self.assertEqual(figures.ratio([1, 2, 2], [4, 4, 6], False), figures.Ratio(2, 2, 4))

    def test_ratio_of_rates(self):
        self.assertEqual(figures.ratio([400], [100], True), figures.Ratio(4, 4, 4))

    def test_ratio_of_nothing(self):
        self.assertIsNone(figures.ratio([], [1], False))
        self.assertIsNone(figures.ratio([1], None, False))
        self.assertIsNone(figures.ratio([0], [1], False))
        self.assertIsNone(figures.ratio([1], [0], False))

    def test_geometric_mean(self):
        self.assertAlmostEqual(figures.geometric_mean([1, 4, 16]), 4)
        self.assertIsNone(figures.geometric_mean([]))
        self.assertIsNone(figures.geometric_mean([1, 0]))

    def test_short(self):
        self.assertEqual([figures.short(v) for v in (1234.5, 12.345, 0.012345, 0, None)], ["1234", "12.3", "0.0123", "0", "-"])


class Parsing(unittest.TestCase):
    def test_program(self):
        reading = rows.parse_program("PROGRAM qsort 00000000deadbeef 1500000000")
        self.assertEqual(reading, rows.Reading(1.5, "00000000deadbeef"))
        self.assertIsNone(rows.parse_program("PROGRAM qsort deadbeef"))

    def test_lmbench(self):
        for text, value in (("Simple syscall: 0.4567 microseconds", 0.4567), ("2 38.92", 38.92), ("8.39 1234.56", 1234.56),
                            ("Pipe bandwidth: 123.45 MB/sec", 123.45), ("Pagefaults on /tmp/file: 1.5 microseconds", 1.5)):
            self.assertEqual(rows.parse_lmbench(text).value, value)
        for text in ("", "sh: lat_pipe: not found", "error 2x"):
            self.assertIsNone(rows.parse_lmbench(text))

    def test_console(self):
        lines = ["[    0.1] noise", "ROW integer/lz PROGRAM lz 0123456789abcdef 2000000", "ROW lmbench/pipe Terminated",
                 "ROW lmbench/unix AF_UNIX sock stream latency: 7.5 microseconds"]
        self.assertEqual(rows.parse_console(lines), {"integer/lz": rows.Reading(0.002, "0123456789abcdef"),
                                                     "lmbench/unix": rows.Reading(7.5)})
        self.assertEqual(rows.row_text(lines, "lmbench/pipe"), "Terminated")
        self.assertEqual(rows.row_text(lines, "lmbench/fork"), "")

    def test_smaps(self):
        text = ("40000000-60000000 rw-s 00000000 00:01 1    /memfd:armvisor-ram (deleted)\nRss: 2048 kB\nPss: 2048 kB\n"
                "7f0000000000-7f0000001000 rw-p 00000000 00:00 0 \nPss: 512 kB\nPss_Dirty: 512 kB\n")
        self.assertEqual(machines.parse_smaps(text, machines.Armvisor.ram_mapping), (2.0, 0.5))


class Rows(unittest.TestCase):
    def test_keys_are_unique_and_their_groups_and_sessions_known(self):
        every = rows.all_rows()
        self.assertEqual(len({row.key for row in every}), len(every))
        for row in every:
            self.assertIn(row.group, rows.GROUPS)
            self.assertIn(row.session, rows.SESSION_CPUS)

    def test_every_program_has_its_source(self):
        programs = rows.program_lines()
        self.assertEqual(len(programs), rows.PROGRAMS.read_text().count("\nPROGRAM("))
        for name, _, _ in programs:
            self.assertTrue((rows.PROGRAMS.parent / f"{name}.c").exists(), name)

    def test_groups_are_as_large_as_they_should_be(self):
        groups = [group for _, group, _ in rows.program_lines()]
        for group, least in (("integer", 10), ("float", 5), ("simd", 3)):
            self.assertGreaterEqual(groups.count(group), least)


class Archives(unittest.TestCase):
    def test_cpio_reads_what_we_write(self):
        archive = assets.cpio({"bench/rows": b"echo\n", "bench/lmbench/hello": b"x" * 5, "top": b""})
        with tempfile.TemporaryDirectory() as directory:
            subprocess.run(["cpio", "-i", "--quiet"], input=archive, cwd=directory, check=True)
            path = Path(directory)
            self.assertEqual((path / "bench/rows").read_bytes(), b"echo\n")
            self.assertEqual((path / "bench/lmbench/hello").read_bytes(), b"xxxxx")
            self.assertTrue((path / "bench/rows").stat().st_mode & 0o100)
            self.assertEqual((path / "top").read_bytes(), b"")


class Report(unittest.TestCase):
    def setUp(self):
        self.rows = [row for row in rows.all_rows() if row.key in (
            "integer/lz", "integer/fsm", "lmbench/bw-pipe", "idle/host-cpu", "smp/parallel-1", "smp/parallel-2")]
        samples = {
            "integer/lz": {"native": [0.5], "armvisor": [1.0], "qemu": [4.0]},
            "integer/fsm": {"native": [1.0], "armvisor": [2.0], "qemu": [2.0]},
            "lmbench/bw-pipe": {"armvisor": [300.0], "qemu": [100.0]},
            "idle/host-cpu": {"armvisor": [0.0], "qemu": [0.5]},
            "smp/parallel-1": {"armvisor": [2.0], "qemu": [3.0]},
            "smp/parallel-2": {"armvisor": [1.0]},
        }
        versions = {"armvisor": "armvisor 1", "qemu": "QEMU <10>"}
        host = {"cpu": "a CPU", "cores": 2, "kernel": "6", "load": 0.0}
        self.result = report.result(self.rows, samples, versions, host, 1, ["a problem"])

    def test_groups(self):
        integer = self.result["groups"]["integer"]
        self.assertAlmostEqual(integer["ratio"], 2)
        self.assertEqual(integer["worst"], {"name": "fsm", "ratio": 1})
        self.assertAlmostEqual(integer["slowdown"]["armvisor"], 2)
        self.assertAlmostEqual(integer["slowdown"]["qemu"], 4)
        self.assertIsNone(self.result["groups"]["idle"]["ratio"])
        self.assertEqual(self.result["speedups"], [{"load": "parallel", "cpus": 2, "speedup": {"armvisor": 2}}])

    def test_text(self):
        text = report.text(self.result)
        for part in ("worst: fsm, 1.00", "PROBLEM: a problem", "parallel load, 2 CPUs against 1: armvisor 2.00", "QEMU <10>"):
            self.assertIn(part, text)

    def test_json(self):
        self.assertEqual(json.loads(json.dumps(self.result))["groups"], self.result["groups"])

    def test_html_is_one_file_without_references(self):
        page = report.html(self.result)
        self.assertIn("<svg", page)
        self.assertIn("QEMU &lt;10&gt;", page)
        self.assertNotIn("http", page)
        for start in range(page.count("<svg")):
            svg = page.split("<svg")[start + 1].split("</svg>")[0]
            ElementTree.parse(io.StringIO(f"<svg{svg}</svg>"))


if __name__ == "__main__":
    unittest.main()
