"""Folders of the host that a guest mounts by 9P: what programs do to files in one is what it is on the host."""
import filecmp
import os
import shutil
import stat
import subprocess
import tempfile
import unittest
from pathlib import Path

from support import STATUS, linux_arguments, run

EXERCISER = Path(__file__).resolve().parent / "share_exerciser.c"
COMPILER = "arm-linux-gnueabihf-gcc"
MOUNT = "mount -t 9p -o trans=virtio,version=9p2000.L"


def compile_exerciser(compiler, to):
    subprocess.run([compiler, "-O1", "-static", "-o", to, EXERCISER], check=True)


def host_lines(program, *arguments):
    with tempfile.TemporaryDirectory() as folder:
        text = subprocess.run([program, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout
        return text.splitlines(), tree(folder)


def tree(folder):
    """Names, kinds, permissions, sizes and targets of links of all that is in a folder."""
    found = {}
    for path in Path(folder).rglob("*"):
        s = path.lstat()
        detail = os.readlink(path) if stat.S_ISLNK(s.st_mode) else s.st_size if stat.S_ISREG(s.st_mode) else 0
        found[str(path.relative_to(folder))] = (oct(s.st_mode), s.st_nlink, detail)
    return found


@unittest.skipUnless(shutil.which(COMPILER), f"needs {COMPILER}")
class Share(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.directory.cleanup)
        cls.path = Path(cls.directory.name)
        cls.host_program = cls.path / "host"
        compile_exerciser("cc", cls.host_program)
        cls.tools = cls.path / "tools"
        cls.tools.mkdir()
        compile_exerciser(COMPILER, cls.tools / "exerciser")
        cls.host_lines, cls.host_tree = host_lines(cls.host_program)

    def setUp(self):
        self.share = Path(tempfile.mkdtemp(dir=self.path))

    def guest(self, commands, *options, status="PoweredOff"):
        """The console's lines, of a guest that runs `commands` with the folder of tools in /tools."""
        (self.tools / "commands").write_text(commands)  # a kernel's command line would be too short
        setup = f"mkdir -p /tools /s && modprobe 9pnet_virtio && {MOUNT} tools /tools && . /tools/commands\n"
        result = run(*linux_arguments(setup), "--share", f"{self.tools}:tools,ro", "--timeout", "1000", *options,
                     timeout=1100)
        self.assertEqual(result.returncode, STATUS[status], result.stdout[-2000:] + result.stderr)
        return result.stdout.replace("\r", "").splitlines()

    def between(self, lines, name):
        """What stands between BEGIN and END of a name."""
        self.assertIn(f"END {name}", lines, "\n".join(lines[-40:]))
        return lines[lines.index(f"BEGIN {name}") + 1:lines.index(f"END {name}")]

    def exercise(self, cache, *options):
        commands = (f"{MOUNT},{cache} share /s && cd /s && echo BEGIN names && /tools/exerciser; echo END names; "
                    "sync; cd /; umount /s\n")
        lines = self.guest(commands, "--share", f"{self.share}:share", *options)
        self.assertEqual(self.between(lines, "names"), self.host_lines)
        self.assertEqual(tree(self.share), self.host_tree)

    def test_programs_find_what_they_find_on_the_host(self):
        self.exercise("cache=none,msize=262144")

    def test_programs_find_the_same_with_a_cache_and_on_pci(self):
        self.exercise("cache=loose,msize=512000", "--virtio", "pci")

    def test_random_operations_and_shared_mappings(self):
        commands = ""
        for number, cache in enumerate(("none", "mmap", "loose")):
            commands += (f"{MOUNT},cache={cache} share /s && cd /s && echo BEGIN {cache}\n"
                         f"/tools/exerciser random {number} 400 && cat /proc/cpuinfo > text && cp text copy-{cache}\n"
                         f"cmp text copy-{cache} && rm text; echo END {cache}; cd /; umount /s\n")
        commands += f"{MOUNT},cache=mmap share /s; cd /s; echo BEGIN map; /tools/exerciser mmap | tail -7; echo END map\n"
        lines = self.guest(commands, "--share", f"{self.share}:share", "--cpus", "2")
        for cache in ("none", "mmap", "loose"):
            text = self.between(lines, cache)
            self.assertEqual(len(text), 1, text)
            self.assertRegex(text[0], "random: [0-9]+ bytes, as expected")
        self.assertEqual(self.between(lines, "map"), host_lines(self.host_program, "mmap")[0][-7:])
        self.assertTrue(filecmp.cmp(self.share / "copy-none", self.share / "copy-loose", shallow=False))

    def test_it_ends_at_the_folder_and_may_be_read_only(self):
        secret = self.path / "secret"
        secret.write_text("not for guests\n")
        (self.share / "up").symlink_to(self.path)
        (self.share / "file").write_text("from the host\n")
        os.mkfifo(self.share / "fifo")
        commands = (f"{MOUNT} share /s; cd /s; cat file; cat up/secret ../secret; cat < fifo & sleep 1; kill $!\n"
                    "echo changed > file; mkdir new; rm file; echo BEGIN seen; ls -1; cat file; echo END seen\n")
        lines = self.guest(commands, "--share", f"{self.share}:share,ro")
        self.assertNotIn("not for guests", lines)
        self.assertEqual(self.between(lines, "seen"), ["fifo", "file", "up", "from the host"])
        self.assertEqual((self.share / "file").read_text(), "from the host\n")

    def test_a_reset_ends_what_the_guest_had_open(self):
        (self.share / "count").write_text("x")
        commands = (f"{MOUNT} share /s; cd /s; printf x >> count; exec 5< count\n"
                    "[ $(cat count) = xxx ] || reboot -f\n")
        self.guest(commands, "--share", f"{self.share}:share")
        self.assertEqual((self.share / "count").read_text(), "xxx")

    def test_what_cannot_be_shared_is_refused(self):
        for option, word in ((f"{self.share}/none", "expected a folder to share"), (f"{self.share}:", "expected a tag"),
                             (f"{self.share},rw", "expected FOLDER[:TAG][,ro]")):
            result = run(*linux_arguments("true"), "--share", option)
            self.assertIn(result.returncode, (STATUS["BadArguments"], STATUS["BadInput"]))
            self.assertIn(word, result.stderr)


if __name__ == "__main__":
    unittest.main()
