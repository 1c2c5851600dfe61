"""Disk, network and timers: throughput, latency, and host CPU time per operation."""
import guests
import systems
from document import Part, Table
from peer import Peer
from rows import Row
from section import RowsSection, ratio_table
from store import Step

MIB = 1 << 20
DISK_MIB = 256


def plan(divisor):
    """(row, arguments of tools, operations) of what is measured."""
    def row(name, unit, higher=False):
        return Row(f"io/{name}", "io", unit, "io", higher_is_better=higher)

    def disk(kind, block, depth, count):
        return f"disk {kind} /dev/vda {block} {depth} {count // divisor}", count // divisor

    yield row("read-sequential", "MB/s", True), *disk("read", MIB, 1, 1024)
    yield row("write-sequential", "MB/s", True), *disk("write", MIB, 1, 512)
    yield row("read-4k-depth-1", "per s", True), *disk("randread", 4096, 1, 16000)
    yield row("write-4k-depth-1", "per s", True), *disk("randwrite", 4096, 1, 16000)
    yield row("read-4k-depth-16", "per s", True), *disk("randread", 4096, 16, 32000)
    yield row("write-4k-depth-16", "per s", True), *disk("randwrite", 4096, 16, 32000)
    yield row("net-send", "MB/s", True), f"net send 10.0.2.2 PORT {128 * MIB // divisor}", 128 * MIB // divisor // 1448
    yield row("net-receive", "MB/s", True), f"net receive 10.0.2.2 PORT {128 * MIB // divisor}", 128 * MIB // divisor // 1448
    yield row("net-round-trip", "us"), f"net ping 10.0.2.2 PORT {8000 // divisor}", 8000 // divisor
    yield row("timer-late-99%", "us"), f"timer {1000 // divisor}", 1000 // divisor


class Transfers(RowsSection):
    name = "io"

    def prepare(self):
        self.disk = guests.DIRECTORY / "scratch.img"
        if not self.disk.exists():
            block = bytes(range(256)) * 4096
            with open(self.disk, "wb") as f:
                for n in range(DISK_MIB):
                    f.write(n.to_bytes(4, "little") + block[4:])
        self.initrd = guests.make_initrd("io")
        self.plan = list(plan(4 if self.context.quick else 1))

    def rows(self):
        return [row for row, _, _ in self.plan]

    def measure(self, system):
        def boot(problems):
            with Peer() as port:
                lines = ["network_up || echo no network"]
                for row, words, _ in self.plan:
                    words = words.replace("PORT", str(port))
                    lines.append(f'echo "IO begin {row.key}"; sleep 0.3; echo "ROW {row.key} $(timeout 120 /bench/tools {words} 2>&1 | tail -n 1)"; '
                                 f'echo "IO end {row.key}"; sleep 0.3')
                marks = tuple(f"IO {edge} {row.key}" for row, _, _ in self.plan for edge in ("begin", "end"))
                run = guests.Run(self.initrd, "\n".join(lines), disk=self.disk, sample_at=marks)
                outcome = run.go(self.context.compared.machine(system), problems)
            values = guests.measured(outcome, [row.key for row, _, _ in self.plan], problems)
            for row, _, operations in self.plan:
                begin, end = (outcome.samples.get(f"IO {edge} {row.key}") for edge in ("begin", "end"))
                if begin and end:
                    values[f"{row.key}/cpu"] = (end.cpu_seconds - begin.cpu_seconds) / operations * 1e6
            return values

        return boot

    def part(self, results):
        base = "qemu" if results.of(self.name, "rows", "qemu") else "armvisor"
        names = [s.name for s in self.used()]
        items, _ = ratio_table(results, self.name, "rows", self.rows(), base, [n for n in names if n != base])
        lines = [[row.name, *[results.median(self.name, "rows", n, f"{row.key}/cpu") for n in names]] for row in self.rows()]
        return Part("Disk, network, timers", [
            "A raw disk by direct I/O, so that every operation reaches the device; TCP to a server on the host; sleeps of 1 ms. "
            "The network is the rootless one of each (armvisor --net user, QEMU -netdev user)."],
            items + [Table(["host CPU time per operation (of TCP: per 1,448 bytes), us", *names], lines)])
