"""What bench/io has guests do: one line of bench/evaluation/tools.c per load."""
import re
from dataclasses import dataclass

MIB = 1 << 20
PACKET = 1448  # bytes of TCP data in a packet of the network


@dataclass(frozen=True)
class Load:
    name: str
    unit: str
    command: str  # of tools; PORT is the server's
    operations: int
    device: str  # whose steps are looked at
    higher_is_better: bool = True

    def mark(self, edge):
        return f"IO {edge} {self.name}"

    def script(self, port):
        """Pauses on both sides, so that what the host counts is this load's alone."""
        command = self.command.replace("PORT", str(port))
        return (f'sleep 0.2; echo "{self.mark("begin")}"; sleep 0.3; echo "VALUE {self.name} $(/bench/tools {command} 2>&1 | tail -n 1)"; '
                f'sleep 0.1; echo "{self.mark("end")}"; sleep 0.3')

    def value(self, lines):
        for line in lines:
            found = re.fullmatch(rf"VALUE {re.escape(self.name)} (\d+(?:\.\d+)?)", line)
            if found and float(found[1]) > 0:
                return float(found[1])
        return None

    def us_per_operation(self, value):
        """Of wall-clock time."""
        if self.unit == "us":
            return value
        if self.unit == "per s":
            return 1e6 / value
        block = int(self.command.split()[3]) if self.command.startswith("disk") else PACKET
        return block / value


def plan(divisor):
    def disk(name, unit, kind, block, depth, count):
        count //= divisor
        return Load(name, unit, f"disk {kind} /dev/vda {block} {depth} {count}", count, "virtio-blk")

    yield disk("read-sequential", "MB/s", "read", MIB, 1, 512)
    yield disk("write-sequential", "MB/s", "write", MIB, 1, 256)
    yield disk("read-4k-depth-1", "per s", "randread", 4096, 1, 16000)
    yield disk("write-4k-depth-1", "per s", "randwrite", 4096, 1, 16000)
    yield disk("read-4k-depth-16", "per s", "randread", 4096, 16, 16000)
    yield disk("write-4k-depth-16", "per s", "randwrite", 4096, 16, 16000)
    size = 64 * MIB // divisor
    yield Load("net-send", "MB/s", f"net send 10.0.2.2 PORT {size}", size // PACKET, "virtio-net")
    yield Load("net-receive", "MB/s", f"net receive 10.0.2.2 PORT {size}", size // PACKET, "virtio-net")
    pings = 8000 // divisor
    yield Load("net-round-trip", "us", f"net ping 10.0.2.2 PORT {pings}", pings, "virtio-net", higher_is_better=False)
