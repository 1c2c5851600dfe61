"""Virtual machines as processes: their command lines, their console with the time of each line, what they use of the host."""
import base64
import os
import platform
import re
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

MEMORY_MIB = 512


@dataclass(frozen=True)
class Net:
    """A network, as armvisor's --net and QEMU's -netdev say it."""
    ours: str
    qemu: str


@dataclass(frozen=True)
class Guest:
    """What is booted, on whatever machine."""
    kernel: Path
    initrd: Path
    append: str
    disk: Path
    cpus: int = 1
    disk_format: str = "raw"
    net: Net = Net("user", "user")


def append_running(commands):
    """Kernel command line with which the guest's init runs these shell commands and powers off."""
    return f"console=ttyAMA0 quiet armvisor.exec={base64.b64encode(commands.encode()).decode()}"


def host_description():
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {"cpu": model[1] if model else platform.machine(), "cores": len(os.sched_getaffinity(0)),
            "kernel": platform.release(), "load": os.getloadavg()[0]}


class Armvisor:
    name = "armvisor"
    ram_mapping = "memfd:armvisor-ram"

    def __init__(self, path, engine, options=()):
        self.path, self.engine, self.options = str(path), engine, list(options)
        self.environment = None

    def version(self):
        result = subprocess.run([self.path, "--version"], capture_output=True, text=True)
        lines = (result.stdout or result.stderr).strip().splitlines()
        return f"{'; '.join(lines) if result.returncode == 0 and lines else 'armvisor'}, --engine {self.engine}"

    def command(self, guest):
        return [self.path, "run", "--engine", self.engine, "--kernel", str(guest.kernel), "--initrd", str(guest.initrd),
                "--append", guest.append, "--memory", f"{MEMORY_MIB}M", "--cpus", str(guest.cpus), "--disk",
                f"{guest.disk},format={guest.disk_format}", "--net", guest.net.ours, "--no-reboot"] + self.options


class Qemu:
    name = "qemu"
    ram_mapping = "memfd:memory-backend-memfd"

    def __init__(self, path, libraries=None):
        self.path = str(path)
        self.environment = None
        if libraries:
            search = os.environ.get("LD_LIBRARY_PATH")
            self.environment = dict(os.environ, LD_LIBRARY_PATH=f"{libraries}:{search}" if search else str(libraries))

    def version(self):
        result = subprocess.run([self.path, "--version"], capture_output=True, text=True, env=self.environment)
        match = re.match(r"QEMU emulator version (.*)", result.stdout)
        return f"QEMU {match[1]}" if match else None

    def command(self, guest):
        return [self.path, "-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot",
                "-object", f"memory-backend-memfd,id=ram,size={MEMORY_MIB}M",
                "-machine", "virt,highmem=off,gic-version=2,memory-backend=ram", "-cpu", "cortex-a15",
                "-accel", "tcg,thread=multi", "-m", f"{MEMORY_MIB}M", "-smp", str(guest.cpus),
                "-kernel", str(guest.kernel), "-initrd", str(guest.initrd), "-append", guest.append,
                "-drive", f"if=none,id=disk,format={guest.disk_format},file={guest.disk}", "-device", "virtio-blk-device,drive=disk",
                "-netdev", f"{guest.net.qemu},id=net", "-device", "virtio-net-device,netdev=net", "-device", "virtio-rng-device"]


@dataclass
class Sample:
    """What a process uses of the host at one moment."""
    time: float
    cpu_seconds: float
    ram_mib: float  # guest RAM that was touched
    other_mib: float  # everything else that is resident


@dataclass
class Outcome:
    """One boot: from the start of the process to its end."""
    status: int
    seconds: float
    lines: list = field(default_factory=list)  # (seconds since the start, text)
    samples: dict = field(default_factory=dict)  # line that asked for it -> Sample
    timed_out: bool = False

    def text(self):
        return [line for _, line in self.lines]

    def time_of(self, line):
        return next((when for when, text in self.lines if text == line), None)


def parse_smaps(text, ram_mapping):
    """(MiB of the mappings whose name contains ram_mapping, MiB of the others), by proportional set size."""
    ram = other = 0
    in_ram = False
    for line in text.splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            in_ram = ram_mapping in line
        elif line.startswith("Pss:"):
            kib = int(line.split()[1])
            ram, other = (ram + kib, other) if in_ram else (ram, other + kib)
    return ram / 1024, other / 1024


def sample(pid, ram_mapping, begin):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    now = time.monotonic() - begin
    ram, other = parse_smaps(Path(f"/proc/{pid}/smaps").read_text(), ram_mapping)
    return Sample(now, cpu, ram, other)


def boot(machine, guest, timeout, sample_at=(), echo=None):
    """Runs the guest to its end; takes a sample of the process whenever the console says one of `sample_at`."""
    begin = time.monotonic()
    outcome = Outcome(-1, 0)
    process = subprocess.Popen(machine.command(guest), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, env=machine.environment)

    def end():
        outcome.timed_out = True
        process.kill()

    timer = threading.Timer(timeout, end)
    timer.start()
    try:
        for raw in process.stdout:
            line = raw.decode(errors="replace").rstrip("\r\n")
            outcome.lines.append((time.monotonic() - begin, line))
            if line in sample_at:
                outcome.samples[line] = sample(process.pid, machine.ram_mapping, begin)
            if echo:
                echo(line)
        outcome.status = process.wait()
        outcome.seconds = time.monotonic() - begin
    finally:
        timer.cancel()
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()
    return outcome
