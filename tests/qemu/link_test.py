"""Two machines, each at one end of a socket: the second pings the first and gets a file from it."""
import shutil
import socket
import subprocess
import unittest

from boot_test import append
from support import GUEST, Folder

FIRST = "ip link set eth0 up; ip addr add 10.9.0.1/24 dev eth0; echo a file of the first > f; nc -l -p 7 < f"
SECOND = ("ip link set eth0 up; ip addr add 10.9.0.2/24 dev eth0; "
          "until ping -c 1 -W 2 10.9.0.1 >/dev/null; do :; done; "
          "until nc 10.9.0.1 7 > got && [ -s got ]; do sleep 1; done; cat got")


class Link(unittest.TestCase):
    def setUp(self):
        self.folder = Folder().__enter__()
        self.addCleanup(self.folder.__exit__)

    def line(self, commands, network):
        return ["-M", "virt", "-nographic", "-no-reboot", "-m", "256", "-nodefaults", "-serial", "stdio", "-kernel",
                str(GUEST / "zImage-armmp"), "-initrd", str(GUEST / "initrd.img"), "-append", append(commands), "-netdev", network,
                "-device", "virtio-net-device,netdev=n"]

    def check(self, first, second, second_program=None):
        started = self.folder.start(*self.line(FIRST, first))
        try:
            other = subprocess.run([second_program or str(self.folder.program), *self.line(SECOND, second)], cwd=self.folder.path,
                                   stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=600)
            self.assertEqual(other.returncode, 0, other.stdout[-2000:] + other.stderr)
            self.assertIn("a file of the first", other.stdout)
            output, errors = started.communicate(timeout=600)
            self.assertEqual(started.returncode, 0, output[-2000:] + errors)
        finally:
            started.kill()
            started.communicate()

    def test_by_a_unix_socket(self):
        self.check("stream,id=n,server=on,addr.type=unix,addr.path=s",
                   "stream,id=n,server=off,addr.type=unix,addr.path=s,reconnect-ms=100")

    @unittest.skipUnless(shutil.which("qemu-system-arm"), "needs qemu-system-arm")
    def test_by_tcp_with_qemu_at_the_other_end(self):
        with socket.socket() as spare:
            spare.bind(("127.0.0.1", 0))
            place = f"127.0.0.1:{spare.getsockname()[1]}"
        # QEMU does not connect again, so it is the one that listens.
        qemu = subprocess.Popen([shutil.which("qemu-system-arm"), *self.line(FIRST, f"socket,id=n,listen={place}")],
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            host, port = place.split(":")
            other = self.folder.qemu(*self.line(SECOND, f"stream,id=n,addr.type=inet,addr.host={host},addr.port={port},reconnect=1"),
                                     timeout=900)
            self.assertEqual(other.returncode, 0, other.stdout[-2000:] + other.stderr)
            self.assertIn("a file of the first", other.stdout)
        finally:
            qemu.kill()
            qemu.wait()


if __name__ == "__main__":
    unittest.main()
