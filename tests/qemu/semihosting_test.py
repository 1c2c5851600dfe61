"""Semihosting as QEMU has it: the same program sees and leaves the same on both, and what waits for input ends."""
import os
import shutil
import subprocess
import time
import unittest
from pathlib import Path

from support import ARMVISOR, Folder

GUESTS = Path(os.environ.get("ARMVISOR_GUESTS", "."))
QEMU = shutil.which("qemu-system-arm")


def assemble(words):
    """A raw kernel."""
    return b"".join(w.to_bytes(4, "little") for w in words)


# READC for ever: mov r0, #7; mov r1, #0; svc #0x123456; b . - 12
READS = assemble([0xe3a00007, 0xe3a01000, 0xef123456, 0xeafffffb])
# As cat: "r0 = READC; if it is -1, exit with status 0; WRITEC of it"
ECHOES = assemble([
    0xe3a00007,  # mov r0, #7
    0xef123456,  # svc
    0xe3700001,  # cmn r0, #1
    0x0a000004,  # beq end
    0xe28f1020,  # add r1, pc, #32: word
    0xe5810000,  # str r0, [r1]
    0xe3a00003,  # mov r0, #3
    0xef123456,  # svc
    0xeafffff6,  # b start
    0xe59f1004,  # end: ldr r1, =ADP_Stopped_ApplicationExit
    0xe3a00018,  # mov r0, #0x18
    0xef123456,  # svc
    0x00020026,
    0x00000000,  # the same word, wherever the pc points
    0x00000000,
])

# Writes what GET_CMDLINE says, and ends.
SAYS_ITS_COMMAND_LINE = assemble([
    0xe28f1028,  # add r1, pc, #40: block
    0xe28f2030,  # add r2, pc, #48: buffer
    0xe5812000,  # str r2, [r1]
    0xe3a00015,  # mov r0, #0x15: GET_CMDLINE
    0xef123456,  # svc
    0xe3a00004,  # mov r0, #4: WRITE0
    0xe5911000,  # ldr r1, [r1]
    0xef123456,  # svc
    0xe59f1010,  # ldr r1, =ADP_Stopped_ApplicationExit
    0xe3a00018,  # mov r0, #0x18
    0xef123456,  # svc
    0xeafffffe,  # b .
    0x00000000,  # block: buffer, length
    0x00000100,
    0x00020026,
    # buffer
])


class Semihosting(unittest.TestCase):
    def setUp(self):
        self.folder = Folder().__enter__()
        self.addCleanup(self.folder.__exit__)

    def kernel(self, code):
        path = self.folder.path / "code"
        path.write_bytes(code)
        return path

    def line(self, *more):
        return ["-M", "virt", "-cpu", "cortex-a15", "-m", "128", "-nic", "none", "-display", "none", "-monitor", "none",
                *more]

    def program(self, program, where):
        """What is left of a run: status, standard output and error, what was printed, files."""
        where.mkdir()
        line = self.line("-serial", "file:printed", "-semihosting-config", "enable=on,arg=program,arg=a,arg=careful",
                         "-kernel", str(GUESTS / "semihosting.elf"))
        run = subprocess.run([program, *line], cwd=where, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
        files = {f.name: f.read_bytes().replace(b"\r", b"") for f in where.iterdir()}
        errors = [x for x in run.stderr.decode(errors="replace").splitlines() if "module" not in x]
        return run.returncode, run.stdout, errors, files

    @unittest.skipUnless(QEMU, "there is no qemu-system-arm")
    def test_a_program_sees_and_leaves_what_it_does_with_qemu(self):
        ours = self.program(str(self.folder.program), self.folder.path / "ours")
        self.assertEqual(ours[0], 7)
        self.assertIn(b"done: all ok", ours[3]["printed"])
        self.assertNotIn(b"FAIL", ours[3]["printed"])
        self.assertEqual(ours, self.program(QEMU, self.folder.path / "qemu"))

    def test_the_arguments_are_those_of_the_kernel_if_there_are_no_others(self):
        self.kernel(SAYS_ITS_COMMAND_LINE)
        for more, wanted in ((["-semihosting"], "code"), (["-semihosting", "-append", "a  b"], "code a b"),
                             (["-semihosting-config", "arg=x,arg=y z", "-append", "a b"], "x y z"),
                             (["-semihosting-config", "arg=x", "-semihosting-config", "arg=y"], "x x y")):
            run = self.folder.qemu(*self.line("-serial", "none", "-kernel", "code", *more))
            self.assertEqual((run.returncode, run.stdout, run.stderr), (0, "", wanted), more)

    def test_a_console_that_is_nowhere_is_not_the_standard_error(self):
        self.kernel(SAYS_ITS_COMMAND_LINE)
        run = self.folder.qemu(*self.line("-serial", "none", "-kernel", "code", "-chardev", "null,id=n", "-semihosting-config",
                                          "chardev=n"))
        self.assertEqual((run.returncode, run.stdout, run.stderr), (0, "", ""))
        run = subprocess.run([ARMVISOR, "run", "-k", "code@0x40010000", "--semihosting", "--semihosting-console", "none"],
                             cwd=self.folder.path, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
        self.assertEqual((run.returncode, run.stdout, run.stderr), (0, b"", b""))

    def test_input_comes_from_the_standard_input_to_its_end(self):
        self.kernel(ECHOES)
        run = self.folder.qemu(*self.line("-serial", "none", "-semihosting", "-kernel", "code"), stdin=None,
                               input="hello\n" * 2000)
        self.assertEqual((run.returncode, run.stdout, run.stderr), (0, "", "hello\n" * 2000))

    def test_a_chardev_is_the_console(self):
        self.kernel(ECHOES)
        (self.folder.path / "typed").write_text("hello")
        with self.folder.start(*self.line("-serial", "none", "-chardev", "file,id=c,path=out,input-path=typed",
                                          "-semihosting-config", "enable=on,chardev=c", "-kernel", "code")) as process:
            try:
                while (self.folder.path / "out").read_text() != "hello" if (self.folder.path / "out").exists() else True:
                    self.assertIsNone(process.poll())
                    time.sleep(0.01)
            finally:
                process.terminate()
                self.assertEqual(process.wait(60), 0)

    def test_a_machine_whose_program_waits_for_input_is_ended_stopped_and_goes_on(self):
        self.kernel(READS)
        with self.folder.start(*self.line("-serial", "none", "-qmp", "stdio", "-semihosting", "-kernel", "code")) as process:
            process.stdout.readline()
            for command in ("qmp_capabilities", "stop", "cont", "stop", "cont", "system_reset", "quit"):
                process.stdin.write(b'{"execute": "%s"}\n' % command.encode())
                while b"return" not in process.stdout.readline():
                    self.assertIsNone(process.poll())
            self.assertEqual(process.wait(60), 0)

    def test_without_the_option_the_instruction_is_an_exception(self):
        self.kernel(READS)
        run = self.folder.qemu(*self.line("-serial", "none", "-kernel", "code"))
        self.assertEqual(run.returncode, 1)
        self.assertIn("crashed", run.stderr)


if __name__ == "__main__":
    unittest.main()
