"""Debian's UEFI for QEMU's virt machine, from flash, at its shell. ARMVISOR_TEST_UEFI names another one to try."""
import os
import unittest

from support import GUEST, STATUS, Session, linux_arguments, run

UEFI = os.environ.get("ARMVISOR_TEST_UEFI", GUEST / "uefi.fd")
VARIABLE = "Kept -guid 7c1d9f0e-3a52-4c1b-9f59-0d2f1c6ab001"


class Uefi(unittest.TestCase):
    def shell(self, machine):
        machine.expect("startup.nsh")
        machine.send("\x1b")  # do not wait for it
        machine.expect("Shell> ")

    def test_shell_and_variables_in_flash(self):
        with Session("run", "--firmware", UEFI, "--timeout", "600") as machine:
            self.shell(machine)
            machine.send(f"setvar {VARIABLE} -bs -nv =0x12345678\r")
            machine.expect("Shell> ")
            machine.send("reset\r")
            self.shell(machine)
            machine.send(f"setvar {VARIABLE}\r")
            machine.expect("Kept - 0004 Bytes")
            machine.expect("78 56 34 12")
            machine.expect("Shell> ")
            machine.send("reset -s\r")
            self.assertEqual(machine.finish(), STATUS["PoweredOff"])

    def test_disks_on_pci(self):
        with Session("run", "--firmware", UEFI, "--disk", f"{GUEST / 'disk.img'},ro", "--virtio", "pci", "--timeout",
                     "600") as machine:
            self.shell(machine)
            machine.send("map -r\r")
            machine.expect(r"BLK\d+.*\s+PciRoot\(0x0\)/Pci\(0x1,0x0\)")
            machine.expect("Shell> ")
            machine.send("reset -s\r")
            self.assertEqual(machine.finish(), STATUS["PoweredOff"])

    def test_a_kernel_by_efi_stub(self):
        """UEFI finds kernel, initrd and command line in fw_cfg, and starts the kernel as a program of its own."""
        process = run(*linux_arguments("[ -d /sys/firmware/efi ] && echo STARTED BY EFI; echo LINE $(cat /proc/cmdline)"),
                      "--firmware", UEFI, "--timeout", "600", timeout=900)
        self.assertEqual(process.returncode, STATUS["PoweredOff"], process.stdout[-2000:] + process.stderr)
        self.assertIn("STARTED BY EFI", process.stdout)
        self.assertRegex(process.stdout, r"LINE console=ttyAMA0 quiet armvisor.exec=\S+ initrd=initrd")


if __name__ == "__main__":
    unittest.main()
