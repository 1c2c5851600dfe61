"""Files of packets: the same as QEMU's for the same traffic, and whole however the machine ends."""
import shutil
import struct
import subprocess
import unittest
from pathlib import Path

from boot_test import append
from support import ARMVISOR, GUEST, Folder, load_boot_support

boot_support = load_boot_support()
PING = ("ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0; "
        "ping -c 3 -s 100 10.0.2.2; echo asked")
FLOOD = "ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0; while :; do ping -c 20 -s 1000 -i 0.001 10.0.2.2; done"


def packets(path):
    """(length, bytes that are there) of each; an error if the file is not whole."""
    data = Path(path).read_bytes()
    assert struct.unpack("=IHHIII", data[:20] )[:3] == (0xa1b2c3d4, 2, 4), data[:24]
    found, at = [], 24
    while at < len(data):
        _, micros, kept, size = struct.unpack("=IIII", data[at:at + 16])
        assert micros < 1_000_000 and at + 16 + kept <= len(data), f"{path} is cut off"
        found.append((size, data[at + 16:at + 16 + kept]))
        at += 16 + kept
    return found


def gist(found):
    """What is the same in every run: addresses, protocol, kind and length; of IPv4 and ARP alone."""
    told = []
    for size, frame in found:
        kind = frame[12:14]
        if kind == b"\x08\x06":
            told.append(("arp", frame[:12].hex(), frame[20:22].hex(), frame[22:42].hex()))
        elif kind == b"\x08\x00":
            told.append(("ip", size, frame[:12].hex(), frame[23], frame[26:34].hex(), frame[34:36].hex()))
    return told


class Dump(unittest.TestCase):
    def setUp(self):
        self.folder = Folder().__enter__()
        self.addCleanup(self.folder.__exit__)

    def line(self, commands, file):
        return ["-M", "virt", "-nographic", "-no-reboot", "-m", "256", "-nodefaults", "-serial", "stdio", "-kernel",
                str(GUEST / "zImage-armmp"), "-initrd", str(GUEST / "initrd.img"), "-append", append(commands), "-netdev",
                "user,id=n", "-device", "virtio-net-device,netdev=n", "-object",
                f"filter-dump,id=d,netdev=n,file={file}", "-object",
                f"filter-dump,id=e,netdev=n,file={file}.short,maxlen=64"]

    def check_ping(self):
        result = self.folder.qemu(*self.line(PING, "ours"), timeout=600)
        self.assertEqual(result.returncode, 0, result.stdout[-2000:] + result.stderr)
        ours = packets(self.folder.path / "ours")
        echoes = [p for p in gist(ours) if p[0] == "ip" and p[3] == 1]
        self.assertEqual([p[5] for p in echoes], ["0800", "0000"] * 3, "three requests, each with its reply")
        self.assertEqual({p[1] for p in echoes}, {14 + 20 + 8 + 100})
        short = packets(self.folder.path / "ours.short")
        self.assertEqual([size for size, _ in short], [size for size, _ in ours])
        self.assertEqual(max(len(frame) for _, frame in short), 64)
        return gist(ours)

    def test_a_ping(self):
        self.check_ping()

    @unittest.skipUnless(shutil.which("qemu-system-arm"), "needs qemu-system-arm")
    def test_a_ping_is_what_qemu_dumps(self):
        ours = self.check_ping()
        qemu = subprocess.run([shutil.which("qemu-system-arm"), *self.line(PING, self.folder.path / "qemu")],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=900)
        self.assertEqual(qemu.returncode, 0, qemu.stdout[-2000:] + qemu.stderr)
        theirs = gist(packets(self.folder.path / "qemu"))
        # When the host asks for the guest's address (ARP) depends on the version of libslirp.
        answered = lambda told: [p for p in told if p[0] == "ip"]
        self.assertEqual(answered(ours), answered(theirs))

    def test_a_machine_that_is_killed_leaves_whole_packets(self):
        with boot_support.Session(*boot_support.linux_arguments(f"echo begins; {FLOOD}"), "--net",
                                  f"user,pcap={self.folder.path / 'killed'}") as session:
            session.expect("begins")
            session.expect("20 packets transmitted")
            session.expect("20 packets transmitted")
            session.process.kill()
            session.process.wait()
        self.assertGreater(len(packets(self.folder.path / "killed")), 80)


if __name__ == "__main__":
    unittest.main()
