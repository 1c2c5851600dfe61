"""What is measured: one row per line of the tables, and the sessions (boots of a machine) that yield them."""
import re
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = Path(__file__).resolve().parent / "programs" / "programs.inc"
LMBENCH = "/bench/lmbench"  # in the guest

GROUPS = {
    "boot": "Boot",
    "integer": "Integer and pointer programs",
    "float": "Floating-point programs",
    "simd": "Advanced SIMD programs",
    "lmbench": "LMBench",
    "smp": "Several virtual CPUs",
    "idle": "Idle guest",
    "memory": "Host memory beyond the guest's RAM",
    "systemd": "Debian with systemd from a disk",
}


@dataclass(frozen=True)
class Row:
    """One measured quantity. `session` is the boot that yields it; `command`, what the guest runs for it."""
    key: str
    group: str
    unit: str
    session: str
    command: str = ""
    higher_is_better: bool = False
    native: bool = False  # the host can run it too
    compared: bool = True  # a ratio makes sense

    @property
    def name(self):
        return self.key.split("/", 1)[1]


def program_lines(path=PROGRAMS):
    """(name, group, iterations) of the lines of programs.inc."""
    found = re.findall(r"^PROGRAM\((\w+), (\w+), (\d+)\)$", path.read_text(), re.MULTILINE)
    return [(name, group, int(iterations)) for name, group, iterations in found]


def lmbench_rows():
    common = "-N 3"

    def row(name, command, unit="us", higher=False):
        return Row(f"lmbench/{name}", "lmbench", unit, "rows", f"{LMBENCH}/{command}", higher)

    yield row("syscall-null", f"lat_syscall {common} null")
    yield row("syscall-read", f"lat_syscall {common} read")
    yield row("syscall-stat", f"lat_syscall {common} stat /tmp/file")
    yield row("syscall-open", f"lat_syscall {common} open /tmp/file")
    yield row("signal-install", f"lat_sig {common} install")
    yield row("signal-catch", f"lat_sig {common} catch")
    yield row("pipe", f"lat_pipe {common}")
    yield row("unix", f"lat_unix {common}")
    yield row("ctx-2p-0k", f"lat_ctx {common} -s 0 2")
    yield row("ctx-8p-16k", f"lat_ctx {common} -s 16 8")
    yield row("fork", f"lat_proc {common} fork")
    yield row("exec", f"lat_proc {common} exec")
    yield row("shell", f"lat_proc {common} shell")
    yield row("pagefault", f"lat_pagefault {common} /tmp/file")
    yield row("mmap", f"lat_mmap {common} 1m /tmp/file")
    for kind in ("rd", "wr", "cp"):
        yield row(f"bw-mem-{kind}", f"bw_mem {common} 4m {kind}", "MB/s", True)
    yield row("bw-pipe", f"bw_pipe {common} -M 4m", "MB/s", True)


def all_rows():
    rows = [
        Row("boot/user-space", "boot", "s", "boot"),
        Row("boot/power-off", "boot", "s", "boot"),
        Row("boot/user-space-4cpu", "boot", "s", "boot4"),
        Row("boot/power-off-4cpu", "boot", "s", "boot4"),
    ]
    for name, group, _ in program_lines():
        rows.append(Row(f"{group}/{name}", group, "s", "rows", f"/bench/programs {name}", native=True))
    rows += lmbench_rows()
    for cpus, session in ((1, "rows"), (2, "smp2"), (4, "smp4")):
        for load in ("parallel", "locks"):
            rows.append(Row(f"smp/{load}-{cpus}", "smp", "s", session, f"/bench/programs {load} {cpus}", native=True))
    rows += [
        Row("idle/host-cpu", "idle", "%", "idle", compared=False),
        Row("memory/idle", "memory", "MiB", "idle"),
        Row("memory/after-load", "memory", "MiB", "rows"),
        Row("systemd/multi-user-1cpu", "systemd", "s", "systemd1"),
        Row("systemd/power-off-1cpu", "systemd", "s", "systemd1"),
        Row("systemd/multi-user-4cpu", "systemd", "s", "systemd4"),
        Row("systemd/power-off-4cpu", "systemd", "s", "systemd4"),
    ]
    return rows


SESSION_CPUS = {"boot": 1, "boot4": 4, "rows": 1, "smp2": 2, "smp4": 4, "idle": 1, "systemd1": 1, "systemd4": 4}


def guest_script(rows):
    """What the guest's shell runs to measure these rows, printing a line "ROW key output" for each."""
    lines = [
        # LMBench without its long calibration: the same on every machine.
        "export ENOUGH=100000 TIMING_O=0 LOOP_O=0",
        "cp /bench/lmbench/hello /tmp/hello 2>/dev/null",
        "dd if=/dev/zero of=/tmp/file bs=64k count=64 2>/dev/null",
        "echo ROWS begin",
    ]
    for row in rows:
        if row.command:
            lines.append(f'echo "ROW {row.key} $(timeout 120 {row.command} 2>&1 | tail -n 1)"')
    return "\n".join(lines + ["echo ROWS end", "sleep 1", "echo ROWS sampled"]) + "\n"


@dataclass(frozen=True)
class Reading:
    """One row's outcome in one session: a value in the row's unit and, of a program, its checksum."""
    value: float
    checksum: str = ""


def parse_program(text):
    """Reading of "PROGRAM name checksum nanoseconds", None if it is not that."""
    match = re.fullmatch(r"PROGRAM \w+ ([0-9a-f]{16}) (\d+)", text.strip())
    return Reading(int(match[2]) / 1e9, match[1]) if match else None


def parse_lmbench(text):
    """Reading of the last line that a program of LMBench prints: its last number, before the unit."""
    match = re.search(r"(?:^|[\s:])(\d+(?:\.\d+)?)(?: microseconds| MB/sec)?\s*$", text)
    return Reading(float(match[1])) if match else None


def parse_console(lines):
    """{key: Reading} of the lines "ROW key output" of a session."""
    found = {}
    for line in lines:
        match = re.match(r"ROW (\S+) (.*)", line)
        if match:
            reading = parse_program(match[2]) or parse_lmbench(match[2])
            if reading:
                found[match[1]] = reading
    return found


def row_text(lines, key):
    """What the guest said for a row, whether it can be read or not."""
    start = f"ROW {key} "
    return next((line[len(start):].strip() for line in lines if line.startswith(start)), "")
