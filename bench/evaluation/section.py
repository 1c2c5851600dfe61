"""What all sections of the evaluation have in common."""
import figures
import systems
from document import Plot, Table, mean, ratio_text
from guests import Run, measured
from rows import guest_script
from store import Step


class Section:
    """A part of the report: `steps` measure it, `part` tells what came out."""
    name = ""

    def __init__(self, context):
        self.context = context  # evaluate's: compared, repeats, quick, say

    def prepare(self):
        """Makes what the steps need."""

    def steps(self):
        raise NotImplementedError

    def part(self, results):
        raise NotImplementedError

    def repetitions(self, name, system, measure, repeats=None):
        return [Step(self.name, name, system, r, measure) for r in range(repeats or self.context.repeats)]


class RowsSection(Section):
    """Boots whose guests print rows, on several systems."""
    systems = (systems.DEFAULT, systems.QEMU)
    programs = False  # every row has a checksum

    def rows(self):
        raise NotImplementedError

    def run(self, system):
        """The boot, a guests.Run, of which only the script is missing."""
        raise NotImplementedError

    def measure(self, system):
        def boot(problems):
            chosen = self.rows()
            run = self.run(system)
            run.script = f"{system.prelude}\n{run.script}\n{guest_script(chosen)}"
            outcome = run.go(self.context.compared.machine(system), problems)
            return measured(outcome, [row.key for row in chosen], problems, self.programs)

        return boot

    def used(self):
        return [system for system in self.systems if self.context.compared.has(system)]

    def steps(self):
        return [step for system in self.used() for step in self.repetitions("rows", system.name, self.measure(system))]


def ratios(results, section, name, keys, system, base, higher):
    """{key: figures.Ratio of `system` to `base`}, more than 1 where `system` is better."""
    mine, other = results.of(section, name, system), results.of(section, name, base)
    return {key: figures.ratio(mine.get(key), other.get(key), higher(key)) for key in keys}


def ratio_table(results, section, name, rows, base, names):
    """Medians of the base, and how many times better each system is, with the range; geometric means below."""
    higher = {row.key: row.higher_is_better for row in rows}
    columns = {n: ratios(results, section, name, higher, n, base, higher.get) for n in names}
    lines = [[row.name, row.unit, results.median(section, name, base, row.key),
              *[ratio_text(columns[n][row.key]) for n in names]] for row in rows]
    strong = [["geometric mean", "", None, *[mean(columns[n].values()) for n in names]]]
    table = Table(["", "unit", base, *[f"{n}: times better" for n in names]], lines, strong)
    title = f"Times better than {base} (line: range over the repetitions)"
    bars = {row.name: {n: columns[n][row.key] for n in names} for row in rows}
    return [Plot(title, bars, {n: systems.COLOURS[n] for n in names}), table], columns


def differing_checksums(results, section, name, rows, names):
    """Of programs whose results differ between systems."""
    found = []
    for row in rows:
        sums = {value for n in names for value in results.of(section, name, n).get(row.key + "#", [])}
        if len(sums) > 1:
            found.append(f"{section}: {row.key}: checksums differ")
    return found
