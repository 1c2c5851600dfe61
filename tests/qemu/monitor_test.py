"""Monitors and character devices: machines that are driven over QMP, by commands for people, and by their serial lines."""
import hashlib
import json
import os
import re
import select
import shutil
import socket
import subprocess
import time
import unittest
from pathlib import Path

import support
from boot_test import append
from contract_test import ECHO
from support import GUEST, Folder, connect

boot_support = support.load_boot_support()
POWER_OFF, RESET, SLEEP, CRASH, PUT_A = (getattr(boot_support, name) for name in ("POWER_OFF", "RESET", "SLEEP", "CRASH", "PUT_A"))
END = 120  # seconds in which what ends must have ended, however busy the host
COUNT = 300_000  # more than sockets and the program hold
PUT_MANY = (PUT_A[:3] + [0xE3003000 | COUNT & 0xFFF | (COUNT & 0xF000) << 4, 0xE3403000 | COUNT >> 16] +
            [0xE5812000, 0xE2533001, 0x1AFFFFFC])
FLOOD = PUT_A + [0xEAFFFFFD]


class Connection:
    """A socket of the machine's, once it is there."""

    def __init__(self, path, family=socket.AF_UNIX):
        self.socket = connect(path, END, family)
        self.data = b""

    def send(self, data):
        self.socket.sendall(data)

    def until(self, text):
        """What comes up to a text, with it."""
        while text not in self.data:
            more = self.socket.recv(65536)
            assert more, f"the end, after {self.data[-2000:]}"
            self.data += more
        end = self.data.index(text) + len(text)
        data, self.data = self.data[:end], self.data[end:]
        return data

    def rest(self):
        while more := self.socket.recv(65536):
            self.data += more
        return self.data

    def close(self):
        self.socket.close()


class Qmp(Connection):
    def __init__(self, path, negotiate=True):
        super().__init__(str(path))
        self.events = []
        self.greeting = json.loads(self.until(b"\r\n"))
        if negotiate:
            self.ask("qmp_capabilities")

    def answer(self):
        while True:
            message = json.loads(self.until(b"\r\n"))
            if "event" not in message:
                return message
            self.events.append(message)

    def ask(self, command, **arguments):
        self.send(json.dumps({"execute": command, "arguments": arguments}).encode())
        message = self.answer()
        assert "return" in message, message
        return message["return"]

    def human(self, line):
        return self.ask("human-monitor-command", **{"command-line": line})

    def event(self, name):
        """The data of the next event of that name; others before it are forgotten."""
        while True:
            while self.events:
                event = self.events.pop(0)
                if event["event"] == name:
                    assert event["timestamp"]["seconds"] > 1_600_000_000
                    return event.get("data")
            self.events.append(json.loads(self.until(b"\r\n")))

    def status(self):
        return self.ask("query-status")["status"]


class Machines(unittest.TestCase):
    def setUp(self):
        self.folder = Folder().__enter__()
        self.addCleanup(self.folder.__exit__)
        self.path = self.folder.path

    def guest(self, words):
        boot_support.write_code(self.path / "guest.bin", words)
        return ["-M", "virt", "-display", "none", "-nic", "none", "-kernel", "guest.bin"]

    def start(self, *words, **keywords):
        process = self.folder.start(*words, **keywords)

        def end():
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    stream.close()
        self.addCleanup(end)
        return process

    def connect(self, name):
        connection = Connection(str(self.path / name))
        self.addCleanup(connection.close)
        return connection

    def qmp(self, name="qmp", **keywords):
        connection = Qmp(self.path / name, **keywords)
        self.addCleanup(connection.close)
        return connection


QMP = ["-qmp", "unix:qmp,server=on,wait=off"]


class Qmps(Machines):
    def test_a_machine_is_asked_and_ended(self):
        process = self.start(*self.guest(SLEEP), *QMP, "-name", "n", "-smp", "2", "-uuid", "12345678-1234-1234-1234-123456789abc")
        qmp = self.qmp()
        self.assertEqual(qmp.greeting["QMP"]["version"]["qemu"], {"micro": 2, "minor": 0, "major": 10})
        self.assertEqual(qmp.ask("query-status"), {"status": "running", "running": True})
        self.assertEqual(qmp.ask("query-name"), {"name": "n"})
        self.assertEqual(qmp.ask("query-uuid"), {"UUID": "12345678-1234-1234-1234-123456789abc"})
        cpus = qmp.ask("query-cpus-fast")
        self.assertEqual([cpu["cpu-index"] for cpu in cpus], [0, 1])
        for cpu in cpus:
            self.assertEqual(Path(f"/proc/{process.pid}/task/{cpu['thread-id']}/comm").read_text(), f"vcpu{cpu['cpu-index']}\n")
        self.assertEqual(qmp.ask("query-chardev"), [{"frontend-open": True, "filename": "unix:qmp,server=on", "label": "compat_monitor0"}])
        self.assertIn({"name": "query-block"}, qmp.ask("query-commands"))
        self.assertEqual(qmp.human("info version"), "10.0.2" + qmp.ask("query-version")["package"] + "\r\n")
        # A vCPU that sleeps in WFI, seen while the machine runs: the program, and its registers.
        self.assertIn("cortex-a15", [cpu["name"] for cpu in qmp.ask("query-cpu-definitions")])
        code = f"{SLEEP[0]:#010x} {SLEEP[1]:#010x}\r\n"
        self.assertEqual(qmp.human("xp /2wx 0x40010000"), "0000000040010000: " + code)
        self.assertEqual(qmp.human("x /2wx 0x40010000"), "40010000: " + code)
        self.assertEqual(qmp.human("xp /1wx 0x09000fe0"), "0000000009000fe0: 0x00000011\r\n", "the UART's")
        self.assertIn("Cannot access memory", qmp.human("xp /1wx 0x0f000000"))
        registers = qmp.human("info registers -a")
        self.assertRegex(registers, r"CPU#0\r\nR00=00000000 R01=[0-9a-f]{8} .*\r\n[^#]*R15=4001000[04]\r\nPSR=[0-9a-f]{8} ....? A svc32\r\n")
        self.assertRegex(registers, r"CPU#1\r\n[^#]*R15=00000000\r\n")
        self.assertEqual(qmp.status(), "running")
        qmp.ask("quit")
        self.assertEqual(qmp.event("SHUTDOWN"), {"guest": False, "reason": "host-qmp-quit"})
        self.assertEqual(qmp.rest(), b"")
        self.assertEqual(process.wait(END), 0)
        self.assertFalse((self.path / "qmp").exists(), "the socket's name goes with it")

    def test_stopped_at_the_start(self):
        self.start(*self.guest(PUT_A + SLEEP), *QMP, "-S", "-serial", "unix:serial,server=on,wait=off")
        qmp, serial = self.qmp(), self.connect("serial")
        self.assertEqual(qmp.ask("query-status"), {"status": "prelaunch", "running": False})
        self.assertEqual(qmp.human("info status"), "VM status: paused (prelaunch)\r\n")
        serial.socket.setblocking(False)
        self.assertRaises(BlockingIOError, serial.socket.recv, 1)
        serial.socket.settimeout(END)
        qmp.ask("cont")
        self.assertIsNone(qmp.event("RESUME"))
        self.assertEqual(serial.until(b"A"), b"A")
        qmp.ask("stop")
        self.assertIsNone(qmp.event("STOP"))
        self.assertEqual(qmp.status(), "paused")

    def test_a_reset_by_the_monitor(self):
        self.start(*self.guest(PUT_A + SLEEP), *QMP, "-serial", "unix:serial,server=on,wait=on")
        serial, qmp = self.connect("serial"), self.qmp()
        serial.until(b"A")
        for _ in range(3):
            qmp.ask("system_reset")
            self.assertEqual(qmp.event("RESET"), {"guest": False, "reason": "host-qmp-system-reset"})
            serial.until(b"A")
        qmp.ask("stop")
        qmp.ask("system_reset")
        qmp.event("RESET")
        self.assertEqual(qmp.status(), "prelaunch")
        qmp.ask("cont")
        serial.until(b"A")

    def test_how_the_guest_ends_is_told(self):
        for code, options, status, data in ((POWER_OFF, [], 0, {"guest": True, "reason": "guest-shutdown"}),
                                            (RESET, ["-no-reboot"], 0, {"guest": True, "reason": "guest-reset"}),
                                            (CRASH, [], 1, {"guest": True, "reason": "guest-panic"})):
            process = self.start(*self.guest(code), *QMP, *options, "-S")
            qmp = self.qmp()
            qmp.ask("cont")
            if code == CRASH:
                self.assertEqual(qmp.event("GUEST_PANICKED"), {"action": "poweroff"})
            self.assertEqual(qmp.event("SHUTDOWN"), data)
            self.assertEqual(process.wait(END), status)

    def test_a_machine_that_is_off_can_be_kept(self):
        process = self.start(*self.guest(POWER_OFF), *QMP, "-S", "-no-shutdown")
        qmp = self.qmp()
        for _ in range(2):
            qmp.ask("cont")
            self.assertEqual(qmp.event("SHUTDOWN"), {"guest": True, "reason": "guest-shutdown"})
            qmp.event("STOP")
            self.assertEqual(qmp.status(), "shutdown")
            qmp.send(b'{"execute":"cont"}')
            self.assertEqual(qmp.answer()["error"]["desc"], "Resetting the Virtual Machine is required")
            qmp.ask("system_reset")
            qmp.event("RESET")
            self.assertEqual(qmp.status(), "prelaunch")
        qmp.ask("quit")
        self.assertEqual(process.wait(END), 0)

    def test_a_panic_that_the_guest_tells_of(self):
        pvpanic = ["-M", "virt,highmem=off", "-device", "pvpanic-pci", *QMP, "-S"]
        run = {"action": "run"}
        # Options, what is written; events, and what then is: a status of the machine's or of the process's.
        for options, value, events, end in (
                (["-action", "panic=pause"], 1, [("GUEST_PANICKED", {"action": "pause"}), ("STOP", None)], "guest-panicked"),
                (["-no-shutdown"], 3, [("GUEST_PANICKED", {"action": "pause"}), ("STOP", None)], "guest-panicked"),
                (["-action", "panic=none"], 1, [("GUEST_PANICKED", run)], "running"),
                ([], 2, [("GUEST_CRASHLOADED", run)], "running"),
                ([], 1, [("GUEST_PANICKED", {"action": "poweroff"}), ("STOP", None),
                         ("SHUTDOWN", {"guest": True, "reason": "guest-panic"})], 0),
                (["-action", "panic=exit-failure"], 1,
                 [("GUEST_PANICKED", {"action": "poweroff"}), ("STOP", None),
                  ("SHUTDOWN", {"guest": True, "reason": "guest-panic"})], 1),
                ([], 4, [("GUEST_PVSHUTDOWN", None), ("SHUTDOWN", {"guest": True, "reason": "guest-shutdown"})], 0)):
            with self.subTest(options=options, value=value):
                process = self.start(*self.guest(boot_support.tell_pvpanic(value) + SLEEP), *pvpanic, *options)
                qmp = self.qmp()
                qmp.ask("cont")
                self.assertIsNone(qmp.event("RESUME"))
                for name, data in events:
                    self.assertEqual(qmp.event(name), data)
                if isinstance(end, int):
                    self.assertEqual(process.wait(END), end)
                    continue
                self.assertEqual(qmp.status(), end)
                if end == "guest-panicked":
                    self.assertEqual(qmp.human("info status"), "VM status: paused (guest-panicked)\r\n")
                    qmp.ask("cont")
                    self.assertIsNone(qmp.event("RESUME"))
                    self.assertEqual(qmp.status(), "running")
                qmp.ask("quit")
                self.assertEqual(process.wait(END), 0)

    def test_a_watchdog_that_is_not_reloaded(self):
        over = {"guest": True, "reason": "guest-reset"}
        for options, action, event, data, end in (
                (["-device", "i6300esb"], "reset", "RESET", over, "running"),
                (["-watchdog", "i6300esb", "-no-reboot"], "reset", "SHUTDOWN", over, 0),
                (["-device", "i6300esb", "-action", "watchdog=pause"], "pause", "STOP", None, "watchdog"),
                (["-device", "i6300esb", "-watchdog-action", "shutdown"], "shutdown", "POWERDOWN", None, "running"),
                (["-device", "i6300esb", "-watchdog-action", "none"], "none", None, None, "running"),
                (["-device", "i6300esb", "-watchdog-action", "poweroff"], "poweroff", None, None, 0)):
            with self.subTest(options=options):
                process = self.start(*self.guest(boot_support.start_watchdog() + SLEEP), "-M", "virt,highmem=off", *QMP, "-S",
                                     *options)
                qmp = self.qmp()
                qmp.ask("cont")
                self.assertEqual(qmp.event("WATCHDOG"), {"action": action})
                if event:
                    self.assertEqual(qmp.event(event), data)
                if end != 0:
                    self.assertEqual(qmp.status(), end)
                    qmp.ask("quit")
                self.assertEqual(process.wait(END), 0)

    def test_what_a_guest_has_free_goes_back_to_the_host(self):
        commands = ("modprobe virtio_balloon; dd if=/dev/zero of=/big bs=1M count=200 2> /dev/null; echo FILLED; read line; "
                    "rm /big; echo FREED; read line; free | grep Mem; cat /bin/busybox | md5sum")
        process = self.start("-M", "virt", "-m", "512", "-display", "none", "-nic", "none", "-kernel", GUEST / "zImage-armmp",
                             "-initrd", GUEST / "initrd-pci.img", "-append", append(commands), "-no-reboot",
                             "-device", "virtio-balloon-device,free-page-reporting=on",
                             "-serial", "unix:serial,server=on,wait=on", *QMP)
        serial, qmp = self.connect("serial"), self.qmp()
        ram = next(fd for fd in Path(f"/proc/{process.pid}/fd").iterdir() if "armvisor-ram" in os.readlink(fd))

        def wait_until_it_has_at_most(mib):
            deadline = time.monotonic() + END
            while (held := os.stat(ram).st_blocks * 512 >> 20) > mib:
                self.assertLess(time.monotonic(), deadline, f"{held} MiB")
                time.sleep(0.2)

        serial.until(b"FILLED")
        self.assertGreater(os.stat(ram).st_blocks * 512 >> 20, 200)
        serial.send(b"\n")
        serial.until(b"FREED")
        wait_until_it_has_at_most(130)  # reported free, two seconds later
        self.assertEqual(qmp.ask("query-balloon"), {"actual": 512 << 20})
        qmp.ask("balloon", value=200 << 20)
        while qmp.event("BALLOON_CHANGE") != {"actual": 200 << 20}:
            pass
        self.assertEqual(qmp.human("info balloon"), "balloon: actual=200\r\n")
        qmp.ask("balloon", value=400 << 20)
        while qmp.event("BALLOON_CHANGE") != {"actual": 400 << 20}:
            pass
        serial.send(b"\n")
        output = serial.until(b"  -")
        self.assertIn(hashlib.md5((GUEST / "busybox" / "bin" / "busybox").read_bytes()).hexdigest().encode(), output)
        qmp.ask("quit")
        self.assertEqual(process.wait(END), 0)

    def test_clients_come_go_and_misbehave(self):
        process = self.start(*self.guest(SLEEP), *QMP)
        for data in (b"", b'{"execute":', b"\0\xff" * 10_000, b'{"a":' * 50_000, b"x" * 1_000_000, b'"' + b"y" * 1_000_000,
                     b'{"execute":"query-commands"}' * 2000):
            qmp = self.qmp()
            try:
                qmp.send(data)
            except OSError:
                pass
            qmp.close()
        reads_nothing = self.qmp()
        reads_nothing.socket.setblocking(False)
        try:
            for _ in range(100_000):
                reads_nothing.send(b'{"execute":"query-commands"}')
        except BlockingIOError:
            pass  # commands are not taken any more
        reads_nothing.close()
        qmp = self.qmp()
        self.assertEqual(qmp.status(), "running")
        qmp.ask("quit")
        self.assertEqual(process.wait(END), 0)

    def test_ports_are_forwarded_while_it_runs_and_after_a_reset(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.start(*self.guest(SLEEP)[:-4], "-kernel", "guest.bin", "-netdev", "user,id=net0,net=192.168.5.0/24", "-device",
                   "virtio-net-device,netdev=net0", *QMP)
        qmp = self.qmp()
        self.assertIn("\\ net0: index=0,type=user,net=192.168.5.0,restrict=off", qmp.human("info network"))
        self.assertEqual(qmp.human(f"hostfwd_add net0 tcp:127.0.0.1:{port}-:22"), "")
        Connection(("127.0.0.1", port), socket.AF_INET).close()
        qmp.ask("system_reset")
        qmp.event("RESET")
        Connection(("127.0.0.1", port), socket.AF_INET).close()
        self.assertEqual(qmp.human(f"hostfwd_remove net0 tcp:127.0.0.1:{port}"),
                         f"host forwarding rule for tcp:127.0.0.1:{port} removed\r\n")
        with socket.socket() as probe:
            self.assertNotEqual(probe.connect_ex(("127.0.0.1", port)), 0)
        self.assertIn("unrecognized netdev id 'no'", qmp.human("hostfwd_add no tcp::1-:1"))

    def test_qmp_on_standard_input_and_output_and_a_serial_line_that_connects(self):
        """As labgrid's QEMUDriver starts it."""
        listening = socket.socket(socket.AF_UNIX)
        self.addCleanup(listening.close)
        listening.bind(str(self.path / "serialrw"))
        listening.listen(1)
        process = self.start(*self.guest(ECHO), "-S", "-qmp", "stdio", "-chardev", "socket,id=serialsocket,path=serialrw", "-serial",
                             "chardev:serialsocket")
        serial, _ = listening.accept()
        self.addCleanup(serial.close)
        self.assertIn("QMP", json.loads(process.stdout.readline()))
        for command in ("qmp_capabilities", "cont"):
            process.stdin.write(json.dumps({"execute": command}).encode() + b"\n")
            while "return" not in json.loads(process.stdout.readline()):
                pass
        serial.sendall(b"hello")
        serial.settimeout(END)
        data = b""
        while len(data) < 5:
            data += serial.recv(5 - len(data))
        self.assertEqual(data, b"hello")
        process.stdin.write(b'{"execute":"quit"}\n')
        self.assertEqual(process.wait(END), 0)


class People(Machines):
    def test_commands_on_a_socket(self):
        process = self.start(*self.guest(SLEEP), "-monitor", "unix:mon,server,nowait")
        mon = self.connect("mon")
        mon.until(b"QEMU 10.0.2 monitor - type 'help' for more information\r\n(qemu) ")
        mon.send(b"info status\n")
        self.assertTrue(mon.until(b"(qemu) ").endswith(b"info status\x1b[K\r\nVM status: running\r\n(qemu) "))
        mon.send(b"quit\n")
        self.assertTrue(mon.rest().endswith(b"quit\x1b[K\r\n"))
        self.assertEqual(process.wait(END), 0)

    def test_a_console_that_is_shared_with_the_monitor(self):
        for words in (["-nographic"], ["-display", "none", "-serial", "mon:stdio"],
                      ["-display", "none", "-chardev", "stdio,id=c,mux=on", "-serial", "chardev:c", "-mon", "chardev=c"]):
            self.guest(ECHO)
            process = self.start("-M", "virt", "-nic", "none", "-kernel", "guest.bin", *words)

            def read(*texts):
                self.read_until(process, *texts)
            process.stdin.write(b"ab")
            read(b"ab")
            process.stdin.write(b"\x01c")
            read(b"monitor - type 'help' for more information\r\n(qemu) ")
            process.stdin.write(b"stop\ninfo status\n")
            read(b"VM status: paused\r\n(qemu) ")
            process.stdin.write(b"\x01ccd\x01ccont\n")
            read(b"cont\x1b[K\r\n")
            read(b"(qemu) ", b"c", b"d")  # in any order: the guest runs
            process.stdin.write(b"\x01cx\x01h")
            read(b"C-a c    switch between console and monitor\n\r")
            process.stdin.write(b"\x01x")
            read(b"QEMU: Terminated\n\r")
            self.assertEqual(process.wait(END), 0)

    def read_until(self, process, *texts):
        """Byte by byte: what comes behind the last of them is left."""
        data = b""
        while not all(text in data for text in texts):
            ready, _, _ = select.select([process.stdout], [], [], END)
            more = os.read(process.stdout.fileno(), 1) if ready else b""
            self.assertTrue(more, data)
            data += more


class Serials(Machines):
    def echo(self, connection, data=b"hello"):
        connection.send(data)
        self.assertEqual(connection.until(data), data)

    def test_clients_of_a_line_come_and_go(self):
        self.start(*self.guest(ECHO), "-serial", "unix:serial,server=on,wait=off")
        for _ in range(5):
            serial = self.connect("serial")
            self.echo(serial)
            serial.close()

    def test_tcp_and_telnet(self):
        for kind in ("tcp", "telnet"):
            process = self.start(*self.guest(ECHO), "-serial", f"{kind}:127.0.0.1:0,server=on,wait=on")
            line = process.stderr.readline().decode()
            port = int(re.search(rf"waiting for connection on: disconnected:{kind}:127\.0\.0\.1:(\d+),server=on", line)[1])
            serial = Connection(("127.0.0.1", port), socket.AF_INET)
            self.addCleanup(serial.close)
            if kind == "telnet":
                serial.until(b"\xff\xfb\x01\xff\xfb\x03\xff\xfb\x00\xff\xfd\x00")
                serial.send(b"\xff\xfd\x01\xff\xfd\x03\xff\xfa\x1f\0\x50\0\x18\xff\xf0")
            self.echo(serial)
            process.terminate()
            self.assertEqual(process.wait(END), 0)

    def test_the_machine_starts_when_the_client_is_there(self):
        process = self.start(*self.guest(PUT_A + POWER_OFF), "-serial", "unix:serial,server")
        serial = self.connect("serial")
        self.assertEqual(serial.rest(), b"A")
        self.assertEqual(process.wait(END), 0)

    def test_a_start_that_waits_for_a_client_can_be_ended(self):
        process = self.start(*self.guest(POWER_OFF), "-serial", "unix:serial,server")
        self.assertIn("waiting for connection", process.stderr.readline().decode())
        process.terminate()
        self.assertEqual(process.wait(END), 0)

    def test_a_line_without_a_peer_is_a_start_that_fails(self):
        process = self.folder.qemu(*self.guest(POWER_OFF), "-serial", "unix:nobody")
        self.assertEqual(process.returncode, 1)
        self.assertIn("unix:nobody", process.stderr)

    def test_a_slow_reader_gets_everything(self):
        process = self.start(*self.guest(PUT_MANY + POWER_OFF), "-serial", "unix:serial,server", "-nodefaults", *QMP)
        serial = self.connect("serial")
        qmp = self.qmp()
        time.sleep(0.5)
        self.assertEqual(qmp.status(), "running", "a monitor answers while output is held back")
        got = 0
        while got < COUNT:
            got += len(serial.socket.recv(65536))
        self.assertEqual(got, COUNT)
        self.assertEqual(process.wait(END), 0)

    def test_a_guest_that_waits_for_its_reader_can_be_stopped(self):
        self.start(*self.guest(PUT_MANY + PUT_MANY + POWER_OFF), "-serial", "unix:serial,server", *QMP)
        serial, qmp = self.connect("serial"), self.qmp()
        time.sleep(1)
        qmp.ask("stop")
        self.assertEqual(qmp.status(), "paused")
        qmp.ask("cont")
        got = 0
        while got < 2 * COUNT:
            got += len(serial.socket.recv(65536))
        self.assertEqual(got, 2 * COUNT)
        self.assertEqual(qmp.event("SHUTDOWN"), {"guest": True, "reason": "guest-shutdown"})

    def test_a_peer_that_reads_nothing_keeps_nobody(self):
        process = self.start(*self.guest(FLOOD), "-serial", "unix:serial,server", *QMP)
        serial = self.connect("serial")
        qmp = self.qmp()
        for command in ("stop", "cont", "system_reset"):
            qmp.ask(command)
        qmp.event("RESET")
        qmp.ask("quit")
        self.assertEqual(process.wait(END), 0)
        serial.close()

    def test_daemonize_returns_when_the_sockets_are_there(self):
        process = self.folder.qemu(*self.guest(SLEEP), "-daemonize", "-pidfile", "pid", *QMP, "-serial", "unix:serial,server,nowait")
        self.assertEqual((process.returncode, process.stderr), (0, ""))
        for name in ("qmp", "serial", "pid"):
            self.assertTrue((self.path / name).exists(), name)
        qmp = self.qmp()
        qmp.ask("quit")
        qmp.rest()

    def test_a_copy_of_the_output_and_pipes(self):
        os.mkfifo(self.path / "p.in")
        os.mkfifo(self.path / "p.out")
        process = self.start(*self.guest(ECHO), "-chardev", "pipe,id=c,path=p,logfile=log", "-serial", "chardev:c")
        with open(self.path / "p.in", "wb", buffering=0) as to, open(self.path / "p.out", "rb", buffering=0) as back:
            to.write(b"hellq")
            data = b""
            while len(data) < 5:
                data += back.read(5)
            self.assertEqual(data, b"hellq")
        self.assertEqual(process.wait(END), 0)
        self.assertEqual((self.path / "log").read_bytes(), b"hellq")


@unittest.skipUnless(GUEST.joinpath("zImage-armmp").exists(), "needs build/guest")
class Systems(Machines):
    """Debian's kernel."""

    def linux(self, commands, *more):
        for name, target in {"zImage": "zImage-armmp", "initrd": "initrd.img"}.items():
            (self.path / name).symlink_to(GUEST / target)
        return ["-M", "virt", "-display", "none", "-nic", "none", "-m", "256", "-kernel", "zImage", "-append", append(commands), *more,
                "-serial", "unix:serial,server", *QMP]

    def test_the_guests_time_stands_still_while_it_is_stopped(self):
        process = self.start(*self.linux("echo READY; i=0; while [ $i -lt 40 ]; do cut -d' ' -f1 /proc/uptime; sleep 0.1; i=$((i+1)); done",
                                         "-initrd", "initrd"))
        serial, qmp = self.connect("serial"), self.qmp()
        serial.until(b"READY")
        qmp.ask("stop")
        time.sleep(5)
        qmp.ask("cont")
        times = [float(x) for x in re.findall(rb"^(\d+\.\d+)\r?$", serial.rest(), re.M)]
        self.assertEqual(process.wait(END), 0)
        self.assertGreater(len(times), 30)
        self.assertLess(times[-1] - times[0], 4 + 5 + 20, times)
        self.assertLess(max(b - a for a, b in zip(times, times[1:])), 4.5, "five seconds of the host's do not show")

    @unittest.skipUnless(shutil.which("cpio"), "needs cpio")
    def test_the_power_key_is_one_that_programs_see(self):
        """As systemd-logind and acpid do, by evdev: type EV_KEY, code KEY_POWER, pressed and let go."""
        module = next((GUEST / "linux-armmp").glob("lib/modules/*/kernel/drivers/input/evdev.ko"))
        shutil.copy(module, self.path / "evdev.ko")
        more = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], input=b"evdev.ko\n", cwd=self.path, stdout=subprocess.PIPE, check=True)
        data = (GUEST / "initrd.img").read_bytes()
        (self.path / "with-evdev").write_bytes(data + bytes(-len(data) % 4) + more.stdout)
        commands = ("insmod /evdev.ko; for i in 1 2 3 4 5; do [ -e /dev/input/event0 ] || sleep 1; done; "
                    "exec 3< /dev/input/event0; echo READY; dd bs=16 count=4 <&3 2>/dev/null | od -v -A n -t x2 | cut -d' ' -f 6-; echo SEEN")
        process = self.start(*self.linux(commands, "-initrd", "with-evdev"))
        serial, qmp = self.connect("serial"), self.qmp()
        serial.until(b"READY")
        qmp.ask("system_powerdown")
        self.assertIsNone(qmp.event("POWERDOWN"))
        seen = serial.until(b"SEEN")
        # type, code, value (two halves): key pressed, report, key released, report
        self.assertRegex(seen.replace(b"\r", b""), rb"0001 0074 0001 0000\s+0000 0000 0000 0000\s+0001 0074 0000 0000\s+0000 0000 0000 0000")
        self.assertEqual(qmp.event("SHUTDOWN"), {"guest": True, "reason": "guest-shutdown"})
        self.assertEqual(process.wait(END), 0)

    def test_ports_of_virtio_serial(self):
        for form in ("false", "true"):
            for name in ("zImage", "initrd"):
                (self.path / name).unlink(missing_ok=True)
            commands = ("for p in /sys/class/virtio-ports/*; do echo PORT $(cat $p/name 2>/dev/null) ${p##*/}; done; "
                        "exec 3<>/dev/vport0p1; echo to the host >&3; head -n 1 <&3; echo by hvc > /dev/hvc0; sleep 1")
            process = self.start(*self.linux(commands, "-initrd", "initrd"), "-global", f"virtio-mmio.force-legacy={form}", "-device",
                                 "virtio-serial-device", "-chardev", "socket,id=a,path=port,server=on,wait=off", "-device",
                                 "virtserialport,chardev=a,name=org.test.port", "-chardev", "file,id=b,path=hvc", "-device",
                                 "virtconsole,chardev=b")
            port = self.connect("port")
            serial = self.connect("serial")
            port.until(b"to the host\n")
            port.send(b"to the guest\n")
            output = serial.rest()
            self.assertIn(b"PORT org.test.port vport0p1", output)
            self.assertIn(b"to the guest", output)
            self.assertIn("by hvc", (self.path / "hvc").read_text())
            self.assertEqual(process.wait(END), 0)


if __name__ == "__main__":
    unittest.main()
