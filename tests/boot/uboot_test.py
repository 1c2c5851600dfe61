"""Debian's U-Boot for QEMU's virt machine, from flash, at its prompt."""
import unittest

from support import GUEST, STATUS, Session


class UBoot(unittest.TestCase):
    def test_prompt_and_commands(self):
        with Session("run", "--firmware", GUEST / "u-boot.bin", "--disk", f"{GUEST / 'disk.img'},ro", "--timeout",
                     "600", "--no-reboot") as machine:
            machine.expect("U-Boot 2023")
            machine.expect("Hit any key to stop autoboot")
            machine.send(" \n")
            machine.expect("=> ")
            machine.send("version\n")
            machine.expect("arm-linux-gnueabihf-gcc")
            machine.send("bdinfo\n")
            machine.expect(r"-> start\s+= 0x[0]*40000000")
            machine.send("virtio scan; ls virtio 0\n")
            machine.expect("readme")
            machine.send("poweroff\n")
            self.assertEqual(machine.finish(), STATUS["PoweredOff"])

    def test_reset_command(self):
        with Session("run", "--firmware", GUEST / "u-boot.bin", "--timeout", "600") as machine:
            for _ in range(2):  # it comes back
                machine.expect("Hit any key to stop autoboot")
                machine.send(" \n")
                machine.expect("=> ")
                machine.send("reset\n")
            machine.expect("Hit any key to stop autoboot")


if __name__ == "__main__":
    unittest.main()
