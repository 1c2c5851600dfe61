"""The sandbox around a real guest: a machine that has many devices does something with each while it is narrowed."""
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from support import ARMVISOR, RESET, SLEEP, STATUS, Session, linux_arguments, raw_kernel, run

COMMANDS = """
ip link set eth0 up; udhcpc -i eth0 -q -n -t 5 -T 2 -s /etc/udhcpc.script >/dev/null 2>&1
modprobe 9pnet_virtio; mkdir -p /share; mount -t 9p -o trans=virtio,version=9p2000.L share /share
cat /share/given > /share/taken; mv /share/taken /share/folder/moved; ln -s moved /share/folder/link; rm /share/given
dd if=/dev/vda bs=512 count=1 2>/dev/null | head -c 3; echo " RAW"
dd if=/bin/busybox of=/dev/vdb bs=64k count=8 2>/dev/null; sync; echo WRITTEN
echo served > /index.html; httpd -p 80 -h / 2>/dev/null; echo READY
read line; echo GOT $line
"""


def threads(process):
    """Name and status file of each thread."""
    for task in Path(f"/proc/{process.pid}/task").iterdir():
        fields = dict(line.split(":", 1) for line in (task / "status").read_text().splitlines() if ":" in line)
        yield fields["Name"].strip(), {key: value.strip() for key, value in fields.items()}


def connect(path, deadline=120):
    end = time.monotonic() + deadline
    while True:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(deadline)
        try:
            connection.connect(str(path))
            return connection
        except OSError:
            connection.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def supported():
    return "Seccomp:" in Path("/proc/self/status").read_text()


@unittest.skipUnless(supported(), "this host has no lists of system calls")
class Sandbox(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.path = Path(holder.name)

    def check_threads(self, process):
        seen = 0
        for name, status in threads(process):
            self.assertEqual((status["Seccomp"], status["NoNewPrivs"]), ("2", "1"), f"the thread {name} is not narrowed")
            seen += 1
        self.assertGreater(seen, 3)

    @unittest.skipUnless(shutil.which("qemu-nbd"), "needs qemu-utils")
    def test_a_machine_with_many_devices_has_all_of_them(self):
        raw, qcow2, share = self.path / "disk", self.path / "disk.qcow2", self.path / "share"
        raw.write_bytes(b"raw" + bytes(1 << 20))
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", qcow2, "16M"], check=True)
        (share / "folder").mkdir(parents=True)
        (share / "given").write_text("from the host")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        name = f"sandbox-{os.getpid()}"
        with Session(*linux_arguments(COMMANDS), "--sandbox", "on", "--disk", raw, "--disk", qcow2, "--share", share, "--net",
                     f"user,hostfwd=tcp:127.0.0.1:{port}-:80,pcap={self.path}/packets", "--vsock", f"path={self.path}/v",
                     "--gdb", f"unix:{self.path}/gdb", "--name", name, "--stats", "--balloon", "--cpus", "2", "--timeout",
                     "1000") as guest:
            guest.expect("raw RAW")
            guest.expect("WRITTEN")
            guest.expect("READY")
            self.check_threads(guest.process)
            counters = subprocess.run([ARMVISOR, "stat", name], capture_output=True, text=True, timeout=60)
            self.assertEqual(counters.returncode, 0, counters.stderr)
            with connect(self.path / "v") as vsock:  # vsock_test has a driver, which this guest has not
                vsock.sendall(b"CONNECT 9\n")
            with socket.create_connection(("127.0.0.1", port), 120) as web:
                web.sendall(b"GET /index.html HTTP/1.0\r\n\r\n")
                data = b""
                while piece := web.recv(4096):
                    data += piece
            self.assertIn(b"served", data)
            guest.send("typed\n")
            guest.expect("GOT typed")
            self.assertEqual(guest.finish(), STATUS["PoweredOff"], guest.process.stderr.read())
        self.assertEqual((share / "folder" / "moved").read_text(), "from the host")
        self.assertTrue((share / "folder" / "link").is_symlink())
        self.assertFalse((share / "given").exists())
        self.assertGreater((self.path / "packets").stat().st_size, 500)
        for socket_name in ("v", "gdb"):
            self.assertFalse((self.path / socket_name).exists(), f"{socket_name} was left behind")

    def qemu(self, *words):
        link = self.path / "qemu-system-arm"
        if not link.exists():
            link.symlink_to(ARMVISOR)
        return subprocess.Popen([link, "-M", "virt", "-nographic", "-serial", "none", "-monitor", "none", *words],
                                cwd=self.path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def command(self, stream, name, **arguments):
        stream.write(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
        stream.flush()
        while "event" in (answer := json.loads(stream.readline())):
            pass
        return answer

    def test_a_monitor_has_pictures_written_by_name_but_over_nothing_else(self):
        kernel = raw_kernel(self.path / "sleep", SLEEP).split("@")[0]
        (self.path / "precious").write_text("text")
        machine = self.qemu("-device", f"loader,file={kernel},addr=0x40200000,cpu-num=0", "-device", "virtio-gpu-pci", "-qmp",
                            "unix:qmp,server=on,wait=off", "-netdev", "user,id=n", "-device", "virtio-net-pci,netdev=n",
                            "-sandbox", "on,spawn=deny")
        self.addCleanup(machine.communicate)
        self.addCleanup(machine.kill)
        with connect(self.path / "qmp") as qmp, qmp.makefile("rwb") as stream:
            stream.readline()
            self.command(stream, "qmp_capabilities")
            self.check_threads(machine)
            self.assertEqual(self.command(stream, "screendump", filename="picture.ppm"), {"return": {}})
            self.assertEqual(self.command(stream, "screendump", filename="picture.ppm"), {"return": {}})
            self.assertIn("something else", self.command(stream, "screendump", filename="precious")["error"]["desc"])
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            for _ in range(2):
                self.assertEqual(self.command(stream, "system_reset"), {"return": {}})
            self.assertEqual(self.command(stream, "human-monitor-command",
                                          **{"command-line": f"hostfwd_add tcp:127.0.0.1:{port}-:22"}), {"return": ""})
            self.command(stream, "quit")
            output, errors = machine.communicate(timeout=120)
        self.assertEqual(machine.returncode, 0, output + errors)
        self.assertTrue((self.path / "picture.ppm").read_bytes().startswith(b"P6\n640 480\n255\n"))
        self.assertEqual((self.path / "precious").read_text(), "text")

    def test_off_is_off(self):
        kernel = raw_kernel(self.path / "sleep", SLEEP)
        for off in (True, False):
            with Session("run", "--kernel", kernel, "--name", f"off-{os.getpid()}", "--console", f"unix:{self.path}/c,server",
                         *(("--sandbox", "off") if off else ())) as machine:
                connection = connect(self.path / "c")
                self.addCleanup(connection.close)
                deadline = time.monotonic() + 60
                while len(list(threads(machine.process))) < 4 or (
                        not off and "Seccomp:\t0" in Path(f"/proc/{machine.process.pid}/status").read_text()):
                    self.assertLess(time.monotonic(), deadline)
                    time.sleep(0.05)
                for name, status in threads(machine.process):
                    self.assertEqual((status["Seccomp"], status["NoNewPrivs"]), ("0", "0") if off else ("2", "1"), name)

    def test_resets_make_the_machine_again_inside(self):
        kernel = raw_kernel(self.path / "reset", RESET)
        started = run("run", "--kernel", kernel, "--net", "user", "--timeout", "3", "--stats")
        self.assertEqual(started.returncode, STATUS["TimedOut"], started.stderr)

    def test_bad_words_are_refused(self):
        self.assertEqual(run("run", "--kernel", "x", "--sandbox", "maybe").returncode, STATUS["BadArguments"])


if __name__ == "__main__":
    unittest.main()
