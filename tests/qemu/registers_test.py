"""What a bare-metal guest reads of the machine, register by register, is what it reads on QEMU (the programs of
tests/guest/dump). Needs qemu-system-arm (or what ARMVISOR_QEMU names) and the programs (or where ARMVISOR_GUESTS says)."""
import os
import re
import shutil
import struct
import subprocess
import tempfile
import unittest
from pathlib import Path

from support import ARMVISOR, ROOT

QEMU = os.environ.get("ARMVISOR_QEMU") or shutil.which("qemu-system-arm")
GUESTS = Path(os.environ.get("ARMVISOR_GUESTS", ROOT / "build" / "release" / "tests" / "guest"))

# Registers that differ from QEMU's, by the names of dump/ids.c, since what they promise is not here, or is here and not there.
OTHERS = {
    "c0 6": "REVIDR is not implemented in QEMU, and 0 here",
    "c1 0": "ID_PFR0: ThumbEE", "c1 2": "ID_DFR0: debug registers in memory", "c2 3": "ID_ISAR3: ThumbEE", "c2 4": "ID_ISAR4: SMC",
    "ACTLR": "coherency is joined", "PMCEID0": "PMUv2", "PMCEID1": "PMUv2", "DBGDIDR": "v7.1 Debug", "DBGDEVID": "v7.1 Debug",
    "DBGDEVID1": "v7.1 Debug", "DBGAUTHSTATUS": "v7.1 Debug",
}
OF_ARMV8 = {
    "c1 6": "ID_MMFR2", "c1 7": "ID_MMFR3", "c2 2": "ID_ISAR2", "c2 5": "ID_ISAR5", "c2 6": "ID_MMFR4", "c2 7": "ID_ISAR6", "c3 4": "ID_PFR2",
    "c3 5": "ID_DFR1", "c3 6": "ID_MMFR5", "SCTLR": "", "ACTLR2": "", "MVFR1": "half precision", "L2CTLR": "", "CBAR": "", "TEECR": "",
}


def as_firmware(elf):
    """A program that is linked to run in RAM, as an image for flash: with code in front that copies it there."""
    data = elf.read_bytes()
    phoff, = struct.unpack_from("<I", data, 28)
    count, = struct.unpack_from("<H", data, 44)
    segments = [struct.unpack_from("<8I", data, phoff + 32 * n) for n in range(count)]
    segments = [(paddr, data[offset:offset + filesz]) for kind, offset, _, paddr, filesz, *_ in segments if kind == 1 and filesz]
    start, end = min(pa for pa, _ in segments), max(pa + len(code) for pa, code in segments)
    image = bytearray((end - start + 3) & ~3)
    for pa, code in segments:
        image[pa - start:pa - start + len(code)] = code
    copy = [0xE28F0020,  # add r0, pc, #32: the program
            0xE59F1014,  # ldr r1, start
            0xE59F2014,  # ldr r2, size
            0xE4903004,  # 1: ldr r3, [r0], #4
            0xE4813004,  # str r3, [r1], #4
            0xE2522004,  # subs r2, r2, #4
            0x1AFFFFFB,  # bne 1b
            0xE51FF004,  # ldr pc, start
            start, len(image)]
    return struct.pack("<10I", *copy) + image


@unittest.skipUnless(QEMU, "needs qemu-system-arm")
@unittest.skipUnless((GUESTS / "dump_fw_cfg.elf").exists(), "needs the programs of tests/guest/dump")
class Registers(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)

    def both(self, *words, cpu="cortex-a15"):
        """What the guest prints on QEMU and here."""
        words = ["-M", "virt", "-cpu", cpu, "-nic", "none", "-no-reboot", "-serial", "stdio", "-monitor", "none", *map(str, words)]
        texts = []
        for program in ([QEMU], [ARMVISOR, "qemu"]):
            process = subprocess.run([*program, *words], cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                     timeout=600)
            self.assertEqual(process.returncode, 0, process.stderr)
            texts.append(process.stdout.replace("\r", ""))
            self.assertTrue(texts[-1].endswith("done: all ok\n"), texts[-1][-2000:])
        return texts

    def test_what_models_of_cpus_say_of_themselves(self):
        for cpu, others in (("cortex-a15", OTHERS), ("cortex-a7", OTHERS), ("max", OTHERS | OF_ARMV8)):
            with self.subTest(cpu=cpu):
                theirs, ours = (text.splitlines() for text in
                                self.both("-display", "none", "-kernel", GUESTS / "dump_ids.elf", cpu=cpu))
                self.assertEqual(len(theirs), len(ours))
                differing = {f"{a} (here {b})" for a, b in zip(theirs, ours) if a != b and a.rsplit(" ", 1)[0] not in others}
                self.assertEqual(differing, set())

    def test_flash_that_no_file_fills(self):
        firmware = as_firmware(GUESTS / "dump_flash.elf")
        (self.folder / "image").write_bytes(firmware)
        for name, content in (("code", firmware), ("vars", b"vars" * 4096)):
            (self.folder / name).write_bytes(content)
            os.truncate(self.folder / name, 64 << 20)
        code, variables = (f"if=pflash,format=raw,unit={unit},file={name}" for unit, name in enumerate(("code", "vars")))
        for words in (["-bios", "image"], ["-bios", "image", "-drive", variables], ["-drive", code],
                      ["-drive", code, "-drive", variables]):
            with self.subTest(words=words):
                self.assertEqual(*self.both("-display", "none", *words))
        theirs, ours = self.both("-display", "none", "-kernel", GUESTS / "dump_flash.elf")
        self.assertEqual(theirs.splitlines()[4:], ours.splitlines()[4:], "the second bank")

    def files(self, text):
        """The part about files as {name: (size, content)}, and the rest."""
        found = re.compile(r"file (\S+) size (0x\w+)\n  key 0x\w+\n(\w+)\n(?:  sum (0x\w+)\n)?")
        return {m[1]: (m[2], m[3], m[4]) for m in found.finditer(text)}, re.sub(r"files 0x\w+\n", "", found.sub("", text))

    def compare_fw_cfg(self, *words):
        (theirs, others), (ours, rest) = map(self.files, self.both(*words))
        self.assertEqual(others, rest)
        # QEMU has tables of ACPI and SMBIOS as well.
        self.assertEqual({name: theirs.get(name) for name in ours}, ours)
        self.assertRegex(" ".join(sorted(set(theirs) - set(ours))), r"\A(etc/(acpi|smbios|tpm|table-loader)\S*\s*)*\Z")
        return ours

    def test_fw_cfg(self):
        (self.folder / "content").write_bytes(bytes(range(256)) * 40)
        files = self.compare_fw_cfg("-display", "none", "-kernel", GUESTS / "dump_fw_cfg.elf", "-smp", 2, "-uuid",
                                    "01234567-89ab-cdef-0123-456789abcdef", "-boot",
                                    "menu=on,splash-time=258,reboot-timeout=515", "-fw_cfg", "opt/b,string=text", "-fw_cfg",
                                    "name=opt/a,file=content")
        self.assertIn("etc/boot-menu-wait", files)
        self.assertIn("opt/a", files)

    def test_fw_cfg_with_a_kernel_for_firmware(self):
        (self.folder / "firmware").write_bytes(as_firmware(GUESTS / "dump_fw_cfg.elf"))
        (self.folder / "kernel").write_bytes(b"no kernel of any kind" * 1000)
        (self.folder / "initrd").write_bytes(b"initrd")
        self.compare_fw_cfg("-nographic", "-bios", "firmware", "-kernel", "kernel", "-initrd", "initrd",
                            "-append", "a command line")


if __name__ == "__main__":
    unittest.main()
