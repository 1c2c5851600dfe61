"""A machine among a shell's jobs: in the background, stopped, hung up, and started without standard descriptors."""
import os
import pty
import re
import select
import shlex
import signal
import subprocess
import tempfile
import termios
import time
import unittest
from pathlib import Path

from support import POWER_OFF, PUT_A, SLEEP, STATUS, command_line, raw_kernel

PATIENCE = 60  # seconds for what comes at once on a host that is not busy


class Terminal:
    """A program with a terminal of its own, of which it is the controlling process."""

    def __init__(self, words, prepare=lambda: None):
        self.text = ""
        self.pid, self.main = pty.fork()
        if self.pid == 0:
            try:
                prepare()
                os.execvp(words[0], words)
            finally:
                os._exit(127)
        self.status = None

    def close(self):
        if self.main >= 0:
            os.close(self.main)
        self.main = -1

    def end(self):
        self.close()
        if self.status is None:
            os.killpg(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)

    def read(self, seconds):
        if select.select([self.main], [], [], seconds)[0]:
            try:
                self.text += os.read(self.main, 65536).decode(errors="replace")
            except OSError:  # nobody has it open any more
                time.sleep(seconds)

    def until(self, what, condition):
        deadline = time.monotonic() + PATIENCE
        while not (found := condition()):
            if time.monotonic() > deadline:
                raise AssertionError(f"{what} did not come; the terminal shows:\n{self.text}")
            self.read(0.05)
        return found

    def expect(self, pattern):
        match = self.until(f"'{pattern}'", lambda: re.search(pattern, self.text))
        self.text = self.text[match.end():]
        return match

    def send(self, data):
        os.write(self.main, data)

    def mode(self):
        return termios.tcgetattr(self.main)

    def raw(self):
        return not self.mode()[3] & termios.ICANON

    def wait(self):
        self.until("the end", self.ended)
        return os.waitstatus_to_exitcode(self.status)

    def ended(self):
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = status if pid else None
        return self.status is not None


class Jobs(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.path = Path(self.directory.name)

    def machine(self, code, *options):
        """A command for a shell, which says the machine's process."""
        words = command_line(["run", "-k", raw_kernel(self.path / "guest.bin", code), *options])
        return f"sh -c 'echo pid $$; exec \"$@\"' sh {shlex.join(words)}"

    def shell(self, script):
        terminal = Terminal(["bash", "--norc", "--noprofile", "-c", f"set -m; {script}"])
        self.addCleanup(terminal.end)
        return terminal

    def start(self, words, prepare):
        terminal = Terminal(words, prepare)
        self.addCleanup(terminal.end)
        return terminal

    def test_the_end_in_the_background(self):
        for options in (["--console", "none"], [], ["--console", "none", "--virtio-console", "stdio"]):
            with self.subTest(options):
                t = self.shell(f"{self.machine(SLEEP, '--timeout', '1', *options)} & wait $!; echo status $?; jobs -l")
                before = t.mode()
                self.assertEqual(t.expect(r"status (\d+)")[1], str(STATUS["TimedOut"]))
                self.assertEqual(t.mode(), before)
                t.wait()

    def test_the_end_in_the_foreground(self):
        t = self.shell(f"{self.machine(PUT_A + SLEEP)}; echo status $?; read line")
        before = t.mode()
        t.expect("A")
        self.assertTrue(t.raw())
        t.send(b"\x01x")
        t.expect(f"status {STATUS['Interrupted']}")
        self.assertEqual(t.mode(), before)

    def test_two_terminals(self):
        for pty_option, stdio_option in (("--console", "--virtio-console"), ("--virtio-console", "--console")):
            with self.subTest(pty_option):
                t = self.shell(f"{self.machine(SLEEP, stdio_option, 'stdio', pty_option, 'pty')}; "
                               "echo status $?; read line")
                before = t.mode()
                name = t.expect(r"the console is on (/dev/\S+)")[1]
                t.until("raw mode", t.raw)
                other = os.open(name, os.O_RDWR | os.O_NOCTTY)
                t.until("raw mode of the other", lambda: not termios.tcgetattr(other)[3] & termios.ICANON)
                os.close(other)
                t.send(b"\x01x")
                t.expect(f"status {STATUS['Interrupted']}")
                self.assertEqual(t.mode(), before)

    def test_a_terminal_that_is_not_read_is_left_alone(self):
        t = self.shell(f"{self.machine(PUT_A + SLEEP, '--console', 'none', '--timeout', '2')}; echo status $?; read line")
        before = t.mode()
        t.expect("pid")
        while not re.search("status", t.text):
            self.assertEqual(t.mode(), before)
            t.read(0.02)

    def test_from_the_background_to_the_foreground(self):
        t = self.shell(f"{self.machine(PUT_A + SLEEP)} & read line; echo read $line; fg; echo status $?; read line")
        before = t.mode()
        t.expect("A")
        self.assertFalse(t.raw(), "in the background it leaves the terminal alone")
        t.send(b"for the shell\n")
        t.expect("read for the shell")
        t.until("raw mode", t.raw)
        t.send(b"\x01x")
        t.expect(f"status {STATUS['Interrupted']}")
        self.assertEqual(t.mode(), before)

    def test_stopped_and_continued(self):
        t = self.shell(f"{self.machine(PUT_A + SLEEP)}; echo stopped $?; read line; fg; echo status $?; read line")
        before = t.mode()
        pid = int(t.expect(r"pid (\d+)")[1])
        t.expect("A")
        t.until("raw mode", t.raw)
        os.kill(pid, signal.SIGTSTP)
        t.expect("stopped")
        self.assertEqual(t.mode(), before, "while it is stopped the terminal is the shell's")
        t.send(b"\n")
        t.until("raw mode", t.raw)
        t.send(b"\x01x")
        t.expect(f"status {STATUS['Interrupted']}")
        self.assertEqual(t.mode(), before)

    def test_stopped_and_continued_in_the_background(self):
        t = self.shell(f"{self.machine(PUT_A + SLEEP)}; echo stopped $?; bg; wait %1; echo status $?; read line")
        before = t.mode()
        pid = int(t.expect(r"pid (\d+)")[1])
        t.expect("A")
        t.until("raw mode", t.raw)
        os.kill(pid, signal.SIGTSTP)
        t.expect("stopped")
        os.kill(pid, signal.SIGTERM)
        t.expect(f"status {STATUS['Interrupted']}")
        self.assertEqual(t.mode(), before)

    def test_a_hang_up_ends_it(self):
        t = self.start(command_line(["run", "-k", raw_kernel(self.path / "guest.bin", PUT_A + SLEEP)]),
                       lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))
        t.expect("A")
        t.close()
        t.read = time.sleep
        self.assertEqual(t.wait(), STATUS["Interrupted"])

    def test_a_hang_up_is_ignored_if_it_was_before(self):
        t = self.start(command_line(["run", "-k", raw_kernel(self.path / "guest.bin", PUT_A + SLEEP), "--timeout", "4"]),
                       lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        t.expect("A")
        t.close()
        t.read = time.sleep
        self.assertEqual(t.wait(), STATUS["TimedOut"])

    def test_standard_descriptors_that_are_closed(self):
        disk = self.path / "disk"
        kernel = raw_kernel(self.path / "guest.bin", PUT_A + POWER_OFF)
        for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
            with self.subTest(closed):
                disk.write_bytes(bytes(4096))
                words = command_line(["run", "-k", kernel, "-d", disk, "--trace"])
                result = subprocess.run(["bash", "-c", f"exec {shlex.join(words)} {closed}"], timeout=PATIENCE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
                self.assertEqual(result.returncode, STATUS["PoweredOff"], result.stderr)
                self.assertNotIn(b"console output is lost", result.stderr)
                self.assertEqual(result.stdout, b"" if ">&- " in closed + " " and "2>&-" != closed else b"A")
                self.assertEqual(disk.read_bytes(), bytes(4096))


if __name__ == "__main__":
    unittest.main()
