"""Debian's U-Boot for QEMU's virt machine, from flash, at its prompt. ARMVISOR_TEST_UBOOT names another one to try."""
import base64
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from support import GUEST, STATUS, Session, linux_arguments, run

UBOOT = os.environ.get("ARMVISOR_TEST_UBOOT", GUEST / "u-boot.bin")


def boot_disk(directory):
    """A disk with a kernel and its initramfs."""
    files = directory / "files"
    files.mkdir()
    shutil.copyfile(GUEST / "zImage-armmp", files / "zImage")
    shutil.copyfile(GUEST / "initrd.img", files / "initrd.img")
    disk = directory / "disk.img"
    with open(disk, "wb") as image:
        image.truncate(32 << 20)
    subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", "-d", files, disk], check=True)
    return disk


class UBoot(unittest.TestCase):
    def test_linux_with_the_device_tree_that_u_boot_itself_uses(self):
        commands = base64.b64encode(b'echo "cpus $(nproc)"').decode()
        lines = ("virtio scan", "load virtio 0 ${kernel_addr_r} zImage", "load virtio 0 ${ramdisk_addr_r} initrd.img",
                 f"setenv bootargs console=ttyAMA0 quiet armvisor.exec={commands}",
                 # It adds to the tree where that lies, close below U-Boot's stack and data.
                 "bootz ${kernel_addr_r} ${ramdisk_addr_r}:${filesize} ${fdtcontroladdr}")
        with tempfile.TemporaryDirectory(prefix="armvisor-uboot-") as directory:
            disk = boot_disk(Path(directory))
            for cpus in (1, 4):
                with self.subTest(cpus=cpus), \
                        Session("run", "--firmware", UBOOT, "--disk", f"{disk},ro", "--cpus", cpus, "--timeout", "600",
                                "--no-reboot") as machine:
                    machine.expect("Hit any key to stop autoboot")
                    machine.send(" \n")
                    for line in lines:
                        machine.expect("=> ")
                        machine.send(line + "\n")
                    said = machine.expect(rf"cpus {cpus}\b|data abort")  # of U-Boot, which then aborts again and again
                    self.assertNotEqual(said[0], "data abort")
                    self.assertEqual(machine.finish(), STATUS["PoweredOff"])

    def test_prompt_and_commands(self):
        with Session("run", "--firmware", UBOOT, "--disk", f"{GUEST / 'disk.img'},ro", "--timeout", "600",
                     "--no-reboot") as machine:
            machine.expect("U-Boot 20")
            machine.expect("Hit any key to stop autoboot")
            machine.send(" \n")
            machine.expect("=> ")
            machine.send("version\n")
            machine.expect(r"U-Boot 20\d\d\.\d\d")
            machine.send("bdinfo\n")
            machine.expect(r"-> start\s+= 0x[0]*40000000")
            machine.send("virtio scan; ls virtio 0\n")
            machine.expect("readme")
            machine.send("poweroff\n")
            self.assertEqual(machine.finish(), STATUS["PoweredOff"])

    def test_disks_on_pci(self):
        with Session("run", "--firmware", UBOOT, "--disk", f"{GUEST / 'disk.img'},ro", "--virtio", "pci", "--timeout", "600",
                     "--no-reboot") as machine:
            machine.expect("Hit any key to stop autoboot")
            machine.send(" \n")
            machine.expect("=> ")
            machine.send("pci enum; pci\n")
            machine.expect(r"00\.00\.00\s+0x1b36\s+0x0008")
            machine.expect(r"00\.01\.00\s+0x1af4\s+0x1001")
            machine.send("virtio scan; ls virtio 0\n")
            machine.expect("readme")
            machine.send("poweroff\n")
            self.assertEqual(machine.finish(), STATUS["PoweredOff"])

    @unittest.skipUnless(b"bootcmd_qfw" in Path(UBOOT).read_bytes(), "this U-Boot does not look in fw_cfg by itself")
    def test_a_kernel_of_fw_cfg(self):
        process = run(*linux_arguments("echo LINE $(cat /proc/cmdline)"), "--firmware", UBOOT, "--timeout", "600", timeout=900)
        self.assertEqual(process.returncode, STATUS["PoweredOff"], process.stdout[-2000:] + process.stderr)
        self.assertRegex(process.stdout, r"Hit any key to stop autoboot[^$]*LINE console=ttyAMA0 quiet armvisor.exec=")

    def test_reset_command(self):
        with Session("run", "--firmware", UBOOT, "--timeout", "600") as machine:
            for _ in range(2):  # it comes back
                machine.expect("Hit any key to stop autoboot")
                machine.send(" \n")
                machine.expect("=> ")
                machine.send("reset\n")
            machine.expect("Hit any key to stop autoboot")


if __name__ == "__main__":
    unittest.main()
