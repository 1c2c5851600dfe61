"""Sockets between programs of a real guest (AF_VSOCK) and of the host (Unix sockets)."""
import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path

from support import GUEST, STATUS, Session, linux_arguments

COMPILER = "arm-linux-gnueabihf-gcc"
EXERCISER = Path(__file__).resolve().parent / "vsock_exerciser.c"
MODULES = ("vsock", "vmw_vsock_virtio_transport_common", "vmw_vsock_virtio_transport")
SETUP = ("mkdir -p /tools && modprobe 9pnet_virtio && mount -t 9p -o trans=virtio,version=9p2000.L tools /tools\n" +
         "".join(f"insmod /tools/{name}.ko\n" for name in MODULES))


def received(connection):
    data = b""
    while piece := connection.recv(65536):
        data += piece
    return data


@unittest.skipUnless(shutil.which(COMPILER), f"needs {COMPILER}")
class Vsock(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name)
        self.tools = self.path / "tools"
        self.tools.mkdir()
        subprocess.run([COMPILER, "-O1", "-static", "-o", self.tools / "exerciser", EXERCISER], check=True)
        for name in MODULES:
            shutil.copy(next((GUEST / "linux-armmp").rglob(f"{name}.ko")), self.tools)

    def session(self, commands, *options):
        return Session(*linux_arguments(SETUP + commands), "--share", f"{self.tools}:tools,ro", "--vsock",
                       f"cid=42,path={self.path}/v", "--timeout", "1000", *options)

    def call(self, port):
        """A connection to a port of the guest, and what was said first."""
        connection = socket.socket(socket.AF_UNIX)
        self.addCleanup(connection.close)
        connection.settimeout(600)
        connection.connect(f"{self.path}/v")
        connection.sendall(f"CONNECT {port}\n".encode())
        answer = b""
        while not answer.endswith(b"\n") and (byte := connection.recv(1)):
            answer += byte
        return connection, answer

    def exercise(self, *options):
        listening = socket.socket(socket.AF_UNIX)
        self.addCleanup(listening.close)
        listening.bind(f"{self.path}/v_6000")
        listening.listen()
        commands = ("/tools/exerciser serve 5000 2\n"
                    "echo question | /tools/exerciser call 6000; /tools/exerciser call 6001 < /dev/null\n")
        with self.session(commands, *options) as guest:
            guest.expect("serving 5000")
            self.assertEqual(self.call(5001)[1], b"", "nobody listens there")
            data = os.urandom(3_000_000)
            # More than anybody keeps: what is sent back must be read meanwhile.
            connection, answer = self.call(5000)
            self.assertRegex(answer, rb"^OK \d+\n$")
            sender = threading.Thread(target=lambda: (connection.sendall(data), connection.shutdown(socket.SHUT_WR)))
            sender.start()
            back = received(connection)
            sender.join()
            self.assertEqual(len(back), len(data))
            self.assertEqual(hashlib.sha256(back).digest(), hashlib.sha256(data).digest())
            guest.expect("served 3000000 bytes of CID 2")
            # A program that goes in the middle leaves the guest's an end, or an error, and others as they are.
            hasty, _ = self.call(5000)
            hasty.sendall(b"x")
            hasty.close()
            guest.expect("served|write")
            called, _ = listening.accept()
            called.settimeout(600)
            self.assertEqual(received(called), b"question\n")
            called.sendall(b"an answer of the host\n")
            called.close()
            guest.expect("an answer of the host")
            guest.expect("connect: Connection reset by peer")
            self.assertEqual(guest.finish(), STATUS["PoweredOff"])
        self.assertFalse((self.path / "v").exists())

    def test_programs_of_both_sides_talk(self):
        self.exercise("--cpus", "2")

    def test_on_pci_too(self):
        self.exercise("--virtio", "pci")


if __name__ == "__main__":
    unittest.main()
