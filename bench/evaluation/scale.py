"""Several virtual CPUs, and several guests side by side."""
import threading

import guests
import rows
import systems
from document import Part, Table
from section import Section, ratio_table

CPUS = (1, 2, 4)
GUESTS = (1, 2, 4)
LOADS = ("parallel", "locks")


class Scale(Section):
    name = "scale"

    def prepare(self):
        self.initrd = guests.make_initrd("scale")

    def systems(self):
        return [s for s in (systems.DEFAULT, systems.QEMU) if self.context.compared.has(s)]

    def smp_rows(self):
        return [rows.Row(f"scale/{load}-{cpus}", "scale", "s", "scale", f"/bench/programs {load} {cpus}")
                for load in LOADS for cpus in CPUS]

    def smp(self, system, cpus):
        def measure(problems):
            chosen = [row for row in self.smp_rows() if row.key.endswith(f"-{cpus}")]
            outcome = guests.Run(self.initrd, rows.guest_script(chosen), cpus).go(self.context.compared.machine(system), problems)
            return measured_seconds(outcome, chosen, problems)

        return measure

    def side_by_side(self, system, count):
        """All boot, wait for each other, and then do the same work at the same time."""
        def measure(problems):
            chosen = [rows.Row(f"scale/guest{n}", "scale", "s", "scale", "/bench/programs parallel 1") for n in range(count)]
            found, threads = {}, []

            def one(row):
                # (They start within a fraction of a second; the work takes seconds.)
                run = guests.Run(self.initrd, rows.guest_script([row]), sample_at=("ROWS end",))
                outcome = run.go(self.context.compared.machine(system), problems)
                found.update(measured_seconds(outcome, [row], problems))
                if "ROWS end" in outcome.samples:
                    found[f"{row.key}/memory"] = outcome.samples["ROWS end"].other_mib

            for row in chosen:
                threads.append(threading.Thread(target=one, args=(row,)))
                threads[-1].start()
            for thread in threads:
                thread.join()
            times = [found[row.key] for row in chosen if row.key in found]
            memory = [found[f"{row.key}/memory"] for row in chosen if f"{row.key}/memory" in found]
            if len(times) != count or len(memory) != count:
                return {}
            return {"work-per-second": count / max(times), "fairness": min(times) / max(times), "memory": sum(memory) / count}

        return measure

    def steps(self):
        steps = []
        for system in self.systems():
            for cpus in CPUS:
                steps += self.repetitions(f"smp{cpus}", system.name, self.smp(system, cpus))
            for count in GUESTS:
                steps += self.repetitions(f"guests{count}", system.name, self.side_by_side(system, count))
        return steps

    def part(self, results):
        names = [s.name for s in self.systems()]
        for name in names:
            together = results.samples.setdefault((self.name, "smp", name), {})
            for cpus in CPUS:
                together.update(results.of(self.name, f"smp{cpus}", name))
        base = "qemu" if results.of(self.name, "smp", "qemu") else "armvisor"
        items, _ = ratio_table(results, self.name, "smp", self.smp_rows(), base, [n for n in names if n != base])
        items[1].strong = []
        speedups = []
        for load in LOADS:
            for cpus in CPUS[1:]:
                line = [f"{load}, {cpus} virtual CPUs against 1"]
                for name in names:
                    one, many = (results.median(self.name, "smp", name, f"scale/{load}-{n}") for n in (1, cpus))
                    line.append(one / many if one and many else None)
                speedups.append(line)
        lines = []
        for count in GUESTS:
            for name in names:
                get = lambda key: results.median(self.name, f"guests{count}", name, key)
                alone = results.median(self.name, "guests1", name, "work-per-second")
                work = get("work-per-second")
                lines.append([f"{count} on {name}", work, work / alone if work and alone else None, get("fairness"), get("memory")])
        return Part("Several virtual CPUs, several guests", [
            "parallel: a fixed amount of work shared by as many threads as there are virtual CPUs; locks: threads that contend "
            "for one mutex and one counter, where more CPUs cannot help. Guests side by side have one virtual CPU each and do "
            "the same work at the same time; fairness is the shortest of their times over the longest."],
            items + [Table(["speed-up", *names], speedups),
                     Table(["guests", "work per s", "against one guest", "fairness", "MiB each beyond RAM"], lines)])


def measured_seconds(outcome, chosen, problems):
    return {key: value for key, value in guests.measured(outcome, [row.key for row in chosen], problems).items()
            if not key.endswith("#")}
