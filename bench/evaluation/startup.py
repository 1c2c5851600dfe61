"""From the start of the process to user space and to its end, and what it takes of the host's memory and time."""
import guests
import systems
from document import Part
from rows import Row
from section import RowsSection, ratio_table

USER_SPACE, BEGIN, END = "BENCH user space", "IDLE begin", "IDLE end"
IDLE_S = 5


class Startup(RowsSection):
    name = "startup"

    def rows(self):
        return [Row(f"startup/{key}{suffix}", "startup", unit, "startup")
                for suffix in ("", "-4cpu") for key, unit in (("user-space", "s"), ("power-off", "s"))] + [
            Row("startup/memory-idle", "startup", "MiB", "startup"), Row("startup/idle-cpu", "startup", "%", "startup")]

    def boot(self, system, cpus):
        def measure(problems):
            idle = f"; sleep 2; echo {BEGIN}; sleep {IDLE_S}; echo {END}; sleep 1" if cpus == 0 else ""
            run = guests.Run(guests.assets.GUEST / "initrd.img", f"echo {USER_SPACE}{idle}", max(cpus, 1), sample_at=(BEGIN, END))
            outcome = run.go(self.context.compared.machine(system), problems)
            if cpus == 0:
                begin, end = outcome.samples.get(BEGIN), outcome.samples.get(END)
                if not begin or not end:
                    return {}
                return {"startup/memory-idle": end.other_mib,
                        "startup/idle-cpu": 100 * (end.cpu_seconds - begin.cpu_seconds) / (end.time - begin.time)}
            suffix = "" if cpus == 1 else f"-{cpus}cpu"
            when = outcome.time_of(USER_SPACE)
            return {f"startup/power-off{suffix}": outcome.seconds} | ({f"startup/user-space{suffix}": when} if when else {})

        return measure

    def steps(self):
        return [step for system in self.used() for name, cpus in (("1cpu", 1), ("4cpu", 4), ("idle", 0))
                for step in self.repetitions(name, system.name, self.boot(system, cpus))]

    def part(self, results):
        for system in self.used():  # one table of what three kinds of boot yield
            together = results.samples.setdefault((self.name, "rows", system.name), {})
            for name in ("1cpu", "4cpu", "idle"):
                together.update(results.of(self.name, name, system.name))
        base = "qemu" if results.of(self.name, "rows", "qemu") else "armvisor"
        items, _ = ratio_table(results, self.name, "rows", self.rows(), base, [s.name for s in self.used() if s.name != base])
        items[1].strong = []
        return Part("Start-up, memory, idle", [
            "Debian's armmp kernel and an initial RAM disk to a shell's first command and to power-off; the host memory beyond "
            "the guest's RAM, and the host CPU time of a guest that sleeps."], items)
