"""Two machines, each at one end of a socket: the second pings the first and gets a file from it."""
import os
import shutil
import socket
import subprocess
import time
import unittest

from boot_test import NETWORK, append
from support import GUEST, Folder, load_boot_support

boot_support = load_boot_support()

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

    def test_by_options_of_run(self):
        """armvisor run --net stream=..., by a Unix socket."""
        place = f"stream=unix:{self.folder.path}/s"
        with boot_support.Session(*boot_support.linux_arguments(FIRST), "--net", f"{place},server") as first:
            second = boot_support.run(*boot_support.linux_arguments(SECOND), "--net", f"{place},reconnect=1,mac=52:54:00:00:00:02",
                                      timeout=600)
            self.assertEqual(second.returncode, 0, second.stdout[-2000:] + second.stderr)
            self.assertIn("a file of the first", second.stdout)
            self.assertEqual(first.finish(600), 0, first.text[-2000:])

    def test_by_a_switch_with_the_user_network_on_it(self):
        """The one that started the switch ends first; nothing of the switch is left when the second has ended, too."""
        environment = {**os.environ, "XDG_RUNTIME_DIR": str(self.folder.path)}
        with boot_support.Session(*boot_support.linux_arguments(FIRST), "--net", "switch=test", env=environment) as first:
            second = boot_support.run(*boot_support.linux_arguments(f"{SECOND}; ip addr flush dev eth0; {NETWORK}; ping -c 1 10.0.2.2"),
                                      "--net", "switch=test,user", timeout=600, env=environment)
            self.assertEqual(second.returncode, 0, second.stdout[-2000:] + second.stderr)
            self.assertIn("a file of the first", second.stdout)
            self.assertIn("ADDRESS 10.0.2.15/24", second.stdout)
            self.assertIn("1 packets received", second.stdout)
            self.assertEqual(first.finish(600), 0, first.text[-2000:])
        deadline = time.monotonic() + 60
        while list((self.folder.path / "armvisor").iterdir()) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(list((self.folder.path / "armvisor").iterdir()), [])

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


HELPER = """#!/usr/bin/env python3
import array, fcntl, socket, struct, subprocess, sys
words = dict(word.lstrip("-").split("=") for word in sys.argv[2:])
assert sys.argv[1] == "--use-vnet" and set(words) == {"fd", "br"}, sys.argv
tap = open("/dev/net/tun", "r+b", buffering=0)
name = fcntl.ioctl(tap, 0x400454ca, struct.pack("16sH22x", b"avtest%d", 0x0002 | 0x1000 | 0x4000))[:16].split(b"\\0")[0].decode()
subprocess.run(["ip", "addr", "add", words["br"], "dev", name], check=True)
subprocess.run(["ip", "link", "set", name, "up"], check=True)
sender = socket.socket(fileno=int(words["fd"]))
sender.sendmsg([b" "], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [tap.fileno()]))])
"""
PING = "ip link set eth0 up; ip addr add 10.77.0.2/24 dev eth0; ping -c 3 -W 20 10.77.0.1"


def can_make_taps():
    return os.geteuid() == 0 and os.access("/dev/net/tun", os.W_OK) and shutil.which("ip")


class Bridge(unittest.TestCase):
    @unittest.skipUnless(can_make_taps(), "needs root, /dev/net/tun and ip")
    def test_an_interface_that_a_helper_opens(self):
        """The helper is one of ours; the bridge is the interface itself, with an address of the host's."""
        with Folder() as folder:
            helper = folder.path / "helper"
            helper.write_text(HELPER)
            helper.chmod(0o755)
            for network in (f"bridge,id=n,br=10.77.0.1/24,helper={helper}", f"tap,id=n,br=10.77.0.1/24,helper={helper}"):
                result = folder.qemu(*Link.line(None, PING, network), timeout=600)
                self.assertEqual(result.returncode, 0, result.stdout[-2000:] + result.stderr)
                self.assertIn("3 packets received", result.stdout)


if __name__ == "__main__":
    unittest.main()
