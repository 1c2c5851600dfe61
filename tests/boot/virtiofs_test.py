"""Folders of the host that a guest mounts by virtio-fs, which virtiofsd serves, and disks of qemu-storage-daemon: programs
on the host that write into the guest's memory."""
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path

from share_test import compile_exerciser, host_lines, tree
from support import ARMVISOR, GUEST, STATUS, Session, linux_arguments, run

COMPILER = "arm-linux-gnueabihf-gcc"
C_DAEMON, RUST_DAEMONS = "/usr/lib/qemu/virtiofsd", ("/usr/libexec/virtiofsd", "/usr/lib/virtiofsd")
DAEMON = next((p for p in (os.environ.get("ARMVISOR_VIRTIOFSD", ""), *RUST_DAEMONS, C_DAEMON) if os.access(p, os.X_OK)),
              None)
STORAGE_DAEMON = shutil.which("qemu-storage-daemon")
MODULES = ("fuse", "virtiofs")
SETUP = ("mkdir -p /tools /s && modprobe 9pnet_virtio && mount -t 9p -o trans=virtio,version=9p2000.L tools /tools\n"
         "insmod /tools/fuse.ko && insmod /tools/virtiofs.ko\n")
# A program that ends with status N if each of its 512 pages has added N, and else with 9.
PAGES = """
.global _start
.arm
_start: mov r0, #0
 ldr r4, =pages
 mov r5, #512
1: blx r4
 add r4, r4, #4096
 subs r5, r5, #1
 bne 1b
 cmp r0, #{0} * 512
 moveq r0, #{0}
 movne r0, #9
 mov r7, #1
 svc #0
.ltorg
.balign 4096
pages:
.rept 512
 add r0, r0, #{0}
 bx lr
 .balign 4096
.endr
"""


def children(process):
    """All processes below one."""
    found = []
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        for child in path.read_text().split():
            found += [int(child), *children(child)]
    return found


@unittest.skipUnless(shutil.which(COMPILER), f"needs {COMPILER}")
@unittest.skipUnless(DAEMON, "needs virtiofsd (Debian's virtiofsd, in Debian 12 qemu-system-common)")
class Virtiofs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # A file system whose folders have small offsets: 32-bit programs that ask for such find no others.
        memory = Path("/dev/shm")
        cls.directory = tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None)
        cls.addClassCleanup(cls.directory.cleanup)
        cls.path = Path(cls.directory.name)
        cls.path.chmod(0o755)
        cls.host_program = cls.path / "host"
        compile_exerciser("cc", cls.host_program)
        cls.tools = cls.path / "tools"
        cls.tools.mkdir()
        compile_exerciser(COMPILER, cls.tools / "exerciser")
        for number in (1, 2):
            subprocess.run([COMPILER, "-nostdlib", "-static", "-marm", "-x", "assembler", "-", "-o",
                            cls.tools / f"exit{number}"], input=PAGES.format(number), text=True, check=True)
        for name in MODULES:
            shutil.copy(next((GUEST / "linux-armmp").rglob(f"{name}.ko")), cls.tools)

    def setUp(self):
        self.share = Path(tempfile.mkdtemp(dir=self.path))

    def arguments(self, commands, *options, append=""):
        (self.tools / "commands").write_text(commands)  # a kernel's command line would be too short
        system = linux_arguments(SETUP + ". /tools/commands\n")
        return [*system[:-1], system[-1] + append, "--share", f"{self.tools}:tools,ro", "--timeout", "1000",
                *options]

    def guest(self, commands, *options, append="", **keywords):
        arguments = self.arguments(commands, "--share", f"{self.share},fs=virtiofs", *options, append=append)
        result = run(*arguments, timeout=1100, **keywords)
        self.assertEqual(result.returncode, STATUS["PoweredOff"], result.stdout[-2000:] + result.stderr)
        self.assertNotIn("does not serve", result.stderr)
        return result.stdout.replace("\r", "").splitlines()

    def between(self, lines, name):
        self.assertIn(f"END {name}", lines, "\n".join(lines[-40:]))
        return lines[lines.index(f"BEGIN {name}") + 1:lines.index(f"END {name}")]

    def test_programs_find_what_they_find_on_the_host(self):
        expected_lines, expected_tree = host_lines(self.host_program)
        with tempfile.TemporaryDirectory(dir=self.path) as folder:
            text = subprocess.run([self.host_program], cwd=folder, check=True, capture_output=True, text=True).stdout
            expected_lines, expected_tree = text.splitlines(), tree(folder)
        commands = ("mount -t virtiofs share /s && cd /s && echo BEGIN names && /tools/exerciser; echo END names\n"
                    "mkdir /s/more; cd /s/more; echo BEGIN random; /tools/exerciser random 7 400; echo END random\n"
                    "cat /proc/cpuinfo > text && cp text copy && cmp text copy && cd / && rm -r /s/more; umount /s\n")
        lines = self.guest(commands, "--cpus", "2")
        self.assertEqual(self.between(lines, "names"), expected_lines)
        self.assertRegex(self.between(lines, "random")[0], "random: [0-9]+ bytes, as expected")
        self.assertEqual(tree(self.share), expected_tree)

    def test_code_that_the_program_writes_into_memory_is_executed_and_none_that_was_there(self):
        # Where the cache is dropped, the same memory is read into again and again, with another program in it, and
        # nobody else writes it: the guest only executes. What it writes itself is executed in between.
        for number in (1, 2):
            shutil.copy(self.tools / f"exit{number}", self.share)
        commands = ("mount -t virtiofs share /s; n=0; wrong=0; while [ $n -lt 20 ]; do want=$((n % 2 + 1))\n"
                    "echo 1 > /proc/sys/vm/drop_caches; /s/exit$want; [ $? = $want ] || wrong=$((wrong + 1))\n"
                    "n=$((n + 1)); [ $((n % 10)) != 0 ] || { cp /tools/exit$want /s/program; /s/program\n"
                    "[ $? = $want ] || wrong=$((wrong + 1)); }; done; echo BEGIN code; echo $n $wrong\n"
                    "echo END code; printf x >> /s/count; [ $(cat /s/count) = xxx ] || reboot -f\n")
        # Debian's kernel would clear each page before it is read into, which is a write of the guest's that is seen.
        lines = self.guest(commands, "--virtio", "pci", append=" init_on_alloc=0")
        self.assertEqual(self.between(lines, "code"), ["20 0"])
        # The guest has reset itself twice; the program has served all three.
        self.assertEqual((self.share / "count").read_text(), "xxx")

    def test_a_daemon_that_dies_is_an_error_for_programs_and_the_machine_goes_on(self):
        commands = ("mount -t virtiofs share /s; cat /s/file; echo mounted; read line; cat /s/other; ls /s; echo $?\n"
                    "echo x > /s/new; echo still here\n")
        (self.share / "file").write_text("from the host\n")
        (self.share / "other").write_text("never read\n")
        with Session(*self.arguments(commands, "--share", f"{self.share},fs=virtiofs")) as guest:
            guest.expect("from the host")
            guest.expect("mounted")
            for process in children(guest.process.pid):
                os.kill(process, signal.SIGKILL)
            guest.send("go on\n")
            guest.expect("can't open '/s/other': I/O error|Input/output error")
            guest.expect("still here")
            self.assertEqual(guest.finish(), STATUS["PoweredOff"])
            said = guest.process.stderr.read().decode()
            self.assertEqual(said.count("does not serve the machine any more"), 1, said)
            self.assertIn("signal 9", said)
        self.assertFalse((self.share / "new").exists())

    def test_another_user_than_root(self):
        """The daemon of Debian 12 needs a user namespace then, and no groups beside the user's."""
        if os.geteuid() != 0:
            self.skipTest("needs root, to be another user")
        nobody = pwd.getpwnam("nobody")
        as_nobody = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        namespace = subprocess.run(["unshare", "--user", "--map-root-user", "true"], capture_output=True, **as_nobody)
        readable = subprocess.run(["test", "-r", GUEST / "initrd.img", "-a", "-x", ARMVISOR], **as_nobody)
        if namespace.returncode or readable.returncode:
            self.skipTest("needs user namespaces, and a tree that others may read")
        os.chown(self.share, nobody.pw_uid, nobody.pw_gid)
        self.guest("mount -t virtiofs share /s; echo text > /s/file; chmod 600 /s/file; umount /s\n", **as_nobody)
        made = (self.share / "file").stat()
        self.assertEqual((made.st_uid, made.st_mode & 0o777), (nobody.pw_uid, 0o600))

    def test_programs_that_others_started(self):
        """As lines of QEMU have it: a folder, and a disk where there is a program for one."""
        socket, disk = self.path / "fs", self.path / "disk"
        source = ["-o", f"source={self.share}"] if DAEMON == C_DAEMON else [f"--shared-dir={self.share}"]
        daemons = [subprocess.Popen([DAEMON, f"--socket-path={socket}", *source], stderr=subprocess.DEVNULL)]
        devices = ["-chardev", f"socket,id=c,path={socket}", "-device", "vhost-user-fs-pci,chardev=c,tag=share"]
        commands = "mount -t virtiofs share /s; cat /s/file > /s/copy; umount /s\n"
        (self.share / "file").write_text("from the host\n")
        if STORAGE_DAEMON:
            disk.write_bytes(b"sector zero".ljust(1 << 20, b"\0"))
            daemons.append(subprocess.Popen([
                STORAGE_DAEMON, "--blockdev", f"file,node-name=f,filename={disk}", "--export",
                f"vhost-user-blk,id=e,node-name=f,addr.type=unix,addr.path={disk}.socket,writable=on"]))
            devices += ["-chardev", f"socket,id=d,path={disk}.socket", "-device", "vhost-user-blk-pci,chardev=d"]
            commands += ("modprobe virtio_blk; head -c 11 /dev/vda; echo; printf 'of the guest' | "
                         "dd of=/dev/vda bs=512 seek=9 conv=notrunc; sync; cat /sys/block/vda/size\n")
        try:
            for place in [socket, *([Path(f"{disk}.socket")] if STORAGE_DAEMON else [])]:
                while not place.exists():
                    self.assertTrue(all(d.poll() is None for d in daemons))
            _, *options = self.arguments(commands)
            words = dict(zip(options[::2], options[1::2]))
            result = run("qemu", "-M", "virt,memory-backend=mem", "-m", "256M", "-object",
                         "memory-backend-memfd,id=mem,size=256M,share=on", "-nographic", "-nodefaults", "-serial", "stdio",
                         "-kernel", words["--kernel"], "-initrd", words["--initrd"], "-append", words["--append"], "-virtfs",
                         f"local,path={self.tools},mount_tag=tools,security_model=none,readonly=on", *devices, timeout=600)
        finally:
            for daemon in daemons:
                daemon.terminate()
                daemon.wait()
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertEqual((self.share / "copy").read_text(), "from the host\n")
        if STORAGE_DAEMON:
            self.assertIn("sector zero", result.stdout)
            self.assertIn("2048", result.stdout)
            self.assertEqual(disk.read_bytes()[9 * 512:9 * 512 + 12], b"of the guest")

    def test_what_cannot_be_shared_is_refused(self):
        nowhere = {**os.environ, "ARMVISOR_VIRTIOFSD": "/nonexistent/virtiofsd"}
        for option, words, environment in (
                (f"{self.share},fs=virtiofs", "/nonexistent/virtiofsd, which shares folders", nowhere),
                (f"{self.share}/none,fs=virtiofs", "expected a folder to share", None),
                (f"{self.share},fs=nfs", "expected fs=9p or fs=virtiofs", None),
                (f"{self.share},sandbox=none", "with fs=virtiofs only", None),
                (f"{self.share},fs=virtiofs,sandbox=jail", "expected sandbox=", None)):
            result = run(*linux_arguments("true"), "--share", option, env=environment)
            self.assertIn(result.returncode, (STATUS["BadArguments"], STATUS["BadInput"], STATUS["HostResource"]), words)
            self.assertIn(words, result.stderr)


if __name__ == "__main__":
    unittest.main()
