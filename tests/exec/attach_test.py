"""Commands in a machine that runs already, several at a time."""
import json
import os
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import system
from session_test import Running, Terminal
from support import ARMVISOR
from system import STATUS

NAME = f"attach-{os.getpid()}"


def words(*command, options=(), name=NAME):
    return [ARMVISOR, "exec", *map(str, options), name, "--", *map(str, command)]


def run(*command, options=(), name=NAME, **keywords):
    keywords.setdefault("stdin", subprocess.DEVNULL)
    if "input" in keywords:
        del keywords["stdin"]
    return subprocess.run(words(*command, options=options, name=name), capture_output=True, timeout=600, **keywords)


class Attach(system.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.machine = Running(system.words(cls.system, "sh", "-c", "echo started; cat > /dev/null; exit 9",
                                           options=["--name", NAME]))
        cls.machine.__enter__()
        cls.addClassCleanup(cls.machine.__exit__)
        cls.machine.expect(b"started\n")

    def test_streams_and_status(self):
        result = run("sh", "-c", "cat; echo error >&2; exit 7", input=b"text\n" * 100000)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (7, b"text\n" * 100000, b"error\n"))
        self.assertEqual(run("no-such-program").returncode, STATUS["NotFound"])
        self.assertEqual(run("/etc/passwd").returncode, STATUS["NotExecutable"])
        self.assertEqual(run("sh", "-c", "kill -9 $$").returncode, 128 + signal.SIGKILL)
        self.assertEqual(run("true", options=["--user", "nobody-at-all"]).returncode, STATUS["Failed"])

    def test_input_that_the_command_does_not_read(self):
        with open("/dev/zero", "rb") as endless:
            for script in ("exit 3", "exec <&-; sleep 0.2; exit 3", "dd bs=1000000 count=1 of=/dev/null 2> /dev/null; exit 3"):
                self.assertEqual(run("sh", "-c", script, stdin=endless).returncode, 3)

    def test_user_folder_and_variables(self):
        result = run("sh", "-c", "id -u; pwd; echo $A$B; echo $HOME", options=["--user", "user", "--workdir", "/tmp",
                                                                             "--env", "A=1", "--env", "B=2"])
        self.assertEqual(result.stdout, b"1000\n/tmp\n12\n/home/user\n", result.stderr)

    def test_names_that_are_too_long_are_none(self):
        long, short = "u" * 256, "u" * 255
        self.assertEqual(run("sh", "-c", f"echo {short}:x:1234:1234::/:/bin/sh >> /etc/passwd; "
                             f"echo far:x:1235:1235::/{long}:/bin/sh >> /etc/passwd").returncode, 0)
        self.assertEqual(run("id", "-u", options=["--user", short]).stdout, b"1234\n")
        for name in (long, "far"):
            self.assertEqual(run("id", "-u", options=["--user", name]).returncode, STATUS["Failed"], name)

    def test_several_at_a_time_with_streams_of_their_own(self):
        all_of_them = [Running(words("sh", "-c", f"echo ready{n}; read line; echo {n}$line; exit {n}")) for n in range(8)]
        for n, one in enumerate(all_of_them):
            one.__enter__()
            self.addCleanup(one.__exit__)
            one.expect(b"ready%d\n" % n)
        # All that there are at a time: the next one waits until one ends.
        with Running(words("echo", "ninth")) as ninth:
            self.assertIsNone(all_of_them[0].process.poll())
            for n, one in reversed(list(enumerate(all_of_them))):
                one.process.stdin.write(b"line\n")
                one.expect(b"%dline\n" % n)
                self.assertEqual(one.process.wait(600), n)
            ninth.expect(b"ninth\n")
            self.assertEqual(ninth.process.wait(600), 0)

    def test_many_one_after_another(self):
        for n in range(30):
            result = run("echo", n)
            self.assertEqual((result.returncode, result.stdout), (0, b"%d\n" % n), result.stderr)

    def test_a_terminal_and_its_size(self):
        with Terminal(words("sh", options=["--tty"])) as t:
            t.expect(b"# ")
            t.type(b"stty size\r")
            t.expect(b"33 111")
            t.type(b"sh -c 'echo no\"\"w; exec cat'\r")
            t.expect(b"now")
            t.type(b"\x03")
            t.expect(b"# ")
            t.type(b"exit 5\r")
            self.assertEqual(t.process.wait(600), 5)

    def test_signals_go_to_the_command(self):
        with Running(words("sh", "-c", "trap 'echo got; exit 3' TERM; echo ready; while :; do sleep 0.1; done")) as r:
            r.expect(b"ready\n")
            r.process.send_signal(signal.SIGTERM)
            r.expect(b"got\n")
            self.assertEqual(r.process.wait(600), 3)

    def test_time_is_over(self):
        self.assertEqual(run("sleep", "1000", options=["--timeout", "1"]).returncode, STATUS["TimedOut"])

    def test_a_command_whose_user_is_gone_is_ended(self):
        # In the middle of what it reads, and of what it writes.
        for n in range(10):
            with Running(words("sh", "-c", "trap '' HUP; echo $$; cat > /tmp/copy; exec sleep 98765")) as r:
                pid = r.process.stdout.readline().strip().decode()
                r.process.stdin.write(b"x" * 60000)
                r.process.kill()
                r.process.wait()
            self.assertEqual(run("sh", "-c", f"while kill -0 {pid} 2> /dev/null; do :; done; echo gone").stdout, b"gone\n")

    def test_a_reader_that_stops_holds_up_nobody_else(self):
        with Running(words("yes")) as r:
            r.expect(b"y\n")
            r.process.send_signal(signal.SIGSTOP)
            self.assertEqual(run("seq", "5").stdout, b"1\n2\n3\n4\n5\n")
            r.process.send_signal(signal.SIGCONT)

    def test_reports(self):
        with tempfile.TemporaryDirectory() as folder:
            run("sh", "-c", "exit 4", options=["--report", f"json:{folder}/r"])
            report = json.loads((Path(folder) / "r").read_text())
        self.assertEqual((report["outcome"], report["status"]), ("exited", 4))

    def test_options_of_a_machine_that_is_made_are_refused(self):
        result = run("true", options=["--memory", "1G"])
        self.assertEqual(result.returncode, STATUS["Failed"])
        self.assertIn(b"--memory", result.stderr)


class Ends(system.Case):
    def test_a_command_of_a_machine_that_ends_is_lost(self):
        name = NAME + "-ends"
        with Running(system.words(self.system, "sh", "-c", "echo started; read line; exit 9",
                                  options=["--name", name])) as machine:
            machine.expect(b"started\n")
            with Running(words("sh", "-c", "echo ready; exec sleep 1000", name=name)) as r:
                r.expect(b"ready\n")
                machine.process.stdin.write(b"\n")
                self.assertEqual(machine.process.wait(600), 9)
                self.assertEqual(r.process.wait(600), STATUS["AgentLost"])
        self.assertEqual(run("true", name="machine:" + name).returncode, STATUS["Failed"])


if __name__ == "__main__":
    unittest.main()
