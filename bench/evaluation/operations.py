"""What operations of the operating system cost in traps: armvisor's counters, beside what the architecture itself takes
(exceptions that QEMU logs) and what QEMU does (its TLB flushes)."""
import json
import re
import socket
import tempfile
import time
from pathlib import Path

import guests
import systems
from document import Part, Table
from section import Section

# operation -> (what the guest runs, how many operations that is)
OPERATIONS = {
    "nothing": ("true", 1),
    "program": ("i=0; while [ $i -lt 50 ]; do /bench/tools null; i=$((i + 1)); done", 50),
    "syscall": ("/bench/tools do syscall 20000 >/dev/null", 20000),
    "switch": ("/bench/tools do switch 5000 >/dev/null", 10000),
    "pagefault": ("/bench/tools do pagefault 4000 >/dev/null", 4000),
    "fork": ("/bench/tools do fork 200 >/dev/null", 200),
    "exec": ("/bench/tools do exec 200 >/dev/null", 200),
}
TITLES = {"program": "a program that does nothing, run by a shell", "syscall": "system call", "switch": "context switch over a pipe",
          "pagefault": "page fault, with its share of mmap and munmap", "fork": "fork, exit and wait", "exec": "fork, exec, exit and wait"}
EXCEPTIONS = {"SVC": "SVC", "Data Abort": "data abort", "Prefetch Abort": "prefetch abort", "IRQ": "IRQ",
              "Undefined Instruction": "undefined"}
TAKEN = ("fast.svc", "light.svc", "heavy.svc", "light.data-abort", "heavy.data-abort", "heavy.undefined", "heavy.bkpt",
         "exception.irq", "exception.fiq", "exception.prefetch-abort")
RETURNS = ("fast.return", "light.return", "heavy.return")
FILLS = ("shadow.hidden-data", "shadow.hidden-exec")
FLUSHES = ("shadow.tlbi-all", "shadow.tlbi-asid", "shadow.tlbi-va", "shadow.tlbi-va-all")


def per_operation(windows):
    """{operation: {name: number for one}}, of {operation: {name: number in its window}}."""
    nothing, found = windows.get("nothing", {}), {}
    for operation, (_, count) in OPERATIONS.items():
        if operation == "nothing" or operation not in windows:
            continue
        # What runs the others is one start of the program.
        base = dict(nothing)
        if operation != "program" and "program" in windows:
            for name, value in windows["program"].items():
                base[name] = base.get(name, 0) + max(0, value - nothing.get(name, 0)) / OPERATIONS["program"][1]
        found[operation] = {name: max(0, value - base.get(name, 0)) / count for name, value in windows[operation].items()}
    return found


class Monitor:
    """QEMU's monitor, asked at the edges of the operations."""

    def __init__(self, path):
        self.path, self.socket = path, None

    def ask(self, command):
        if not self.socket:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(10)
            self.socket.connect(self.path)
            self.until_prompt()
        self.socket.sendall(command.encode() + b"\n")
        return self.until_prompt()

    def until_prompt(self):
        data = b""
        while not data.endswith(b"(qemu) "):
            data += self.socket.recv(1 << 16)
        return data.decode(errors="replace")


class Operations(Section):
    name = "operations"

    def prepare(self):
        self.initrd = guests.make_initrd("operations")

    def steps(self):
        names = [systems.DEFAULT, *systems.LEVELS, *systems.POLICIES[:2]]
        steps = [step for s in names for step in self.repetitions("counts", s.name, self.counts(s), 1)]
        if self.context.compared.has(systems.QEMU):
            steps += self.repetitions("exceptions", "qemu", self.qemu(True), 1)
            steps += self.repetitions("flushes", "qemu", self.qemu(False), 1)
        return steps

    def counts(self, system):
        def measure(problems):
            with tempfile.TemporaryDirectory(prefix="armvisor-bench-") as directory:
                stats = Path(directory) / "stats.json"
                lines = ["modprobe armvisor_hints"]
                for operation, (command, _) in OPERATIONS.items():
                    lines += [command, f"echo begin {operation} > /dev/armvisor", command, f"echo end {operation} > /dev/armvisor"]
                machine = self.context.compared.machine(system, (f"--stats=json:{stats}",))
                guests.Run(self.initrd, "\n".join(lines)).go(machine, problems)
                marks = {m["name"]: m["total"] for m in json.loads(stats.read_text())["marks"]}
            windows = {name: total["counters"] for name, total in marks.items()}
            return {f"{operation}/{name}": value for operation, values in per_operation(windows).items()
                    for name, value in values.items() if value}

        return measure

    def qemu(self, exceptions):
        def measure(problems):
            with tempfile.TemporaryDirectory(prefix="armvisor-bench-") as directory:
                log, monitor = Path(directory) / "log", Monitor(f"{directory}/monitor")
                machine = self.context.compared.machine(systems.QEMU)
                command = machine.command
                machine.command = lambda guest: command(guest) + ["-monitor", f"unix:{monitor.path},server,nowait"] + (
                    ["-d", "int", "-D", str(log)] if exceptions else [])
                edges = {}

                def line(text):
                    if text.startswith("OP "):
                        time.sleep(0.3)  # the guest sleeps; let it come to rest
                        edges[text] = log_counts(log) if exceptions else flush_counts(monitor.ask("info jit"))

                script = []
                for operation, (run, _) in OPERATIONS.items():
                    script += [run, f"echo OP begin {operation}", "sleep 1", run, f"echo OP end {operation}", "sleep 1"]
                guests.Run(self.initrd, "\n".join(script), each_line=line).go(machine, problems)
            windows = {}
            for operation in OPERATIONS:
                begin, end = edges.get(f"OP begin {operation}"), edges.get(f"OP end {operation}")
                if begin is not None and end is not None:
                    windows[operation] = {name: end[name] - begin.get(name, 0) for name in end}
                else:
                    problems.append(f"{operation} was not seen")
            return {f"{operation}/{name}": value for operation, values in per_operation(windows).items()
                    for name, value in values.items()}

        return measure

    def part(self, results):
        def value(name, system, operation, keys):
            found = results.of(self.name, name, system)
            values = [found.get(f"{operation}/{key}", [0])[0] for key in keys]
            return sum(values) if found else None

        def classes(system, operation, prefix):
            found = results.of(self.name, "counts", system)
            return sum(v[0] for k, v in found.items() if k.startswith(f"{operation}/{prefix}.")) if found else None

        table = []
        for operation, title in TITLES.items():
            table.append([title, value("exceptions", "qemu", operation, EXCEPTIONS.values()),
                          value("counts", "armvisor", operation, TAKEN),
                          *[classes("armvisor", operation, prefix) for prefix in ("fast", "light", "heavy")],
                          value("counts", "armvisor", operation, FILLS), value("counts", "armvisor", operation, FLUSHES),
                          value("flushes", "qemu", operation, ("full", "partial"))])
        levels = [[TITLES[operation]] + [classes(s.name, operation, "heavy") for s in (systems.DEFAULT, *systems.LEVELS)]
                  + [value("counts", s.name, operation, FILLS) for s in (systems.DEFAULT, *systems.POLICIES[:2])]
                  for operation in TITLES]
        return Part("What operations cost in traps", [
            "Counts for one operation. The architecture's exceptions are those that QEMU logs (-d int); armvisor's must be "
            "as many. Fast traps stay in generated code, light ones call a function, heavy ones leave for the "
            "dispatcher. A refill is a translation that the software TLB did not have; QEMU's flushes drop all or part of its TLB."],
            [Table(["operation", "exceptions (QEMU's log)", "exceptions", "fast", "light", "heavy", "refills", "TLB maintenance",
                    "QEMU: TLB flushes"], table),
             Table(["operation", "heavy: drfa+fit", "heavy: drfa", "heavy: all", "refills: asid", "refills: flush", "refills: rmap"], levels)])


def log_counts(path):
    found = dict.fromkeys(EXCEPTIONS.values(), 0)
    if path.exists():
        with open(path, errors="replace") as log:
            for line in log:
                match = re.match(r"Taking exception \d+ \[(.*?)\]", line)
                if match and match[1] in EXCEPTIONS:
                    found[EXCEPTIONS[match[1]]] += 1
    return found


def flush_counts(text):
    def count(name):
        match = re.search(rf"TLB {name} flushes\s+(\d+)", text)
        return int(match[1]) if match else 0

    return {"full": count("full"), "partial": count("partial"), "elided": count("elided")}
