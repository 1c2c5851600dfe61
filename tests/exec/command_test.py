"""A command in a guest is what it is on the host: output, input, status, variables, folder, user; and the system's folder
stays as it was. Whatever else happens to the guest, the status is not 0."""
import os
import struct
import subprocess
import unittest
from pathlib import Path

import system
from system import STATUS


def listing(folder):
    return sorted((str(p.relative_to(folder)), p.lstat().st_mode, p.lstat().st_mtime_ns) for p in Path(folder).rglob("*"))


def elf_program(address, words):
    """An executable for ARM of one segment, which starts at its first word."""
    code = struct.pack(f"<{len(words)}I", *words)
    header = b"\x7fELF\1\1\1" + bytes(9) + struct.pack("<HHIIIIIHHHHHH", 2, 40, 1, address, 52, 0, 0x05000000, 52, 32, 1, 0, 0, 0)
    return header + struct.pack("<8I", 1, 84, address, address, len(code), len(code), 5, 4) + code


class Command(system.Case):
    def check(self, status, *command, **keywords):
        result = system.run(self.system, *command, **keywords)
        self.assertEqual(result.returncode, status, result.stdout[-1000:] + result.stderr[-3000:])
        return result

    def test_it_is_a_32_bit_machine_and_output_is_apart(self):
        result = self.check(7, "sh", "-c", "uname -m; echo problem >&2; exit 7")
        self.assertEqual((result.stdout, result.stderr), (b"armv7l\n", b"problem\n"))

    def test_input_and_output_are_byte_exact_beyond_any_buffer(self):
        data = os.urandom(3 << 20)
        self.assertEqual(self.check(0, "cat", input=data).stdout, data)

    def test_a_command_that_reads_nothing_ends_though_there_is_input(self):
        with subprocess.Popen(["yes"], stdout=subprocess.PIPE) as endless:
            self.check(0, "true", stdin=endless.stdout)
            endless.kill()

    def test_a_signal_is_128_and_its_number(self):
        self.check(128 + 9, "sh", "-c", "kill -9 $$")

    def test_a_reader_that_goes_ends_the_command_by_SIGPIPE(self):
        with subprocess.Popen(system.words(self.system, "yes"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as run:
            self.assertEqual(run.stdout.read(2), b"y\n")
            run.stdout.close()
            self.assertEqual(run.wait(600), 128 + 13)

    def test_output_of_one_that_stays_behind_is_not_waited_for(self):
        self.assertEqual(self.check(0, "sh", "-c", "yes >&2 & echo done").stdout, b"done\n")

    def test_what_cannot_be_started(self):
        self.check(127, "no-such-command")
        self.check(126, "/etc/passwd")
        self.check(STATUS["Failed"], "true", options=["--workdir", "/none"])
        self.check(STATUS["Failed"], "true", options=["--user", "stranger"])

    def test_user_folder_and_variables(self):
        options = ["--user", "user", "--workdir", "/tmp", "--env", "A=b c", "--env", "GIVEN"]
        result = self.check(0, "sh", "-c", 'id; pwd; echo "$A $GIVEN $HOME $USER"; echo x > /dev/stdout', options=options,
                            env={**os.environ, "GIVEN": "here"})
        self.assertEqual(result.stdout.decode().splitlines(),
                         ["uid=1000(user) gid=1000(user) groups=2000(extra)", "/tmp", "b c here /home/user user", "x"])

    def test_a_user_has_his_number_or_is_refused(self):
        result = self.check(0, "id", options=["--user", "large"])
        self.assertEqual(result.stdout, b"uid=4294967294(large) gid=4294967293\n")
        for user in ("none", "nogroup", "4294967295"):
            with self.subTest(user):
                self.check(STATUS["Failed"], "id", options=["--user", user])

    def test_the_folder_stays_as_it_was_unless_it_is_written_to(self):
        before = listing(self.system)
        change = "echo new > /new && rm /etc/group && mkdir /tmp/made && echo more >> /etc/passwd && cat /new /etc/passwd"
        self.assertEqual(self.check(0, "sh", "-c", change).stdout.decode(), "new\n" + system.PASSWD + "more\n")
        self.assertEqual(listing(self.system), before)
        other = system.make(self.path / "written")
        result = system.run(other, "sh", "-c", change, options=["--write"])
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual((other / "new").read_text(), "new\n")
        self.assertEqual((other / "new").stat().st_uid, os.geteuid())
        self.assertFalse((other / "etc" / "group").exists())
        self.assertTrue((other / "tmp" / "made").is_dir())

    def test_what_belongs_to_the_user_is_roots_in_the_guest(self):
        result = self.check(0, "sh", "-c", "ls -ln /etc/passwd")
        self.assertEqual(result.stdout.split()[2:4], [b"0", b"0"])

    def test_a_guest_that_panics_or_goes_is_no_success(self):
        result = self.check(STATUS["Panicked"], "sh", "-c", "echo c > /proc/sysrq-trigger")
        self.assertIn(b"sysrq triggered crash", result.stderr)
        self.check(STATUS["AgentLost"], "reboot", "-f")
        self.check(STATUS["TimedOut"], "sleep", "1000", options=["--timeout", "15"])

    def test_a_command_that_is_killed_for_memory_is_told_from_one_that_ends(self):
        hog = "dd if=/dev/zero of=/dev/null bs=220M count=1"
        forged = "echo '<3>Out of memory: Killed process 1 (init)' > /dev/kmsg; "
        small = ["--memory", "256M"]
        result = self.check(STATUS["OutOfMemory"], *hog.split(), options=small)
        self.assertIn(b"killed a process of the command because memory was short", result.stderr)
        result = self.check(STATUS["OutOfMemory"], "sh", "-c", hog + "; exit 3", options=small)
        self.assertIn(b"ended with status 3", result.stderr)
        self.check(0, "sh", "-c", hog + "; true", options=small)
        self.check(3, "sh", "-c", forged + "exit 3", options=small)

    def test_the_guests_time_has_a_limit_of_its_own(self):
        for command in (["sleep", "1000"], ["sh", "-c", "while :; do :; done"]):
            result = self.check(STATUS["TimedOut"], *command, options=["--timeout", "guest:4", "--timeout", "500"])
            self.assertIn(b"guest's time", result.stderr)

    def test_a_guest_that_makes_no_progress_is_ended(self):
        for name, code in (("spins", [0xF10C0080, 0xEAFFFFFE]), ("sleeps", [0xE320F003, 0xEAFFFFFD])):  # cpsid i; b . / wfi
            with self.subTest(name):
                kernel = self.path / f"{name}.elf"
                kernel.write_bytes(elf_program(0x40010000, code))
                arguments = system.words(self.system, "true", options=["--stall", "2"])
                arguments[arguments.index("--kernel") + 1] = str(kernel)
                result = subprocess.run(arguments, capture_output=True, stdin=subprocess.DEVNULL, timeout=600)
                self.assertEqual(result.returncode, STATUS["Stalled"], result.stderr)
        # One that is idle for longer makes progress. (Its kernel's own limits count the time in which the host is busy.)
        limits = "watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=300 sysctl.kernel.hung_task_timeout_secs=600"
        self.check(0, "sleep", "5", options=["--stall", "4", "--append", limits])

    def test_what_is_not_there_is_said(self):
        self.check(STATUS["Failed"], "true", options=["--no-such-option"])
        self.check(STATUS["Failed"], "true", options=["--modules", self.path])
        result = self.check(STATUS["Failed"], "true", options=["--cwd"], cwd="/")
        self.assertIn(b"below /", result.stderr)

    def test_a_kernel_that_never_comes_is_not_waited_for_beyond_the_time(self):
        fifo = self.path / "kernel"
        os.mkfifo(fifo)
        arguments = system.words(self.system, "true", options=["--timeout", "1"])
        arguments[arguments.index("--kernel") + 1] = str(fifo)
        result = subprocess.run(arguments, capture_output=True, stdin=subprocess.DEVNULL, timeout=600)
        self.assertEqual(result.returncode, STATUS["TimedOut"], result.stderr)

    def test_what_is_no_folder_is_said(self):
        result = system.run(self.path / "none", "true")
        self.assertEqual(result.returncode, STATUS["Failed"])
        self.assertIn(b"expected a folder", result.stderr)

    def test_links_of_the_system_lead_nowhere_on_the_host(self):
        secret = self.path / "secret"
        secret.write_text("of the host")
        inside = system.make(self.path / "links")
        (inside / "boot").mkdir()
        (inside / "boot" / "vmlinuz-1").symlink_to(secret)
        (inside / "lib" / "modules" / "1").mkdir(parents=True)
        (inside / "lib" / "modules" / "1" / "modules.dep").write_text("")
        arguments = system.words(inside, "true")
        del arguments[2:4]  # --kernel
        result = subprocess.run(arguments, capture_output=True, stdin=subprocess.DEVNULL, timeout=600)
        self.assertEqual(result.returncode, STATUS["Failed"])
        self.assertIn(b"boot/vmlinuz-1", result.stderr)


if __name__ == "__main__":
    unittest.main()
