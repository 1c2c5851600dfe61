"""armvisor run --agent: an agent beside the first process of a system."""
import os
import subprocess
import unittest

from session_test import Running
from support import ARMVISOR, Session, linux_arguments, run
from system import STATUS

NAME = f"agent-{os.getpid()}"
SWITCH = """mkdir /r
mount -t tmpfs new /r
mkdir -p /r/bin /r/proc /r/sys /r/dev /r/tmp
cp /bin/busybox /r/bin
for name in sh cat tar ls; do ln -s busybox /r/bin/$name; done
echo new > /r/mark
echo old > /mark
echo BEFORE
read line
for name in proc sys dev; do mount --move /$name /r/$name; done
exec switch_root /r /bin/sh -c 'echo AFTER; read line; exec /bin/busybox poweroff -f'
"""


def execute(*command, name=NAME, **keywords):
    keywords.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([ARMVISOR, "exec", name, "--", *command], capture_output=True, timeout=600, **keywords)


class RunAgent(unittest.TestCase):
    def check(self, *options):
        with Session(*linux_arguments(SWITCH), "--name", NAME, "--agent", *options) as machine:
            machine.expect("BEFORE")
            self.assertEqual(execute("cat", "/mark").stdout, b"old\n")
            machine.send("\n")
            machine.expect("AFTER")
            result = execute("sh", "-c", "cat /mark; exit 5")
            self.assertEqual((result.stdout, result.returncode), (b"new\n", 5), result.stderr)
            copied = subprocess.run([ARMVISOR, "cp", f"{NAME}:/mark", "-"], capture_output=True, timeout=600)
            self.assertIn(b"new\n", copied.stdout, copied.stderr)
            machine.send("\n")
            self.assertEqual(machine.finish(), 0)

    def test_it_follows_the_root_of_the_first_process(self):
        self.check()

    def test_beside_another_console_on_pci(self):
        self.check("--virtio", "pci", "--virtio-console", "none")

    def test_a_reset_ends_commands_and_the_next_boot_serves_others(self):
        # At once: the kernel resets none of its devices.
        commands = "touch /old; echo READY; read line; echo b > /proc/sysrq-trigger"
        with Session(*linux_arguments(commands), "--name", NAME, "--agent") as machine:
            machine.expect("READY")
            self.assertEqual(execute("rm", "/old").returncode, 0)
            with Running([ARMVISOR, "exec", NAME, "--", "sh", "-c", "echo runs; exec cat"]) as r:
                r.expect(b"runs\n")
                machine.send("\n")
                self.assertEqual(r.process.wait(600), STATUS["AgentLost"])
            # The first of them comes while it boots.
            for n in range(3):
                result = execute("echo", str(n))
                self.assertEqual((result.returncode, result.stdout), (0, b"%d\n" % n), result.stderr)
            machine.expect("READY")
            self.assertEqual(execute("ls", "/old").stdout, b"/old\n")

    def test_a_machine_without_one_says_so(self):
        with Session(*linux_arguments("echo READY; read line"), "--name", NAME) as machine:
            machine.expect("READY")
            result = execute("true")
            self.assertEqual(result.returncode, 125)
            self.assertIn(b"--agent", result.stderr)
            machine.send("\n")
            machine.finish()

    def test_what_it_needs(self):
        for arguments, message in ((["--agent"], "--name"), (["--agent", "--name", NAME, "--append", "rdinit=/x"], "rdinit")):
            words = linux_arguments("true")
            result = run(*(words[:-2] if "--append" in arguments else words), *arguments)
            self.assertEqual(result.returncode, 2, result.stderr)
            self.assertIn(message, result.stderr)

    def test_it_can_be_installed(self):
        result = subprocess.run([ARMVISOR, "agent"], capture_output=True, timeout=60)
        self.assertEqual(result.returncode, 0)
        self.assertTrue(result.stdout.startswith(b"\x7fELF"))
        self.assertLess(len(result.stdout), 200 << 10)


if __name__ == "__main__":
    unittest.main()
