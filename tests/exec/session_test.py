"""Terminals, signals, shared folders and reports of commands in a guest."""
import fcntl
import http.server
import json
import os
import pty
import select
import signal
import struct
import subprocess
import tempfile
import termios
import threading
import time
import unittest
from pathlib import Path

import system
from system import STATUS


class Process:
    """One whose output, on the descriptor `output`, is read until something comes; it does not outlive its block."""

    def __init__(self, process, output):
        self.process, self.output = process, output
        self.text = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def expect(self, wanted, timeout=600):
        while wanted not in self.text:
            ready, _, _ = select.select([self.output], [], [], timeout)
            data = os.read(self.output, 65536) if ready else b""
            if not data:
                raise AssertionError(f"{wanted} did not come, but {self.text[-2000:]}")
            self.text += data
        self.text = self.text[self.text.index(wanted) + len(wanted):]


class Running(Process):
    """A command with pipes."""

    def __init__(self, words, **keywords):
        keywords.setdefault("stdin", subprocess.PIPE)
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, **keywords)
        super().__init__(process, process.stdout.fileno())

    def __exit__(self, *_):
        super().__exit__()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream:
                stream.close()


def set_size(terminal, rows, columns):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


class Terminal(Process):
    """A pseudo-terminal of the host's, at whose other side a command runs."""

    def __init__(self, words):
        self.master, other = pty.openpty()
        set_size(other, 33, 111)
        self.before = termios.tcgetattr(other)
        self.other = other
        super().__init__(subprocess.Popen(words, stdin=other, stdout=other, stderr=other, start_new_session=True,
                                          preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)), self.master)

    def __exit__(self, *_):
        super().__exit__()
        os.close(self.master)
        os.close(self.other)

    def type(self, text):
        os.write(self.master, text)

    def resize(self, rows, columns):
        set_size(self.other, rows, columns)
        self.process.send_signal(signal.SIGWINCH)


class Session(system.Case):
    def test_a_terminal_has_its_size_its_keys_and_is_given_back(self):
        with Terminal(system.words(self.system, "sh", options=["--tty"])) as t:
            t.expect(b"# ")
            t.type(b"tty; stty size\r")
            t.expect(b"/dev/pts/0")
            t.expect(b"33 111")
            t.resize(22, 99)
            t.type(b"while ! stty size | grep '22 99'; do :; done; echo re''sized\r")
            t.expect(b"resized")
            # For the guest's terminal: it ends cat, not armvisor. Who says "now" has the terminal already; between two
            # commands the shell has it, which takes no notice of the key while it starts the second.
            t.type(b"sh -c 'echo no\"\"w; exec cat'\r")
            t.expect(b"now")
            t.type(b"\x03")
            t.expect(b"# ")
            t.type(b"exit 5\r")
            self.assertEqual(t.process.wait(600), 5)
            self.assertEqual(termios.tcgetattr(t.other), t.before)

    def test_a_terminal_lasts_while_the_command_has_closed_it(self):
        result = system.run(self.system, "sh", "-c", "exec <&- >&- 2>&-; sleep 0.3; exec > /dev/tty; echo hello", options=["--tty"])
        self.assertEqual((result.stdout.strip(), result.returncode), (b"hello", 0), result.stderr)

    def test_a_terminals_input_ends_behind_an_open_line_too(self):
        result = system.run(self.system, "cat", options=["--tty"], input=b"abc")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertTrue(result.stdout.endswith(b"abc"), result.stdout)

    def test_a_terminal_whose_reader_goes_hangs_up(self):
        with Running(system.words(self.system, "yes", options=["--tty"]), stdin=subprocess.DEVNULL) as r:
            r.expect(b"y")
            r.process.stdout.close()
            self.assertEqual(r.process.wait(600), 128 + signal.SIGHUP)
            r.process.stdout = None

    def test_input_that_cannot_be_read_is_no_success(self):
        folder = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
        self.addCleanup(os.close, folder)
        result = system.run(self.system, "wc", "-c", stdin=folder)
        self.assertEqual((result.stdout.strip(), result.returncode), (b"0", STATUS["OutputLost"]), result.stderr)

    def test_output_of_a_terminal_comes_whole(self):
        result = system.run(self.system, "seq", "20000", options=["--tty"])
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout, b"".join(b"%d\r\n" % n for n in range(1, 20001)))

    def test_input_that_ends_ends_that_of_a_terminal(self):
        result = system.run(self.system, "cat", options=["--tty"], input=b"line\n")
        self.assertEqual((result.returncode, result.stdout), (0, b"line\r\nline\r\n"))

    def test_signals_reach_the_command(self):
        traps = "".join(f"trap 'echo got {n}' {n}; " for n in ("TERM", "INT", "HUP", "QUIT", "USR1", "USR2"))
        with Running(system.words(self.system, "sh", "-c", traps + "echo ready; while :; do sleep 0.1; done")) as r:
            r.expect(b"ready\n")
            for name in ("USR1", "USR2", "HUP", "QUIT", "INT", "TERM", "TERM", "INT"):
                r.process.send_signal(getattr(signal, "SIG" + name))
                r.expect(b"got %s\n" % name.encode())
        with Running(system.words(self.system, "sh", "-c", "echo ready; exec sleep 1000")) as r:
            r.expect(b"ready\n")
            r.process.send_signal(signal.SIGTERM)
            self.assertEqual(r.process.wait(600), 128 + signal.SIGTERM)

    def test_a_second_signal_ends_what_does_not_answer(self):
        with Running(system.words(self.system, "sh", "-c", "trap '' TERM HUP; echo ready; while :; do sleep 1; done")) as r:
            r.expect(b"ready\n")
            for _ in range(3):  # none of these insists
                r.process.send_signal(signal.SIGHUP)
                time.sleep(0.3)
            self.assertIsNone(r.process.poll())
            r.process.send_signal(signal.SIGTERM)
            time.sleep(1)
            self.assertIsNone(r.process.poll())
            r.process.send_signal(signal.SIGTERM)
            self.assertEqual(r.process.wait(600), 128 + signal.SIGTERM)

    def test_whoever_insists_is_told_the_signal(self):
        with Running(system.words(self.system, "sh", "-c", "trap '' INT; echo ready; exec yes")) as r:
            r.expect(b"ready\n")
            # What was written has no reader, so ending takes until nobody waits for one.
            for _ in range(200):
                if r.process.poll() is not None:
                    break
                r.process.send_signal(signal.SIGINT)
                time.sleep(0.05)
            self.assertEqual(r.process.wait(600), 128 + signal.SIGINT)

    def test_a_share_where_a_link_leads_to_the_root_is_refused(self):
        (self.system / "top").symlink_to("/")
        self.addCleanup((self.system / "top").unlink)
        result = system.run(self.system, "true", options=["--share", f"{self.path}:/top"])
        self.assertEqual(result.returncode, STATUS["NotUp"], result.stderr)
        self.assertIn(b"/top", result.stderr)

    def test_a_stop_stops_the_guest_until_it_is_continued(self):
        # In a process group that somebody could continue: an orphaned one is not stopped.
        with Running(system.words(self.system, "sh", "-c", "echo ready; read line; exit 4"), process_group=0) as r:
            r.expect(b"ready\n")
            r.process.send_signal(signal.SIGTSTP)
            _, status = os.waitpid(r.process.pid, os.WUNTRACED)
            self.assertTrue(os.WIFSTOPPED(status))
            r.process.send_signal(signal.SIGCONT)
            r.process.stdin.write(b"line\n")
            self.assertEqual(r.process.wait(600), 4)

    def test_a_signal_while_the_guest_starts_ends_it(self):
        with Running(system.words(self.system, "true")) as r:
            time.sleep(0.3)
            r.process.send_signal(signal.SIGINT)
            self.assertIn(r.process.wait(600), (128 + signal.SIGINT, -signal.SIGINT))

    def test_a_reader_that_stops_holds_up_the_command_and_takes_no_memory(self):
        with Running(system.words(self.system, "yes")) as r:
            r.expect(b"y\n")
            time.sleep(1)
            before = resident(r.process.pid)
            time.sleep(2)
            self.assertLess(resident(r.process.pid) - before, 8 << 20)

    def test_shared_folders(self):
        here, there, fixed = (Path(tempfile.mkdtemp(dir=self.path)) for _ in range(3))
        (fixed / "file").write_text("text")
        options = ["--share", f"{there}:/data", "--share", f"{fixed}:/fixed,ro", "--cwd", "--report",
                   f"json:{self.path}/report"]
        result = system.run(self.system, "sh", "-c", "pwd; echo 1 > made; echo 2 > /data/made; cat /fixed/file; "
                            "echo 3 > /fixed/made || exit 3", options=options, cwd=here)
        self.assertEqual(result.returncode, 3, result.stderr)
        self.assertEqual(result.stdout.decode(), f"{here}\ntext")
        self.assertEqual((here / "made").read_text() + (there / "made").read_text(), "1\n2\n")
        self.assertFalse((fixed / "made").exists())
        report = json.loads((self.path / "report").read_text())
        self.assertEqual((report["outcome"], report["status"], report["exit_status"]), ("exited", 3, 3))

    def test_the_network_is_what_was_asked_for_and_the_hosts_loopback_only_if_it_was(self):
        class Page(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"page")

            def log_message(self, *_):
                pass

        with http.server.HTTPServer(("127.0.0.1", 0), Page) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            ask = ["wget", "-q", "-O", "-", f"http://10.0.2.2:{server.server_port}/"]
            allowed = system.run(self.system, *ask, options=["--net", "user,loopback"])
            self.assertEqual((allowed.returncode, allowed.stdout), (0, b"page"), allowed.stderr)
            for options in ([], ["--net", "user"]):
                denied = system.run(self.system, *ask, options=options)
                self.assertNotEqual((denied.returncode, denied.stdout), (0, b"page"), options)
                self.assertEqual(denied.stdout, b"", options)
            server.shutdown()

    def test_a_report_tells_a_panic_from_a_command_with_that_status(self):
        where = self.path / "panic"
        options = ["--report", f"json:{where}"]
        result = system.run(self.system, "sh", "-c", "echo c > /proc/sysrq-trigger", options=options)
        self.assertEqual(result.returncode, STATUS["Panicked"])
        report = json.loads(where.read_text())
        self.assertEqual((report["outcome"], report["status"]), ("guest-panic", STATUS["Panicked"]))
        self.assertTrue(any("sysrq triggered crash" in line for line in report["console"]))
        result = system.run(self.system, "sh", "-c", f"exit {STATUS['Panicked']}", options=options)
        self.assertEqual(result.returncode, STATUS["Panicked"])
        self.assertEqual(json.loads(where.read_text())["outcome"], "exited")

    def test_no_report_of_another_run_stands_for_one_that_was_killed(self):
        where = self.path / "killed"
        where.write_text('{"outcome": "exited"}')
        options = ["--report", f"json:{where}"]
        with Running(system.words(self.system, "sh", "-c", "echo ready; exec sleep 1000", options=options)) as r:
            r.expect(b"ready\n")
            r.process.kill()
            r.process.wait(600)
        self.assertEqual(where.read_text(), "")

    def test_a_report_whose_reader_never_comes_is_waited_for_until_a_signal(self):
        fifo = self.path / "fifo"
        os.mkfifo(fifo)
        options = ["--report", f"json:{fifo}"]
        with Running(system.words(self.system, "sh", "-c", "echo ready; exec sleep 1000", options=options)) as r:
            r.expect(b"ready\n")
            for _ in range(600):  # the first ends the command
                r.process.send_signal(signal.SIGTERM)
                try:
                    self.assertIn(r.process.wait(0.5), (128 + signal.SIGTERM, -signal.SIGTERM))
                    return
                except subprocess.TimeoutExpired:
                    pass
            self.fail("it still waits")

    def test_output_that_cannot_be_written_is_no_success(self):
        with open("/dev/full", "w") as full:
            result = subprocess.run(system.words(self.system, "echo", "lost"), stdin=subprocess.DEVNULL, stdout=full,
                                    stderr=subprocess.PIPE, timeout=600)
        self.assertEqual(result.returncode, STATUS["OutputLost"], result.stderr)


def resident(process):
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    unittest.main()
