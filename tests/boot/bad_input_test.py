"""Everything that a user can get wrong has its exit status and a message that says what was expected and found."""
import os
import random
import resource
import shutil
import socket
import struct
import subprocess
import tempfile
import unittest
from pathlib import Path

from support import GUEST, POWER_OFF, PUT_A, SLEEP, STATUS, Session, linux_arguments, raw_kernel, run


def elf_header(machine, elf_class=1):
    ident = b"\x7fELF" + bytes([elf_class, 1, 1]) + bytes(9)
    return (ident + struct.pack("<HHI", 2, machine, 1)).ljust(128, b"\0")


class BadInput(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.path = Path(self.directory.name)

    def file(self, name, content):
        path = self.path / name
        path.write_bytes(content)
        return path

    def check(self, status, pattern, *arguments):
        result = run("run", "--timeout", "60", *arguments)
        self.assertEqual(result.returncode, STATUS[status], result.stderr)
        self.assertRegex(result.stderr, r"^armvisor: ")
        self.assertRegex(result.stderr, pattern)
        self.assertRegex(result.stderr, r"expected |must |cannot |is in use", "what was expected and found")

    def kernel(self):
        return raw_kernel(self.path / "sleep.bin", SLEEP)

    # --- files

    def test_missing_kernel(self):
        self.check("BadInput", "No such file", "-k", self.path / "none")

    def test_kernel_is_a_directory(self):
        self.check("BadInput", "directory", "-k", self.path)

    def test_empty_kernel(self):
        self.check("BadInput", "empty", "-k", self.file("empty", b""))

    @unittest.skipIf(os.geteuid() == 0, "root reads everything")
    def test_unreadable_kernel(self):
        path = self.file("secret", b"x")
        path.chmod(0)
        self.check("BadInput", "Permission denied", "-k", path)

    def test_kernel_of_no_known_kind(self):
        self.check("BadInput", "none of these", "-k", self.file("text", b"hello" * 100))

    def test_x86_kernel(self):
        image = bytearray(4096)
        image[0x202:0x206] = b"HdrS"
        self.check("BadInput", "x86", "-k", self.file("bzImage", bytes(image)))

    def test_arm64_kernel(self):
        image = bytearray(4096)
        image[56:60] = b"ARM\x64"
        self.check("BadInput", "64-bit ARM", "-k", self.file("Image", bytes(image)))

    def test_elf_for_x86_64(self):
        self.check("BadInput", "x86-64", "-k", self.file("vmlinux", elf_header(62, 2)))

    def test_elf_for_aarch64(self):
        self.check("BadInput", "64-bit ARM", "-k", self.file("vmlinux", elf_header(183, 2)))

    def test_truncated_zimage(self):
        whole = (GUEST / "zImage-armmp").read_bytes()
        self.check("BadInput", "truncated", "-k", self.file("zImage", whole[:len(whole) // 2]))

    def test_xen(self):
        """As Debian's Xen 4.17: a zImage whose header counts the bss, and code that needs Hyp mode."""
        code = [0xE1A00000] * 8 + [0xEA000002, 0x016F2818, 0, 0x20000] + POWER_OFF
        text = struct.pack(f"<{len(code)}I", *code) + b"xen,xen-bootargs\0"
        result = run("run", "-k", self.file("xen", text), "--timeout", "60")
        self.assertEqual(result.returncode, STATUS["PoweredOff"], result.stderr)
        self.assertRegex(result.stderr, r"131072 bytes in its header: .*bss")
        self.assertRegex(result.stderr, r"Xen .*EL2")

    def test_damaged_uimage(self):
        self.check("BadInput", "checksum", "-k", self.file("uImage", struct.pack(">I", 0x27051956) + bytes(100)))

    def test_missing_initrd(self):
        self.check("BadInput", "initrd", "-k", self.kernel(), "-i", self.path / "none")

    def test_bad_device_tree(self):
        self.check("BadInput", "device tree", "-k", self.kernel(), "--dtb", self.file("dtb", b"x" * 200))

    def test_missing_firmware(self):
        self.check("BadInput", "No such file", "--firmware", self.path / "none")

    def test_missing_disk(self):
        self.check("BadInput", "No such file", "-k", self.kernel(), "-d", self.path / "none")

    # --- files that are no files, or have no end

    READERS = ("-k", "-i", "--dtb", "--firmware")

    def reading(self, option, path):
        """Options of a machine that has only this to read."""
        path = f"{path}@0x40008000" if option == "-k" else path
        return [option, path] if option in ("-k", "--firmware") else ["-k", self.kernel(), option, path]

    def fifo(self):
        path = self.path / "fifo"
        if not path.exists():
            os.mkfifo(path)
        return path

    def test_what_has_no_end(self):
        for option in self.READERS:
            self.check("BadInput", "expected at most|regular file", *self.reading(option, "/dev/zero"), "-m", "64M")

    def test_a_huge_file_is_not_read(self):
        huge = self.path / "huge"
        with open(huge, "wb") as f:
            f.truncate(1 << 40)
        for option in self.READERS:
            self.check("BadInput", "1099511627776", *self.reading(option, huge))

    def test_a_file_larger_than_ram_is_not_read(self):
        large = self.path / "large"
        with open(large, "wb") as f:
            f.truncate(4 << 30)
        gib = 1 << 30
        for option in ("-k", "-i"):  # without the room to read it
            result = run("run", *self.reading(option, large), "-m", "512M", "--timeout", "60",
                         preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (3 * gib, 3 * gib)))
            self.assertEqual(result.returncode, STATUS["BadInput"], result.stderr)
            self.assertRegex(result.stderr, "expected at most .*found 4294967296; .* RAM ")

    def test_time_goes_on_while_a_fifo_is_read(self):
        for option in ("-k", "-i", "--dtb"):
            for more in ([], ["--dump-dtb", self.path / "out.dtb"]):
                result = run("run", *self.reading(option, self.fifo()), "--timeout", "1", *more)
                self.assertEqual(result.returncode, STATUS["TimedOut"], (option, more, result.stderr))

    def test_signals_end_the_reading_of_a_fifo(self):
        for option in ("-k", "-i", "--dtb"):
            with Session("run", *self.reading(option, self.fifo())) as machine:
                # Somebody reads it from then on; and never comes to its end.
                with open(self.fifo(), "wb", buffering=0) as writer:
                    writer.write(b"x" * 100)
                    machine.process.terminate()
                    self.assertEqual(machine.finish(), STATUS["Interrupted"], option)

    def test_a_fifo_is_no_firmware_and_no_disk(self):
        self.check("BadInput", "regular file", "--firmware", self.fifo())
        for option in (self.fifo(), f"{self.fifo()},ro"):
            self.check("BadInput", "neither", "-k", self.kernel(), "-d", option)

    def test_a_kernel_from_a_pipe(self):
        code = struct.pack(f"<{len(POWER_OFF)}I", *POWER_OFF)
        read, write = os.pipe()
        with open(write, "wb") as writer:
            writer.write(code)
        result = run("run", "-k", f"/proc/self/fd/{read}@0x40008000", "--timeout", "60", pass_fds=[read])
        os.close(read)
        self.assertEqual(result.returncode, STATUS["PoweredOff"], result.stderr)

    def test_other_commands_read_no_endless_files_either(self):
        for command in (["disasm"], ["model"], ["calibrate", "--fit"]):
            result = run(*command, "/dev/zero")
            self.assertEqual(result.returncode, STATUS["BadInput"], (command, result.stderr))

    def test_firmware_for_aarch64(self):
        self.check("BadInput", "64-bit", "--firmware", self.file("QEMU_EFI.fd", struct.pack("<I", 0x14000400) * 1000))

    # --- garbage, which is the guest's misfortune and never the host's

    def garbage(self, name, seed, size=1 << 20):
        return self.file(name, random.Random(seed).randbytes(size))

    def test_random_kernels_and_firmware(self):
        expected = {STATUS[name] for name in ("PoweredOff", "Reset", "Crashed", "TimedOut")}
        for seed in range(3):
            path = self.garbage("random", seed)
            for what in (["-k", f"{path}@0x40008000"], ["--firmware", path]):
                result = run("run", *what, "--timeout", "2", "--no-reboot")
                self.assertIn(result.returncode, expected, (seed, what, result.stderr))

    def test_random_initrd(self):
        result = run("run", "-k", GUEST / "zImage-armmp", "-i", self.garbage("initrd", 1), "-a",
                     "console=ttyAMA0 quiet panic=-1", "--timeout", "300", "--no-reboot", timeout=400)
        self.assertEqual(result.returncode, STATUS["Reset"], result.stdout[-2000:] + result.stderr)
        self.assertIn("Unable to mount root fs", result.stdout)

    def test_random_disk(self):
        result = run(*linux_arguments("mount -t ext4 /dev/vda /mnt; echo STATUS $?"), "--disk",
                     self.garbage("disk", 1), "--timeout", "300", timeout=400)
        self.assertEqual(result.returncode, STATUS["PoweredOff"], result.stdout[-2000:] + result.stderr)
        self.assertRegex(result.stdout, "STATUS [1-9]")

    # --- memory

    def test_image_larger_than_ram(self):
        large = self.path / "large"
        with open(large, "wb") as f:
            f.truncate(64 << 20)
        self.check("BadInput", "RAM", "-k", f"{large}@0x40008000", "-m", "32M")

    def test_initrd_larger_than_ram(self):
        large = self.path / "large"
        with open(large, "wb") as f:
            f.truncate(64 << 20)
        self.check("BadInput", "RAM", "-k", self.kernel(), "-i", large, "-m", "64M")

    def test_image_outside_ram(self):
        self.check("BadInput", "RAM", "-k", f"{self.file('raw', b'x' * 16)}@0x1000")

    def test_more_ram_than_the_board_holds(self):
        self.check("BadArguments", "31744", "-k", self.kernel(), "-m", "32G")

    def test_no_number_of_ram(self):
        self.check("BadArguments", "lots", "-k", self.kernel(), "-m", "lots")

    # --- arguments

    def test_nothing_to_run(self):
        self.check("BadArguments", "--kernel")

    def test_the_device_tree_alone(self):
        tree = self.path / "out.dtb"
        self.assertEqual(run("run", "--dump-dtb", tree, "-c", "3").returncode, STATUS["PoweredOff"])
        blob = tree.read_bytes()
        self.assertEqual(blob[:4], b"\xd0\x0d\xfe\xed")
        self.assertEqual(blob.count(b"cpu@"), 3)
        self.assertEqual(run("run", "--dump-dtb", f"{tree}.2", "--dtb", tree).returncode, STATUS["PoweredOff"])
        self.check("BadArguments", "--initrd", "--dump-dtb", f"{tree}.3", "-i", tree)

    def test_empty_names(self):
        self.check("BadArguments", "empty", "-k", "")
        for option in (*self.READERS[1:], "--dump-dtb", "-d"):
            self.check("BadArguments", "empty", "-k", self.kernel(), option, "")
        self.check("BadArguments", "empty", "-k", self.kernel(), "-d", ",ro")

    def test_long_command_lines(self):
        off = raw_kernel(self.path / "off.bin", POWER_OFF)
        self.check("BadArguments", "16384.*100000", "-k", off, "-a", "x" * 100000)
        result = run("run", "-k", off, "-a", "x" * 16384)
        self.assertEqual(result.returncode, STATUS["PoweredOff"], result.stderr)
        self.assertRegex(result.stderr, "first 1023")

    def test_kernel_and_firmware(self):
        self.check("BadArguments", "expected no address, since firmware places it", "-k", self.kernel(), "--firmware", GUEST / "u-boot.bin")

    def test_unknown_option(self):
        self.check("BadArguments", "--unknown", "--unknown")

    def test_too_many_cpus(self):
        self.check("BadArguments", "--cpus", "-k", self.kernel(), "-c", "9")

    def test_bad_console(self):
        self.check("BadArguments", "--console", "-k", self.kernel(), "--console", "screen")

    def test_bad_network(self):
        self.check("BadArguments", "vde", "-k", self.kernel(), "--net", "vde")

    # --- the host

    def test_port_taken(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen()
            port = s.getsockname()[1]
            self.check("HostResource", str(port), "-k", self.kernel(), "--net", f"user,hostfwd=tcp:127.0.0.1:{port}-:22")

    def test_two_machines_on_one_disk(self):
        disk = self.file("disk", bytes(1 << 20))
        with Session("run", "-k", raw_kernel(self.path / "greeter.bin", PUT_A + SLEEP), "-d", disk, "--timeout",
                     "60") as first:
            first.expect("A")  # its guest runs, so it has the disk
            second = run("run", "-k", self.kernel(), "-d", disk, "--timeout", "60")
            self.assertEqual(second.returncode, STATUS["HostResource"], second.stderr)
            self.assertRegex(second.stderr, "disk")
            first.process.terminate()
            self.assertEqual(first.finish(), STATUS["Interrupted"])

    # --- QEMU, whose machines lock their disks in the same way

    def qemu(self, disk, more=""):
        """A machine of QEMU that has the disk, and does not run; None if it was refused the disk."""
        process = subprocess.Popen(
            ["qemu-system-arm", "-M", "virt", "-S", "-nodefaults", "-display", "none", "-qmp", "stdio", "-drive",
             f"if=none,id=d,format=raw,file={disk}{more}", "-device", "virtio-blk-device,drive=d"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

        def end():
            process.kill()
            process.communicate()

        self.addCleanup(end)
        process.stdin.write('{"execute": "qmp_capabilities"}\n{"execute": "query-block", "id": "block"}\n')
        try:
            process.stdin.flush()
        except BrokenPipeError:
            pass
        for line in process.stdout:  # it answers commands when its disks are there
            if '"id": "block"' in line:
                return process
        self.assertRegex(process.stderr.read(), "lock")
        return None

    @unittest.skipIf(shutil.which("qemu-system-arm") is None, "no qemu-system-arm here")
    def test_a_disk_beside_qemu(self):
        disk = self.file("disk", bytes(1 << 20))
        off = raw_kernel(self.path / "off.bin", POWER_OFF)
        reader = self.qemu(disk, ",readonly=on")
        self.assertIsNotNone(reader)
        self.assertEqual(run("run", "-k", off, "-d", f"{disk},ro").returncode, STATUS["PoweredOff"])
        self.check("HostResource", "in use", "-k", off, "-d", disk)
        reader.kill()
        reader.wait()
        writer = self.qemu(disk)
        self.assertIsNotNone(writer)
        self.check("HostResource", "in use", "-k", off, "-d", f"{disk},ro")
        self.check("HostResource", "in use", "-k", off, "-d", disk)
        writer.kill()
        writer.wait()
        for option, qemu_may_read in ((f"{disk},ro", True), (disk, False)):
            with Session("run", "-k", raw_kernel(self.path / "greeter.bin", PUT_A + SLEEP), "-d", option) as ours:
                ours.expect("A")
                reader = self.qemu(disk, ",readonly=on")
                self.assertEqual(reader is not None, qemu_may_read, option)
                self.assertIsNone(self.qemu(disk), option)
                if reader:
                    reader.kill()
                    reader.wait()

    def test_commands(self):
        self.assertEqual(run("frobnicate").returncode, STATUS["BadArguments"])
        self.assertEqual(run("help", "run").returncode, STATUS["PoweredOff"])
        page = run("help", "run", "--man").stdout
        self.assertIn(".SH EXIT STATUS", page)
        self.assertIn("\\-\\-kernel", page)
        if subprocess.run(["sh", "-c", "command -v groff"], capture_output=True).returncode == 0:
            rendered = subprocess.run(["groff", "-man", "-Tascii", "-ww"], input=page, capture_output=True, text=True)
            self.assertEqual(rendered.stderr, "")


if __name__ == "__main__":
    unittest.main()
