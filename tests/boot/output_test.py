"""Readers of output that are slow or gone hold up no end of a machine; files that are to be written are safe until all
else is right."""
import errno
import fcntl
import os
import pty
import signal
import socket
import subprocess
import tempfile
import termios
import time
import unittest
from pathlib import Path

from support import POWER_OFF, PUT_A, SLEEP, STATUS, Session, command_line, raw_kernel, run

FLOOD = PUT_A + [0xEAFFFFFD]  # the UART's register again and again
COUNT = 300_000  # more than a pipe and the program hold
PUT_MANY = (PUT_A[:3] + [0xE3003000 | COUNT & 0xFFF | (COUNT & 0xF000) << 4, 0xE3403000 | COUNT >> 16] +  # r3 = COUNT
            [0xE5812000, 0xE2533001, 0x1AFFFFFC])  # until it is 0
END = 60  # seconds in which what ends at once must have ended, however busy the host


def fill(fd):
    """Writes until there is no room, without changing the descriptor for others who have it open."""
    own = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK)
    for size in (4096, 1):
        try:
            while True:
                os.write(own, b"." * size)
        except BlockingIOError:
            pass
    os.close(own)


class Directory(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.path = Path(self.directory.name)

    def guest(self, code):
        return raw_kernel(self.path / "guest.bin", code)


class Readers(Directory):
    """Nobody reads, in each way."""

    def sinks(self):
        read, write = os.pipe()
        yield "pipe", read, write
        main, far = pty.openpty()
        yield "terminal", main, far
        ours, theirs = socket.socketpair()
        yield "socket", ours.detach(), theirs.detach()

    def start(self, code, *options, **where):
        process = subprocess.Popen(command_line(["run", "-k", self.guest(code), *options]),
                                   **{"stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE, **where})
        self.addCleanup(process.kill)
        return process

    def end_of(self, process):
        _, errors = process.communicate(timeout=END)
        return process.returncode, (errors or b"").decode()

    def wait_until_it_blocks(self, process):
        """Until the guest makes no progress: every thread sleeps, several times in a row."""
        quiet, deadline = 0, time.monotonic() + END
        while quiet < 10:
            self.assertLess(time.monotonic(), deadline, "the machine does not come to rest")
            states = [Path(task, "stat").read_text().rsplit(")", 1)[1].split()[0]
                      for task in Path(f"/proc/{process.pid}/task").iterdir()]
            quiet = quiet + 1 if len(states) > 2 and all(state == "S" for state in states) else 0
            time.sleep(0.02)

    def test_output_that_nobody_reads_ends_with_the_time(self):
        for name, ours, theirs in self.sinks():
            with self.subTest(name):
                status, errors = self.end_of(self.start(FLOOD, "--timeout", "1", stdout=theirs))
                self.assertEqual(status, STATUS["TimedOut"], errors)
                self.assertRegex(errors, "nobody read the last [0-9]+ bytes")
                self.assertFalse(fcntl.fcntl(theirs, fcntl.F_GETFL) & os.O_NONBLOCK, "others share it")
            os.close(ours)
            os.close(theirs)

    def test_output_that_nobody_reads_ends_with_a_signal(self):
        for name, ours, theirs in self.sinks():
            with self.subTest(name):
                process = self.start(FLOOD, stdout=theirs)
                self.wait_until_it_blocks(process)
                process.send_signal(signal.SIGTERM)
                status, errors = self.end_of(process)
                self.assertEqual(status, STATUS["Interrupted"], errors)
            os.close(ours)
            os.close(theirs)

    def test_output_that_nobody_reads_ends_with_the_escape(self):
        main, far = pty.openpty()
        read, write = os.pipe()
        process = self.start(FLOOD, stdin=far, stdout=write, start_new_session=True)
        self.wait_until_it_blocks(process)
        os.write(main, b"typed ahead " * 100 + b"\x01x")
        status, errors = self.end_of(process)
        self.assertEqual(status, STATUS["Interrupted"], errors)
        for fd in (main, far, read, write):
            os.close(fd)

    def test_a_virtio_console_that_nobody_reads(self):
        # Its emergency write, which needs no driver: the console is in the second slot of virtio devices.
        flood = [0xE3001308, 0xE3401A00, 0xE3A02041, 0xE5812000, 0xEAFFFFFD]  # r1 = 0x0a000308; 'A' again and again
        read, write = os.pipe()
        status, errors = self.end_of(self.start(flood, "--virtio-console", "stdio", "--timeout", "1", stdout=write))
        self.assertEqual(status, STATUS["TimedOut"], errors)
        self.assertRegex(errors, "nobody read the last [0-9]+ bytes")
        self.assertEqual(os.read(read, 100), b"A" * 100)
        os.close(read)
        os.close(write)

    def test_the_escape_is_seen_while_the_guest_takes_no_input(self):
        main, far = pty.openpty()
        process = self.start(SLEEP, stdin=far, stdout=subprocess.DEVNULL, start_new_session=True)
        os.set_blocking(main, False)
        sent, deadline = 0, time.monotonic() + END
        while termios.tcgetattr(far)[3] & termios.ICANON:  # until then the terminal drops what is too much for a line
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)
        while sent < 20_000:  # more than the device takes
            self.assertLess(time.monotonic(), deadline, "input is not read any more")
            try:
                sent += os.write(main, b"x" * 500)
            except BlockingIOError:
                time.sleep(0.01)
        while process.poll() is None:
            self.assertLess(time.monotonic(), deadline)
            try:
                os.write(main, b"\x01x")
            except BlockingIOError:
                pass
            time.sleep(0.05)
        self.assertEqual(self.end_of(process)[0], STATUS["Interrupted"])
        os.close(main)
        os.close(far)

    def test_counters_are_there_while_output_waits(self):
        read, write = os.pipe()
        environment = {**os.environ, "XDG_RUNTIME_DIR": str(self.path)}
        process = self.start(FLOOD, "--name", "blocked", stdout=write, env=environment)
        self.wait_until_it_blocks(process)
        answer = run("stat", "blocked", timeout=END, env=environment)
        self.assertEqual(answer.returncode, 0, answer.stderr)
        process.terminate()
        self.assertEqual(self.end_of(process)[0], STATUS["Interrupted"])
        os.close(read)
        os.close(write)

    def test_messages_that_nobody_reads(self):
        for options in (["--timeout", "1"], ["--timeout", "1", "--trace"], ["--timeout", "1", "--stats"],
                        ["--timeout", "1", "--log", "trace", "--cpus", "2"]):
            with self.subTest(options=options):
                read, write = os.pipe()
                fill(write)
                process = self.start(FLOOD, *options, stdout=subprocess.DEVNULL, stderr=write)
                self.assertEqual(process.wait(END), STATUS["TimedOut"])
                os.close(read)
                os.close(write)

    def test_all_output_together_that_nobody_reads(self):
        read, write = os.pipe()
        process = self.start(FLOOD, "--timeout", "1", "--trace", stdout=write, stderr=write)
        self.assertEqual(process.wait(END), STATUS["TimedOut"])
        os.close(read)
        os.close(write)

    def test_a_message_of_an_error_that_nobody_reads(self):
        read, write = os.pipe()
        fill(write)
        process = self.start(SLEEP, "-d", self.path / "none", stderr=write)
        with self.assertRaises(subprocess.TimeoutExpired, msg="as other programs, it waits for the reader"):
            process.wait(1)
        process.terminate()
        self.assertEqual(process.wait(END), -signal.SIGTERM)
        os.close(read)
        os.close(write)

    def test_a_slow_reader_gets_everything(self):
        for name, ours, theirs in self.sinks():
            with self.subTest(name):
                process = self.start(PUT_MANY + POWER_OFF, "--stats", stdout=theirs, stderr=subprocess.DEVNULL)
                os.close(theirs)
                time.sleep(1)
                got = 0
                while True:
                    try:
                        data = os.read(ours, 65536)
                    except OSError as e:  # a terminal whose far end is closed
                        self.assertEqual(e.errno, errno.EIO)
                        break
                    if not data:
                        break
                    got += data.count(b"A")
                self.assertEqual(process.wait(END), STATUS["PoweredOff"])
                self.assertEqual(got, COUNT)
            os.close(ours)

    def test_a_machine_that_is_off_waits_for_the_reader_but_not_past_its_time(self):
        read, write = os.pipe()
        fill(write)
        process = self.start(PUT_A + POWER_OFF, "--timeout", "2", stdout=write)
        status, errors = self.end_of(process)
        self.assertEqual(status, STATUS["PoweredOff"], errors)
        self.assertIn("nobody read the last 1 bytes", errors)
        os.close(read)
        os.close(write)

    def test_a_reader_that_goes_is_no_end_of_the_machine(self):
        read, write = os.pipe()
        process = self.start(PUT_MANY + POWER_OFF, stdout=write)
        os.close(write)
        os.read(read, 100)
        os.close(read)
        status, errors = self.end_of(process)
        self.assertEqual(status, STATUS["PoweredOff"])
        self.assertEqual(errors.count("console output is lost from here on"), 1, errors)

    def test_a_fifo_whose_reader_comes_late_or_never(self):
        fifo = self.path / "fifo"
        os.mkfifo(fifo)
        process = self.start(PUT_MANY + POWER_OFF, "--console", f"file={fifo}")
        self.wait_until_it_blocks(process)
        self.assertEqual(fifo.read_bytes(), b"A" * COUNT)
        self.assertEqual(self.end_of(process)[0], STATUS["PoweredOff"])
        stats = self.path / "stats"
        os.mkfifo(stats)
        process = self.start(FLOOD, "--console", f"file={fifo}", f"--stats=json:{stats}", "--timeout", "1")
        status, errors = self.end_of(process)
        self.assertEqual(status, STATUS["HostResource"], errors)
        self.assertIn("--stats", errors)

    def test_counters_to_a_fifo(self):
        fifo = self.path / "fifo"
        os.mkfifo(fifo)
        process = self.start(POWER_OFF, f"--stats=json:{fifo}", stdout=subprocess.DEVNULL)
        self.assertIn('"format"', fifo.read_text())
        self.assertEqual(self.end_of(process)[0], STATUS["PoweredOff"])


class Files(Directory):
    """What a file holds goes only when all else is right, and never if it is in use."""

    def outputs(self, file):
        """Options that write a file."""
        return [["--console", f"file={file}"], ["--virtio-console", f"file={file}"], [f"--stats=json:{file}"],
                [f"--stats=text:{file}"], ["--dump-dtb", file]]

    def refused(self, status, pattern, arguments, file, content):
        with self.subTest(arguments=arguments):
            result = run(*arguments, timeout=END)
            self.assertEqual(result.returncode, STATUS[status], result.stderr)
            self.assertRegex(result.stderr, pattern)
            self.assertEqual(file.read_bytes(), content)

    def test_the_disk_of_a_running_machine(self):
        disk = self.path / "disk"
        content = os.urandom(1 << 20)
        disk.write_bytes(content)
        for mode in ("", ",ro"):
            with Session("run", "-k", self.guest(PUT_A + SLEEP), "-d", f"{disk}{mode}") as machine:
                machine.expect("A")
                for option in self.outputs(disk):
                    self.refused("HostResource", "in use", ["run", "-k", self.guest(POWER_OFF), *option], disk, content)
                self.refused("HostResource", "in use", ["calibrate", "--output", disk], disk, content)

    def test_its_own_disk(self):
        disk = self.path / "disk"
        disk.write_bytes(bytes(1 << 20))
        for option in self.outputs(disk)[:-1]:  # no disk is opened for a dump
            self.refused("HostResource", "in use", ["run", "-k", self.guest(POWER_OFF), "-d", disk, *option], disk,
                         bytes(1 << 20))

    def test_its_own_kernel(self):
        kernel = self.guest(POWER_OFF)
        file = self.path / "guest.bin"
        for option in self.outputs(file):
            self.refused("BadArguments", "it reads", ["run", "-k", kernel, *option], file, file.read_bytes())

    def test_the_output_of_another_machine(self):
        log = self.path / "log"
        with Session("run", "-k", self.guest(PUT_A + SLEEP), "--virtio-console", f"file={log}", "--console",
                     "stdio") as machine:
            machine.expect("A")
            for option in self.outputs(log):
                self.refused("HostResource", "in use", ["run", "-k", self.guest(POWER_OFF), *option], log, b"")

    def test_symbolic_links(self):
        file, link = self.path / "file", self.path / "link"
        file.write_bytes(b"kept")
        link.symlink_to(file)
        for option in self.outputs(link):
            self.refused("HostResource", "symbolic link", ["run", "-k", self.guest(POWER_OFF), *option], file, b"kept")
        self.refused("HostResource", "symbolic link", ["calibrate", "--output", link], file, b"kept")

    def test_a_machine_that_does_not_begin_changes_nothing(self):
        file = self.path / "file"
        file.write_bytes(b"kept")
        for option in self.outputs(file)[:-1]:
            self.refused("BadInput", "No such file",
                         ["run", "-k", self.guest(POWER_OFF), "-d", self.path / "none", *option], file, b"kept")
        self.refused("BadInput", "No such file", ["run", "-k", self.path / "none", "--dump-dtb", file], file, b"kept")

    def test_what_a_file_held_is_replaced(self):
        file = self.path / "file"
        for option in self.outputs(file):
            with self.subTest(option=option):
                file.write_bytes(b"." * 100_000)
                self.assertEqual(run("run", "-k", self.guest(PUT_A + POWER_OFF), *option).returncode, 0)
                self.assertNotIn(b".....", file.read_bytes())

    def test_standard_output_by_name(self):
        file = self.path / "file"
        with open(file, "wb") as out:
            out.write(b"before ")
            out.flush()
            subprocess.run(command_line(["run", "-k", self.guest(PUT_A + POWER_OFF), "--console", "file=/dev/stdout"]),
                           stdout=out, check=True)
        self.assertEqual(file.read_bytes(), b"before A")

    def test_disks_that_are_none(self):
        fifo = self.path / "fifo"
        os.mkfifo(fifo)
        for disk in (fifo, f"{fifo},ro", self.path, "/dev/null"):
            result = run("run", "-k", self.guest(POWER_OFF), "-d", disk, timeout=END)
            self.assertEqual(result.returncode, STATUS["BadInput"], (disk, result.stderr))


if __name__ == "__main__":
    unittest.main()
