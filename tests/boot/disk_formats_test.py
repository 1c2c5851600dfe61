"""Disks of other formats than raw, snapshots, and servers that die, under Linux."""
import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from support import STATUS, Session, linux_arguments, run

SIZE = 64 << 20
NEEDED = [program for program in ("qemu-nbd", "qemu-img") if shutil.which(program) is None]

# Whole disks are written and read, so no file system puts its time stamps there.
WRITE = """
fill() { # file bytes: the same for every disk
  busybox=/bin/busybox
  dd if=$busybox of=$1 bs=64k count=12 seek=3 2>/dev/null &&
  dd if=$busybox of=$1 bs=512 count=7 seek=70001 2>/dev/null &&
  dd if=/dev/zero of=$1 bs=4k count=5 seek=50 2>/dev/null && sync
}
"""


def qemu_img(*words):
    return subprocess.run(["qemu-img", *map(str, words)], capture_output=True, text=True)


def digest(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def children(process):
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


@unittest.skipIf(NEEDED, f"not installed: {', '.join(NEEDED)} (Debian's qemu-utils)")
class DiskFormats(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.path = Path(holder.name)

    def image(self, image_format, name=None):
        path = self.path / (name or f"disk.{image_format}")
        self.assertEqual(qemu_img("create", "-q", "-f", image_format, path, SIZE).returncode, 0)
        return path

    def linux(self, commands, *options):
        result = run(*linux_arguments(commands), *options, "--timeout", "1000", timeout=1100)
        self.assertEqual(result.returncode, STATUS["PoweredOff"], result.stdout + result.stderr)
        return result

    def test_what_is_written_is_the_same_in_every_format(self):
        images = [self.image(f) for f in ("raw", "qcow2", "vmdk", "vhdx")]
        options = [word for image in images for word in ("-d", str(image))]
        out = self.linux(WRITE + "for d in a b c d; do fill /dev/vd$d && echo FILLED $d; done\n"
                         "echo 3 > /proc/sys/vm/drop_caches\n"
                         "for d in a b c d; do echo SUM $(md5sum < /dev/vd$d); done\n", *options).stdout
        self.assertEqual(re.findall(r"FILLED (\w)", out), ["a", "b", "c", "d"], out)
        self.assertEqual(len(set(re.findall(r"SUM (\w+)", out))), 1, out)
        for image in images[1:]:
            check = qemu_img("check", image)
            self.assertIn(check.returncode, (0, 63), check.stdout + check.stderr)  # 63: of no format with a check
            compared = qemu_img("compare", "-f", "raw", "-F", image.suffix[1:], images[0], image)
            self.assertEqual(compared.returncode, 0, compared.stdout + compared.stderr)
        self.assertLess(images[1].stat().st_blocks * 512, 8 << 20, "what was not written takes no space")

    def test_a_snapshot_lasts_through_a_reset_and_leaves_the_files_as_they_were(self):
        images = [self.image("raw"), self.image("qcow2")]
        before = [digest(image) for image in images]
        commands = WRITE + """
        if head -c 4 /dev/vda | grep -q seen && head -c 4 /dev/vdb | grep -q seen; then
          echo SECOND BOOT
        else
          for d in a b; do fill /dev/vd$d && echo FILLED $d; echo seen | dd of=/dev/vd$d conv=notrunc 2>/dev/null; done
          sync; reboot -f; sleep 1000
        fi
        """
        out = self.linux(commands, "-d", f"{images[0]},snapshot", "-d", f"{images[1]},snapshot").stdout
        self.assertEqual(re.findall(r"FILLED (\w)", out), ["a", "b"], out)
        self.assertIn("SECOND BOOT", out)
        self.assertEqual([digest(image) for image in images], before)

    def test_a_server_that_is_killed_is_an_io_error_and_the_machine_goes_on(self):
        image = self.image("qcow2")
        commands = """
        dd if=/bin/busybox of=/dev/vda bs=64k count=8 2>/dev/null && sync /dev/vda && echo FLUSHED
        head -c 524288 /bin/busybox | md5sum
        while dd if=/dev/zero of=/dev/vda bs=64k seek=64 count=64 conv=fsync 2>/tmp/said; do :; done
        cat /tmp/said; echo GOES ON
        """
        with Session(*linux_arguments(commands), "-d", str(image), "--timeout", "1000") as machine:
            machine.expect("FLUSHED")
            wanted = machine.expect(r"(\w{32})  -")[1]
            (server,) = children(machine.process)
            os.kill(server, signal.SIGKILL)
            machine.expect("GOES ON")
            self.assertEqual(machine.finish(), STATUS["PoweredOff"])
            said = machine.process.stderr.read().decode()
            self.assertRegex(said, "lost.*signal 9")
        raw = self.path / "raw"
        self.assertEqual(qemu_img("convert", "-f", "qcow2", "-O", "raw", image, raw).returncode, 0)
        self.assertEqual(hashlib.md5(raw.read_bytes()[:524288]).hexdigest(), wanted)

    def test_a_server_does_not_outlive_a_machine_that_is_killed(self):
        image = self.image("qcow2")
        with Session(*linux_arguments("echo RUNS; sleep 1000"), "-d", str(image)) as machine:
            machine.expect("RUNS")
            (server,) = children(machine.process)
            machine.process.kill()
            machine.process.wait()
            # It is nobody's child now, and ends when it has closed its image; CTest's time limit is that of the wait.
            while Path(f"/proc/{server}").exists() and "qemu-nbd" in (Path(f"/proc/{server}/comm").read_text()):
                time.sleep(0.05)
        self.assertEqual(qemu_img("check", image).returncode, 0)


if __name__ == "__main__":
    unittest.main()
