"""The evaluation's arithmetic, its kept results and its report; nothing is booted here."""
import sys
import tempfile
import unittest
from pathlib import Path

import support

sys.path.insert(1, str(support.ROOT / "bench" / "evaluation"))

import document
import figures
import operations
import store
from rows import Row
from section import differing_checksums, ratio_table


class Keeping(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name)
        self.measured = []

    def step(self, system="a", repetition=0, value=1.0):
        def measure(problems):
            self.measured.append((system, repetition))
            if value is None:
                problems.append("no value")
                return {}
            return {"k": value}

        return store.Step("s", "n", system, repetition, measure)

    def test_goes_on_where_it_was(self):
        kept = store.Store(self.path, {"v": 1})
        kept.do(self.step())
        again = store.Store(self.path, {"v": 1})
        self.assertEqual(again.get(self.step())["values"], {"k": 1.0})
        self.assertIsNone(again.get(self.step(repetition=1)))

    def test_a_step_that_breaks_is_a_problem_of_its_own(self):
        def measure(problems):
            raise OSError("gone")

        kept = store.Store(self.path, {})
        result = kept.do(store.Step("s", "n", "a", 0, measure))
        self.assertEqual(result["values"], {})
        self.assertIn("gone", result["problems"][0])

    def test_of_other_programs_is_refused(self):
        store.Store(self.path, {"v": 1}).do(self.step())
        with self.assertRaises(store.Changed) as raised:
            store.Store(self.path, {"v": 2})
        self.assertIn("--fresh", str(raised.exception))
        fresh = store.Store(self.path, {"v": 2}, fresh=True)
        self.assertIsNone(fresh.get(self.step()))

    def test_results_are_in_the_order_of_repetitions_and_tell_what_is_missing(self):
        kept = store.Store(self.path, {})
        steps = [self.step(repetition=r, value=v) for r, v in ((2, 30.0), (0, 10.0), (1, None))]
        for step in steps:
            kept.do(step)
        results = store.Results(kept, [*steps, self.step(repetition=3)])
        self.assertEqual(results.of("s", "n", "a")["k"], [10.0, 30.0])
        self.assertEqual(results.median("s", "n", "a", "k"), 20.0)
        self.assertIsNone(results.median("s", "n", "b", "k"))
        self.assertEqual(len(results.problems), 2)
        self.assertIn("no value", results.problems[0])
        self.assertIn("not measured", results.problems[1])

    def test_time_left_is_that_of_alike_steps(self):
        kept = store.Store(self.path, {})
        store.Store.write(self.path / self.step().path, {"seconds": 10, "values": {}, "problems": []})
        store.Store.write(self.path / self.step("b").path, {"seconds": 50, "values": {}, "problems": []})
        steps = [self.step(), self.step("b"), self.step(repetition=1), self.step("b", 1), self.step("c")]
        self.assertAlmostEqual(store.seconds_left(steps, kept), 10 + 50 + 30)


class Operations(unittest.TestCase):
    def test_a_window_is_shared_out_after_what_it_has_in_any_case(self):
        windows = {"nothing": {"x": 5}, "program": {"x": 5 + 50 * 2, "y": 50}, "syscall": {"x": 5 + 2 + 20000 * 3, "y": 1}}
        found = operations.per_operation(windows)
        self.assertEqual(found["program"], {"x": 2, "y": 1})
        self.assertEqual(found["syscall"], {"x": 3, "y": 0})
        self.assertNotIn("nothing", found)

    def test_what_qemu_says(self):
        with tempfile.NamedTemporaryFile("w") as log:
            log.write("Taking exception 2 [SVC] on CPU 0\n...from EL0 to EL1\nTaking exception 5 [IRQ] on CPU 0\n"
                      "Taking exception 2 [SVC] on CPU 0\nTaking exception 9 [Odd]\n")
            log.flush()
            found = operations.log_counts(Path(log.name))
        self.assertEqual((found["SVC"], found["IRQ"], found["data abort"]), (2, 1, 0))
        self.assertEqual(operations.flush_counts("TLB full flushes    12\nTLB partial flushes 345\nTLB elided flushes  6\n"),
                         {"full": 12, "partial": 345, "elided": 6})


class Results:
    """Samples as a section sees them."""

    def __init__(self, samples):
        self.samples = samples

    def of(self, section, name, system):
        return self.samples.get(system, {})

    def median(self, section, name, system, key):
        return figures.summary(self.of(section, name, system)[key]).median if key in self.of(section, name, system) else None


class Report(unittest.TestCase):
    ROWS = [Row("s/fast", "s", "s", "s"), Row("s/rate", "s", "MB/s", "s", higher_is_better=True)]

    def table(self):
        results = Results({"qemu": {"s/fast": [4.0], "s/rate": [10.0]}, "armvisor": {"s/fast": [2.0], "s/rate": [80.0]}})
        return ratio_table(results, "s", "n", self.ROWS, "qemu", ["armvisor"])

    def test_more_than_one_is_better_whatever_the_unit(self):
        (plot, table), columns = self.table()
        self.assertEqual(columns["armvisor"]["s/fast"].value, 2)
        self.assertEqual(columns["armvisor"]["s/rate"].value, 8)
        self.assertAlmostEqual(table.strong[0][3], 4)
        self.assertEqual(set(plot.bars), {"fast", "rate"})

    def test_both_forms_have_every_figure(self):
        (plot, table), _ = self.table()
        parts = [document.Part("A <part>", ["Some text."], [plot, table])]
        page = document.html("T", ["lead"], parts, ["a problem"])
        self.assertIn("A &lt;part&gt;", page)
        self.assertIn("<svg", page)
        self.assertNotIn("http", page)
        text = document.markdown("T", ["lead"], parts, [])
        for form in (page, text):
            self.assertIn("8.00 (8.00-8.00)", form)

    def test_checksums_must_agree(self):
        row = Row("s/p", "s", "s", "s")
        same = Results({"a": {"s/p#": [1, 1]}, "b": {"s/p#": [1]}})
        other = Results({"a": {"s/p#": [1, 1]}, "b": {"s/p#": [2]}})
        self.assertEqual(differing_checksums(same, "s", "n", [row], ["a", "b"]), [])
        self.assertEqual(len(differing_checksums(other, "s", "n", [row], ["a", "b"])), 1)


if __name__ == "__main__":
    unittest.main()
