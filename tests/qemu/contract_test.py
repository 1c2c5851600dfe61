"""What harnesses of QEMU count on around the machine: the version's first line, statuses, files, keys, the process's name."""
import fcntl
import os
import pty
import re
import shutil
import signal
import subprocess
import termios
import time
import unittest
from pathlib import Path

import support
from support import ARMVISOR, Folder

boot_support = support.load_boot_support()
POWER_OFF, RESET, SLEEP, CRASH = (getattr(boot_support, name) for name in ("POWER_OFF", "RESET", "SLEEP", "CRASH"))
ECHO = [  # r1 = UARTDR; enable; every character that is received is sent back; after 'q' the machine is powered off
    0xE3A01C09, 0xE1A01801,  # r1 = 0x09000000
    0xE3A02C03, 0xE3822001, 0xE5812030,  # UARTCR = 0x301
    0xE5912018, 0xE3120010, 0x1AFFFFFC,  # wait until UARTFR.RXFE is clear
    0xE5912000, 0xE5812000,  # r2 = UARTDR; UARTDR = r2
    0xE20220FF, 0xE3520071, 0x1AFFFFF7,  # again unless it was 'q'
] + POWER_OFF


class Contract(unittest.TestCase):
    def setUp(self):
        self.folder = Folder().__enter__()
        self.addCleanup(self.folder.__exit__)

    def guest(self, words):
        """A raw binary, which goes where QEMU puts it."""
        path = self.folder.path / "guest.bin"
        boot_support.write_code(path, words)
        return ["-M", "virt", "-nographic", "-nic", "none", "-kernel", path]

    def start(self, *words):
        process = self.folder.start(*words)

        def end():
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                stream.close()
        self.addCleanup(end)
        return process

    def test_version(self):
        for option in ("-version", "--version"):
            process = self.folder.qemu(option)
            self.assertEqual(process.returncode, 0)
            first = process.stdout.splitlines()[0]
            # As labgrid, avocado, virtme-ng and others read it.
            self.assertRegex(first, r"^QEMU emulator version \d+\.\d+\.\d+ \(armvisor [\d.]+\)$")
            self.assertEqual(re.search(r"(?<=version )\d+(?:\.\d+)*", first)[0], "10.0.2")

    def test_help(self):
        process = self.folder.qemu("--help")
        self.assertEqual(process.returncode, 0)
        for option in ("-machine", "-netdev", "-device", "-nographic", "-explain"):
            self.assertIn(option, process.stdout)
        for words, expected in ((("-M", "help"), "virt "), (("-machine", "help"), "virt "), (("-cpu", "help"), "cortex-a15"),
                                (("-M", "virt", "-cpu", "help"), "cortex-a15"), (("-device", "help"), 'name "virtio-blk-device"'),
                                (("-netdev", "help"), "user"), (("-chardev", "help"), "stdio"), (("-accel", "help"), "tcg"),
                                (("-object", "help"), "rng-random"), (("-d", "help"), "guest_errors")):
            process = self.folder.qemu(*words)
            self.assertEqual((process.returncode, expected in process.stdout), (0, True), words)

    def test_statuses(self):
        self.assertEqual(self.folder.qemu(*self.guest(POWER_OFF)).returncode, 0)
        self.assertEqual(self.folder.qemu(*self.guest(RESET), "-no-reboot").returncode, 0)
        self.assertEqual(self.folder.qemu(*self.guest(RESET), "-action", "reboot=shutdown").returncode, 0)
        self.assertEqual(self.folder.qemu(*self.guest(CRASH)).returncode, 1)
        begin = time.monotonic()
        self.assertEqual(self.folder.qemu("-M", "virt", "-kernel", "missing").returncode, 1)
        self.assertEqual(self.folder.qemu("-M", "virt", "-fda", "f").returncode, 1)
        self.assertLess(time.monotonic() - begin, 30)

    def test_it_is_called_by_its_name_or_as_a_command(self):
        words = [str(w) for w in self.guest(POWER_OFF)]
        self.assertEqual(subprocess.run([ARMVISOR, "qemu", *words], stdin=subprocess.DEVNULL, timeout=60).returncode, 0)
        other = self.folder.path / "my-qemu-system-arm-10"
        other.symlink_to(ARMVISOR)
        self.assertEqual(subprocess.run([other, *words], stdin=subprocess.DEVNULL, timeout=60).returncode, 0)

    def test_the_process_keeps_the_name_and_its_arguments(self):
        process = self.start(*self.guest(SLEEP), "-name", "guest=aa32", "-pidfile", "pid")
        pid_file = self.folder.path / "pid"
        self.wait_for(lambda: pid_file.exists() and pid_file.read_text().endswith("\n"))
        self.assertEqual(int(pid_file.read_text()), process.pid)
        line = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
        self.assertEqual(line[0], str(self.folder.program).encode())
        self.assertIn(b"guest=aa32", line)
        second = self.folder.qemu(*self.guest(SLEEP), "-pidfile", "pid")
        self.assertEqual(second.returncode, 1, "another machine has the file")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(60), 0)
        self.assertFalse(pid_file.exists())

    def wait_for(self, condition):
        deadline = time.monotonic() + 60
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)

    def test_daemonize_returns_when_the_machine_is_there(self):
        words = [w for w in self.guest(ECHO) if w != "-nographic"]
        process = self.folder.qemu(*words, "-display", "none", "-daemonize", "-pidfile", "pid", "-serial", "file:log")
        self.assertEqual((process.returncode, process.stdout, process.stderr), (0, "", ""))
        pid = int((self.folder.path / "pid").read_text())
        self.assertTrue((self.folder.path / "log").exists())
        self.assertEqual(os.getsid(pid), pid)
        os.kill(pid, signal.SIGTERM)
        self.wait_for(lambda: not (self.folder.path / "pid").exists())

    def test_daemonize_tells_of_a_start_that_fails(self):
        process = self.folder.qemu("-M", "virt", "-kernel", "missing", "-display", "none", "-daemonize")
        self.assertEqual(process.returncode, 1)
        self.assertIn("missing", process.stderr)

    def test_a_refused_line_can_be_run_by_another_program(self):
        other = self.folder.path / "other"
        other.write_text('#!/bin/sh\nprintf "%s|" "$@"\nexit 7\n')
        other.chmod(0o755)
        line = ["-M", "virt", "-fda", "f", "-append", "a b"]
        environment = os.environ | {"ARMVISOR_QEMU_FALLBACK": str(other)}
        process = self.folder.qemu(*line, env=environment)
        self.assertEqual((process.returncode, process.stdout), (7, "|".join(line) + "|"))
        self.assertEqual(self.folder.qemu(*self.guest(POWER_OFF), env=environment).returncode, 0, "this one runs here")
        missing = self.folder.qemu(*line, env=os.environ | {"ARMVISOR_QEMU_FALLBACK": "/nonexistent"})
        self.assertEqual(missing.returncode, 1)
        self.assertIn("/nonexistent", missing.stderr)
        itself = self.folder.qemu(*line, env=os.environ | {"ARMVISOR_QEMU_FALLBACK": str(self.folder.program)})
        self.assertEqual(itself.returncode, 1, "no endless chain")

    def test_formats_are_found_as_qemu_finds_them_and_a_fifo_holds_nobody_up(self):
        (self.folder.path / "disk").write_bytes(b"QFI\xfb\0\0\0\x03" + bytes(600))
        process = self.folder.qemu(*self.guest(POWER_OFF), "-hda", "disk")
        self.assertEqual(process.returncode, 1)
        self.assertIn("qcow2", process.stderr)
        self.assertEqual(self.folder.qemu(*self.guest(POWER_OFF), "-drive", "file=disk,format=raw").returncode, 0)
        os.mkfifo(self.folder.path / "fifo")
        for option, status in (("-hda", 1), ("-kernel", 0)):
            process = self.folder.qemu(*self.guest(POWER_OFF), option, "fifo", "-explain", timeout=30)
            self.assertEqual(process.returncode, status)
        self.assertEqual(self.folder.qemu(*self.guest(POWER_OFF), "-hda", "fifo", timeout=30).returncode, 1)

    def test_files_that_no_device_reads_must_be_there_as_well(self):
        for words in (("-drive", "file=missing,if=none"), ("-blockdev", "raw,filename=missing,node-name=n"), ("-drive", "file=/etc"),
                      ("-object", "rng-random,id=r,filename=missing"), ("-pidfile", ""), ("-D", "")):
            process = self.folder.qemu(*self.guest(POWER_OFF), *words)
            self.assertEqual(process.returncode, 1, words)
            self.assertRegex(process.stderr, r"\Aarmvisor: [^\n]*expected[^\n]*\n\Z")
        explained = self.folder.qemu(*self.guest(POWER_OFF), "-drive", "file=missing,if=none", "-explain")
        self.assertEqual(explained.returncode, 0, "before its files are there")
        for words in (("-drive", "file=/etc"), ("-object", "rng-random,id=r,filename=/etc/passwd")):
            self.assertEqual(self.folder.qemu(*self.guest(POWER_OFF), *words, "-explain").returncode, 1, "nor can it ever run")
        self.assertEqual(self.folder.qemu(*self.guest(POWER_OFF), "-object", "rng-random,id=r,filename=/dev/urandom").returncode, 0)

    def test_a_signal_ends_a_machine_that_is_about_to_run(self):
        for _ in range(20):
            pid_file = self.folder.path / "pid"
            process = self.start(*self.guest(SLEEP), "-pidfile", "pid")
            while not pid_file.exists() and process.poll() is None:
                pass
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(60), 0)
            self.assertFalse(pid_file.exists())

    def test_without_anything_to_run_a_machine_runs_empty_flash_until_it_is_ended(self):
        process = self.start("-M", "virt", "-nographic", "-nic", "none")
        self.assertIn(b"empty flash", process.stderr.readline())
        with self.assertRaises(subprocess.TimeoutExpired):
            process.wait(3)
        process.stdin.write(b"\x01x")
        self.assertEqual(process.wait(60), 0)
        process = self.start("-M", "virt", "-nographic", "-nic", "none")
        self.assertIn(b"empty flash", process.stderr.readline())
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(60), 0)

    def test_files_and_data_that_a_loader_puts_into_memory(self):
        """In QEMU as well, where it is installed."""
        path = self.folder.path / "code.bin"
        # r1 = 0x09000000; r2 = the two words at 0x43000000; each of them is printed
        boot_support.write_code(path, [0xE3A01C09, 0xE1A01801, 0xE3A00443, 0xE5902000, 0xE5812000, 0xE5902004, 0xE5812000] + POWER_OFF)
        line = ["-M", "virt", "-display", "none", "-serial", "stdio", "-monitor", "none", "-nic", "none",
                "-device", f"loader,file={path},addr=0x42000000,cpu-num=0",
                "-device", "loader,addr=0x43000000,data=0x41,data-len=4",
                "-device", "loader,addr=0x43000004,data=0x42,data-len=4,data-be=off"]
        self.assertEqual(self.folder.qemu(*line).stdout, "AB")
        if qemu := shutil.which("qemu-system-arm"):
            self.assertEqual(subprocess.run([qemu, *line], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL).stdout, "AB")
        wrong = self.folder.qemu(*line, "-device", f"loader,file={path},addr=0x42000004")
        self.assertEqual(wrong.returncode, 1)
        self.assertIn("something else", wrong.stderr)

    def test_little_ram(self):
        for size in ("4", "8", "31"):
            self.assertEqual(self.folder.qemu(*self.guest(POWER_OFF), "-m", size).returncode, 0, size)

    def test_keys_of_a_muxed_console_work_on_a_pipe(self):
        for words in (["-nographic"], ["-display", "none", "-serial", "mon:stdio"],
                      ["-display", "none", "-chardev", "stdio,id=c,mux=on", "-serial", "chardev:c", "-mon", "chardev=c"]):
            process = self.start(*[w for w in self.guest(ECHO) if w != "-nographic"], *words)
            process.stdin.write(b"ab\x01\x01")
            self.assertEqual(self.read(process, 3), b"ab\x01")
            process.stdin.write(b"\x01x")
            self.assertEqual(process.wait(60), 0, words)

    def test_without_a_mux_every_byte_is_the_guests(self):
        process = self.start(*[w for w in self.guest(ECHO) if w != "-nographic"], "-display", "none", "-serial", "stdio")
        process.stdin.write(b"\x01x\x01cq")
        self.assertEqual(self.read(process, 5), b"\x01x\x01cq")
        self.assertEqual(process.wait(60), 0)

    def test_the_escape_can_be_another_character(self):
        process = self.start(*self.guest(ECHO), "-echr", "0x14")
        process.stdin.write(b"\x01x\x14\x14")
        self.assertEqual(self.read(process, 3), b"\x01x\x14")
        process.stdin.write(b"\x14x")
        self.assertEqual(process.wait(60), 0)

    def read(self, process, size):
        data = b""
        while len(data) < size:
            more = os.read(process.stdout.fileno(), size - len(data))
            self.assertTrue(more, data)
            data += more
        return data

    def test_interrupts_typed_on_a_terminal_end_a_machine_without_a_mux(self):
        for words, ends in ((["-display", "none", "-serial", "stdio"], True), (["-nographic"], False)):
            master, slave = pty.openpty()
            process = subprocess.Popen([self.folder.program, *[w for w in self.guest(ECHO) if w != "-nographic"], *words],
                                       stdin=slave, stdout=slave, stderr=subprocess.DEVNULL, start_new_session=True,
                                       preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
            os.close(slave)
            self.wait_for(lambda: not termios.tcgetattr(master)[3] & termios.ECHO)
            self.assertEqual(bool(termios.tcgetattr(master)[3] & termios.ISIG), ends)
            os.write(master, b"a")
            self.assertEqual(os.read(master, 1), b"a")
            os.write(master, b"\x03")
            if not ends:
                self.assertEqual(os.read(master, 1), b"\x03", "it is the guest's")
                os.write(master, b"q")
            self.assertEqual(process.wait(60), 0)
            os.close(master)


if __name__ == "__main__":
    unittest.main()
