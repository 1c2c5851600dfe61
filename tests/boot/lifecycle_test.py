"""How machines end, and what the exit status says then; what the user's terminal looks like afterwards."""
import os
import pty
import resource
import shutil
import signal
import subprocess
import tempfile
import termios
import time
import unittest
from pathlib import Path

from support import (CRASH, GUEST, POWER_OFF, PUT_A, RESET, SLEEP, SPIN, STATUS, Session, command_line, linux_arguments, raw_kernel,
                     run, tell_pvpanic)


def signals_as_usual():
    """A machine leaves SIGINT ignored if it was so when it was started, as by a shell that runs the tests as a job."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Lifecycle(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.path = Path(self.directory.name)

    def guest(self, code):
        return raw_kernel(self.path / "guest.bin", code)

    def status_of(self, code, *options):
        return run("run", "-k", self.guest(code), "--timeout", "60", *options).returncode

    def test_power_off(self):
        self.assertEqual(self.status_of(POWER_OFF), STATUS["PoweredOff"])

    def test_reset_ends_with_no_reboot(self):
        self.assertEqual(self.status_of(RESET, "--no-reboot"), STATUS["Reset"])

    def test_reset_boots_again(self):
        self.assertEqual(run("run", "-k", self.guest(RESET), "--timeout", "3").returncode, STATUS["TimedOut"])

    def test_crash(self):
        self.assertEqual(self.status_of(CRASH), STATUS["Crashed"])
        self.assertEqual(self.status_of(tell_pvpanic(1) + SLEEP, "--pvpanic"), STATUS["Crashed"])
        self.assertEqual(self.status_of(tell_pvpanic(4) + SLEEP, "--pvpanic"), STATUS["PoweredOff"])

    def test_timeout_of_a_busy_and_of_a_sleeping_guest(self):
        for code in (SPIN, SLEEP):
            begin = time.monotonic()
            self.assertEqual(run("run", "-k", self.guest(code), "--timeout", "1").returncode, STATUS["TimedOut"])
            self.assertLess(time.monotonic() - begin, 20)

    def test_signals(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            for code in (SPIN, SLEEP):
                process = subprocess.Popen(command_line(["run", "-k", self.guest(code), "--cpus", "2"]),
                                           stdin=subprocess.DEVNULL, preexec_fn=signals_as_usual)
                time.sleep(1)
                process.send_signal(number)
                self.assertEqual(process.wait(30), STATUS["Interrupted"])

    def test_what_the_guest_flushed_survives_a_signal(self):
        disk = self.path / "disk.img"
        shutil.copyfile(GUEST / "disk.img", disk)
        commands = ("disk_up; dd if=/dev/zero bs=64k count=16 2>/dev/null | tr '\\0' F > /mnt/flushed; sync; echo FLUSHED; "
                    "while true; do dd if=/dev/zero of=/mnt/more bs=64k count=64 2>/dev/null; rm /mnt/more; done")
        with Session(*linux_arguments(commands), "--disk", disk, "--timeout", "600") as machine:
            machine.expect("FLUSHED")
            time.sleep(1)
            machine.process.send_signal(signal.SIGTERM)
            self.assertEqual(machine.finish(), STATUS["Interrupted"])
        # The journal is replayed, as at the next mount; then all is well.
        replay = subprocess.run(["/sbin/e2fsck", "-p", disk], capture_output=True, text=True)
        self.assertIn(replay.returncode, (0, 1), replay.stdout + replay.stderr)
        check = subprocess.run(["/sbin/e2fsck", "-f", "-n", disk], capture_output=True, text=True)
        self.assertEqual(check.returncode, 0, check.stdout + check.stderr)
        kept = subprocess.run(["/sbin/debugfs", "-R", "cat /flushed", disk], capture_output=True)
        self.assertEqual(kept.stdout, b"F" * (1 << 20))

    def test_a_sleeping_guest_uses_no_cpu(self):
        process = subprocess.Popen(command_line(["run", "-k", self.guest(SLEEP), "--timeout", "4"]),
                                   stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0
        self.assertLess(usage.ru_utime + usage.ru_stime, 1.0)

    def test_terminal_is_restored_however_the_user_ends_it(self):
        endings = {
            "Ctrl-A x": lambda process, main: os.write(main, b"\x01x"),
            "SIGTERM": lambda process, main: process.send_signal(signal.SIGTERM),
            "SIGINT": lambda process, main: process.send_signal(signal.SIGINT),
        }
        for name, end in endings.items():
            with self.subTest(name):
                self.check_terminal(end)

    def check_terminal(self, end):
        main, far = pty.openpty()
        before = termios.tcgetattr(far)
        process = subprocess.Popen(command_line(["run", "-k", self.guest(SLEEP), "--timeout", "60"]), stdin=far,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
                                   preexec_fn=signals_as_usual)
        for _ in range(200):  # until it is raw
            if not termios.tcgetattr(far)[3] & termios.ICANON:
                break
            time.sleep(0.05)
        self.assertFalse(termios.tcgetattr(far)[3] & termios.ICANON)
        end(process, main)
        self.assertEqual(process.wait(30), STATUS["Interrupted"])
        self.assertEqual(termios.tcgetattr(far), before)
        process.stderr.close()
        os.close(main)
        os.close(far)

    def test_console_to_a_file(self):
        console = self.path / "console"
        self.assertEqual(self.status_of(PUT_A + POWER_OFF, "--console", f"file={console}"), STATUS["PoweredOff"])
        self.assertEqual(console.read_bytes(), b"A")

    def test_virtio_console_both_ways_and_its_size(self):
        main, far = pty.openpty()
        termios.tcsetwinsize(far, (24, 80))
        uart = self.path / "uart"
        commands = """
            exec < /dev/hvc0 > /dev/hvc0 2>&1
            stty -echo
            echo "begin $(cat /sys/class/tty/console/active)"
            read line
            echo "got <$line> on $(stty size)"
        """
        process = subprocess.Popen(
            command_line([*linux_arguments(commands), "--virtio-console", "stdio", "--console", f"file={uart}",
                          "--timeout", "600"]), stdin=far, stdout=far, stderr=subprocess.DEVNULL)
        os.close(far)
        text = b""
        while True:
            try:
                data = os.read(main, 4096)
            except OSError:  # the far end is closed
                break
            text += data
            if b"begin ttyAMA0" in text and data:
                if b"got" not in text and commands:
                    termios.tcsetwinsize(main, (43, 132))
                    process.send_signal(signal.SIGWINCH)
                    time.sleep(1)
                    os.write(main, b"hello\n")
                    commands = ""
        self.assertEqual(process.wait(30), STATUS["PoweredOff"])
        os.close(main)
        self.assertIn(b"got <hello> on 43 132", text)
        self.assertIn(b"reboot: Power down", uart.read_bytes())

    def test_dump_of_the_device_tree(self):
        dump = self.path / "dtb"
        result = run("run", "-k", self.guest(SPIN), "--dump-dtb", dump, "--append", "hello")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(dump.read_bytes()[:4], b"\xd0\x0d\xfe\xed")
        self.assertIn(b"hello\0", dump.read_bytes())

    def test_a_shell_on_the_terminal(self):
        disk = self.path / "disk.img"
        shutil.copyfile(GUEST / "disk.img", disk)
        with Session("run", "--kernel", GUEST / "zImage-armmp", "--initrd", GUEST / "initrd.img", "--append",
                     "console=ttyAMA0 quiet", "--disk", disk, "--net", "user", "--timeout", "600") as machine:
            machine.expect("This is a shell in the guest")
            machine.expect("# ")
            machine.send("echo $((6 * 7)); cat /mnt/readme; ip -4 -o addr show eth0\n")
            machine.expect(r"\n42\r?\n")
            machine.expect("This file came with the disk")
            machine.expect("10.0.2.15")
            machine.send("exit\n")
            self.assertEqual(machine.finish(), STATUS["PoweredOff"])

    def test_linux_reboots_and_reports_it(self):
        result = run(*linux_arguments("reboot -f; sleep 100"), "--no-reboot", "--timeout", "600", timeout=700)
        self.assertEqual(result.returncode, STATUS["Reset"], result.stdout[-2000:] + result.stderr)

    def test_a_full_host_disk_is_an_io_error_for_the_guest(self):
        disk = self.path / "disk.img"
        shutil.copyfile(GUEST / "disk.img", disk)
        size = disk.stat().st_size
        with open(disk, "r+b") as f:  # the second half is a hole
            f.truncate(size // 2)
            f.truncate(size)
        commands = ("echo READY; sleep 2; "
                    "dd if=/dev/zero of=/dev/vda bs=64k seek=900 count=4 conv=fsync 2>&1; echo STATUS $?; "
                    "dd if=/dev/vda of=/dev/null bs=64k count=4 2>&1 && echo ALIVE")
        with Session(*linux_arguments(commands), "--disk", disk, "--timeout", "600",
                     preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN)) as machine:
            machine.expect("READY")
            # From here on no write of the program reaches the hole: as on a file system without space to fill it.
            resource.prlimit(machine.process.pid, resource.RLIMIT_FSIZE, (size // 2, size // 2))
            status = machine.finish()
        self.assertEqual(status, 0, machine.text)
        self.assertIn("STATUS 1", machine.text)
        self.assertIn("ALIVE", machine.text)


if __name__ == "__main__":
    unittest.main()
