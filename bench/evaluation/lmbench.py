"""LMBench at each CPU virtualisation level and each policy of memory virtualisation, on QEMU, and on the host itself."""
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import assets
import guests
import rows
import systems
from document import Part, Table, mean
from section import RowsSection, ratio_table, ratios


class Lmbench(RowsSection):
    name = "lmbench"
    systems = (systems.DEFAULT, *systems.LEVELS, *systems.POLICIES, systems.QEMU)

    def prepare(self):
        self.initrd = guests.make_initrd("lmbench", lmbench=True)

    def rows(self):
        return list(rows.lmbench_rows())

    def run(self, system):
        return guests.Run(self.initrd, "")

    def steps(self):
        return super().steps() + self.repetitions("rows", "native", self.native)

    def native(self, problems):
        """The same programs, built by Debian for the host."""
        try:
            programs = assets.install_host_lmbench()
        except assets.Missing as problem:
            problems.append(str(problem))
            return {}
        hello = Path("/tmp/hello")  # lat_proc has this name in it
        ours = not hello.exists()
        if ours:
            shutil.copy(programs / "hello", hello)
        values = {}
        with tempfile.TemporaryDirectory(prefix="armvisor-bench-") as directory:
            file = Path(directory) / "file"
            file.write_bytes(bytes(4 << 20))
            for row in self.rows():
                command = row.command.replace(f"{rows.LMBENCH}/", f"{programs}/").replace("/tmp/file", str(file))
                environment = os.environ | {"ENOUGH": "100000", "TIMING_O": "0", "LOOP_O": "0"}
                done = subprocess.run(["timeout", "120", *command.split()], capture_output=True, text=True, env=environment)
                lines = re.findall(r".+", done.stdout + done.stderr)
                reading = rows.parse_lmbench(lines[-1]) if lines else None
                if reading:
                    values[row.key] = reading.value
        if ours:
            hello.unlink()
        return values

    def part(self, results):
        chosen = self.rows()
        higher = {row.key: row.higher_is_better for row in chosen}
        base = "qemu" if results.of(self.name, "rows", "qemu") else "armvisor"
        names = [s.name for s in self.systems if s.name != base]
        items, columns = ratio_table(results, self.name, "rows", chosen, base, names)
        native = ratios(results, self.name, "rows", higher, "native", "armvisor", higher.get)
        slow = [[row.name, row.unit, results.median(self.name, "rows", "native", row.key),
                 native[row.key].value if native[row.key] else None] for row in chosen]
        costs = []
        for system in self.systems[1:]:
            if system is systems.QEMU:
                continue
            against = ratios(results, self.name, "rows", higher, "armvisor", system.name, higher.get)
            costs.append([system.name, mean(against.values()),
                          *[against[f"lmbench/{key}"].value if against[f"lmbench/{key}"] else None
                            for key in ("syscall-null", "ctx-2p-0k", "pagefault", "fork", "exec")]])
        return Part("LMBench", [
            "Debian's LMBench for armhf in the guest, one virtual CPU. traps=... and mmu=... are armvisor with that option; "
            "the usual ones are traps=drfa+fit and mmu=asid."], items + [
            Table(["usual level and policy against", "geometric mean", "syscall-null", "ctx-2p-0k", "pagefault", "fork", "exec"], costs),
            Table(["", "unit", "the host itself", "slowdown of armvisor"], slow,
                  [["geometric mean", "", None, mean(native.values())]])])
