"""armvisor cp: files into a running machine and out of it, and guests that would have others."""
import io
import os
import signal
import stat
import subprocess
import tarfile
import tempfile
import unittest
from pathlib import Path

import system
from session_test import Running, Terminal
from support import ARMVISOR
from system import STATUS

NAME = f"copy-{os.getpid()}"


def cp(*words, timeout=600, **keywords):
    keywords.setdefault("stdin", subprocess.DEVNULL)
    if "input" in keywords:
        del keywords["stdin"]
    return subprocess.run([ARMVISOR, "cp", *map(str, words)], capture_output=True, timeout=timeout, **keywords)


def guest(script):
    return subprocess.run([ARMVISOR, "exec", NAME, "--", "sh", "-c", script], capture_output=True, timeout=600,
                          stdin=subprocess.DEVNULL)


def entry(name, kind=tarfile.REGTYPE, link="", mode=0o644, bytes_=b"text"):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, mode
    info.size = len(bytes_) if kind == tarfile.REGTYPE else 0
    return info, io.BytesIO(bytes_)


def write_evil(path, outside):
    """Archives that a guest may send when it is asked for "f", by what they try."""
    archives = {
        "parent": [entry("f", tarfile.DIRTYPE), entry("f/../../outside/made")],
        "parent-name": [entry("../outside/made")],
        "absolute": [entry(f"{outside}/made")],
        "link-then-file": [entry("f", tarfile.SYMTYPE, str(outside)), entry("f/made")],
        "link-inside": [entry("f", tarfile.DIRTYPE), entry("f/l", tarfile.SYMTYPE, str(outside)), entry("f/l/made")],
        "link-over-file": [entry("f", tarfile.DIRTYPE), entry("f/l", tarfile.SYMTYPE, f"{outside}/secret"),
                           entry("f/l/", tarfile.DIRTYPE)],
        "hard-link": [entry("f", tarfile.DIRTYPE), entry("f/h", tarfile.LNKTYPE, f"{outside}/secret")],
        "hard-link-up": [entry("f", tarfile.DIRTYPE), entry("f/h", tarfile.LNKTYPE, "f/../../outside/secret")],
        "hard-link-by-link": [entry("f", tarfile.DIRTYPE), entry("f/l", tarfile.SYMTYPE, str(outside)),
                              entry("f/h", tarfile.LNKTYPE, "f/l/secret")],
        "other-name": [entry("g")],
        "like-name": [entry("ff")],
        "device": [entry("f", tarfile.DIRTYPE), entry("f/null", tarfile.CHRTYPE)],
        "large": [entry("f", bytes_=b"x" * 3000000)],
        "many": [entry("f", tarfile.DIRTYPE)] + [entry(f"f/{n}", bytes_=b"") for n in range(1000)],
        "deep": [entry("f/" + "a/" * 1000 + "a")],
        "nothing": [],
    }
    path.mkdir()
    for name, entries in archives.items():
        with tarfile.open(path / name, "w") as archive:
            for info, bytes_ in entries:
                archive.addfile(info, bytes_ if info.isreg() else None)
    (path / "cut").write_bytes((path / "large").read_bytes()[:100000])
    (path / "garbage").write_bytes(bytes(range(256)) * 40)
    (path / "header").write_bytes(b"f" + b"\0" * 99 + b"0000644\0" * 3 + b"77777777777\0" * 2 + b"x" * 400)
    return sorted(archives) + ["cut", "garbage", "header"]


class Copy(system.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.outside = cls.path / "outside"
        cls.outside.mkdir()
        (cls.outside / "secret").write_text("secret")
        cls.evil = write_evil(cls.system / "evil", cls.outside)
        cls.machine = Running(system.words(cls.system, "sh", "-c", "echo started; cat > /dev/null", options=["--name", NAME]))
        cls.machine.__enter__()
        cls.addClassCleanup(cls.machine.__exit__)
        cls.machine.expect(b"started\n")

    def setUp(self):
        folder = tempfile.TemporaryDirectory(dir=self.path)
        self.addCleanup(folder.cleanup)
        self.here = Path(folder.name)
        self.assertEqual(guest("rm -rf /to; mkdir /to").returncode, 0)

    def make_tree(self):
        tree = self.here / "tree"
        (tree / "sub").mkdir(parents=True)
        (tree / "file").write_bytes(os.urandom(300000))
        (tree / "file").chmod(0o640)
        (tree / "sub" / "run").write_text("#!/bin/sh\n")
        (tree / "sub" / "run").chmod(0o755)
        (tree / "link").symlink_to("sub/run")
        os.link(tree / "file", tree / "same")
        (tree / ("n" * 200)).write_text("long")
        (tree / "-c name").write_text("dash")
        (tree / "hole").write_bytes(b"")
        os.truncate(tree / "hole", 5000000)
        (tree / "sub").chmod(0o750)
        os.utime(tree / "sub", (1000000000, 1000000000))
        os.utime(tree / "file", (1100000000, 1100000000))
        return tree

    def assert_same(self, one, other):
        names = sorted(str(p.relative_to(one)) for p in one.rglob("*"))
        self.assertEqual(names, sorted(str(p.relative_to(other)) for p in other.rglob("*")))
        for name in names:
            a, b = (one / name).lstat(), (other / name).lstat()
            self.assertEqual(a.st_mode, b.st_mode, name)
            if stat.S_ISLNK(a.st_mode):
                self.assertEqual(os.readlink(one / name), os.readlink(other / name))
            if stat.S_ISREG(a.st_mode):
                self.assertEqual((one / name).read_bytes(), (other / name).read_bytes(), name)
            if stat.S_ISREG(a.st_mode):  # of folders as the guest's tar has it
                self.assertEqual(int(a.st_mtime), int(b.st_mtime), name)

    def test_a_tree_comes_back_as_it_was(self):
        tree = self.make_tree()
        result = cp(tree, f"{NAME}:/to")
        self.assertEqual((result.returncode, result.stderr), (0, b""))
        result = cp(f"{NAME}:/to/tree", self.here / "back")
        self.assertEqual((result.returncode, result.stderr), (0, b""))
        self.assert_same(tree, self.here / "back")
        self.assertTrue((self.here / "back/file").samefile(self.here / "back/same"))
        # Once more over what is there.
        self.assertEqual(cp(f"{NAME}:/to/tree/.", self.here / "back").returncode, 0)
        self.assert_same(tree, self.here / "back")
        # A folder that is there stays as it is.
        (self.here / "own").mkdir(0o700)
        self.assertEqual(cp(f"{NAME}:/to/tree/.", self.here / "own").returncode, 0)
        self.assertEqual(stat.S_IMODE((self.here / "own").stat().st_mode), 0o700)

    def test_names_are_as_docker_has_them(self):
        (self.here / "one").write_text("1")
        (self.here / "dir").mkdir()
        (self.here / "dir" / "in").write_text("2")
        for words in (("one", "/to/new"), ("one", "/to"), ("dir", "/to/made"), ("dir", "/to"), ("dir/.", "/to")):
            result = cp(self.here / words[0], f"{NAME}:{words[1]}") if words[0] != "dir/." else \
                cp(f"{self.here}/dir/.", f"{NAME}:/to")
            self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(guest("cd /to; cat new one made/in dir/in in").stdout, b"11222")
        for source, to, message in ((self.here / "none", "/to", b"none"), (self.here / "one", "/no/such", b"make it first"),
                                    (self.here / "one", "/to/none/", b"make it first"), (self.here / "dir", "/to/one", b"file")):
            result = cp(source, f"{NAME}:{to}")
            self.assertEqual(result.returncode, STATUS["Failed"], result.stderr)
            self.assertIn(message, result.stderr)
        self.assertEqual(cp(f"{NAME}:/to/one", self.here / "x").returncode, 0)
        self.assertEqual(cp(f"{NAME}:/to/one", self.here / "dir").returncode, 0)
        self.assertEqual((self.here / "x").read_text() + (self.here / "dir/one").read_text(), "11")
        for source, to in ((f"{NAME}:/to/nothing", self.here), (f"{NAME}:/to/dir", self.here / "x"),
                           (f"{NAME}:/to/one", self.here / "no/such"), (f"{NAME}:to", self.here), ("a", "b"),
                           (f"{NAME}:/a", f"{NAME}:/b")):
            result = cp(source, to)
            self.assertEqual(result.returncode, STATUS["Failed"], result.stderr)

    def test_streams_of_tar(self):
        guest("echo text > /to/file")
        out = cp(f"{NAME}:/to", "-")
        self.assertEqual(out.returncode, 0, out.stderr)
        with tarfile.open(fileobj=io.BytesIO(out.stdout)) as archive:
            self.assertEqual(archive.extractfile("./to/file").read(), b"text\n")
        self.assertEqual(guest("rm -r /to; mkdir /to").returncode, 0)
        self.assertEqual(cp("-", f"{NAME}:/to", input=out.stdout).returncode, 0)
        self.assertEqual(guest("cat /to/to/file").stdout, b"text\n")

    def test_links_are_followed_if_asked(self):
        tree = self.make_tree()
        self.assertEqual(cp("-L", tree / "link", f"{NAME}:/to").returncode, 0)
        self.assertEqual(guest("[ -L /to/link ] || cat /to/link").stdout, b"#!/bin/sh\n")
        guest("cd /to; echo x > y; ln -s y z")
        self.assertEqual(cp("-L", f"{NAME}:/to/z", self.here / "z").returncode, 0)
        self.assertFalse((self.here / "z").is_symlink())

    def test_what_cannot_be_read_or_written_is_no_success(self):
        tree = self.make_tree()
        self.assertEqual(cp(tree, f"{NAME}:/proc").returncode, 1)
        self.assertEqual(cp("/proc/cpuinfo", f"{NAME}:/to").returncode, 1, "it says that it has no bytes, and has some")
        guest("echo x > /to/x")
        result = cp(f"{NAME}:/to/x", "/proc/x")
        self.assertEqual(result.returncode, 1, result.stderr)
        reader, writer = os.pipe()
        self.addCleanup(os.close, writer)
        with os.fdopen(reader) as silent:
            result = cp("--timeout", "1", "-", f"{NAME}:/to", stdin=silent)
        self.assertEqual(result.returncode, STATUS["TimedOut"], result.stderr)

    def test_the_guest_writes_nowhere_else(self):
        kept = "cp /bin/busybox /bin/tar.kept; rm /bin/tar; printf '#!/bin/sh\\ncat /evil/now\\n' > /bin/tar; chmod 755 /bin/tar"
        self.assertEqual(guest(kept + "; mkdir /f").returncode, 0)
        self.addCleanup(guest, "rm -r /f /bin/tar; ln -s busybox /bin/tar")
        for name in self.evil:
            with self.subTest(name), tempfile.TemporaryDirectory(dir=self.here) as folder:
                guest(f"rm -f /evil/now; ln -s {name} /evil/now")
                to = Path(folder) / "to"
                to.mkdir()
                result = cp("--most", "1M", f"{NAME}:/f", to)
                # A folder in the place of a link is no harm.
                self.assertEqual(result.returncode, 0 if name == "link-over-file" else 1, (name, result.stderr))
                self.assertEqual(sorted(os.listdir(self.outside)), ["secret"], name)
                self.assertEqual((self.outside / "secret").stat().st_nlink, 1, name)
                self.assertEqual(os.listdir(folder), ["to"], name)
                self.assertLessEqual(set(os.listdir(to)), {"f"}, name)
                self.assertLess(len(list(to.rglob("*"))), 1000 if name == "many" else 10, name)

    def test_links_that_are_there_already_are_not_followed(self):
        guest("mkdir -p /to/d/l; echo x > /to/d/l/made; chmod 4755 /to/d/l/made")
        (self.here / "d").mkdir()
        (self.here / "d" / "l").symlink_to(self.outside)
        # A folder takes the place of a link.
        result = cp(f"{NAME}:/to/d", self.here)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(os.listdir(self.outside), ["secret"])
        self.assertFalse((self.here / "d" / "l").is_symlink())
        self.assertEqual((self.here / "d" / "l" / "made").read_text(), "x\n")
        # And nobody becomes somebody else by a program of the guest's.
        self.assertEqual(cp(f"{NAME}:/to/d/l/made", self.here).returncode, 0)
        self.assertEqual(stat.S_IMODE((self.here / "made").stat().st_mode), 0o755)

    def test_without_tar_in_the_guest(self):
        self.assertEqual(guest("rm /bin/tar").returncode, 0)
        self.addCleanup(guest, "ln -s busybox /bin/tar")
        result = cp(f"{NAME}:/to", "-")
        self.assertEqual(result.returncode, STATUS["NotFound"])
        self.assertIn(b"tar", result.stderr)

    def test_a_signal_ends_a_copy(self):
        with Running([ARMVISOR, "cp", "-", f"{NAME}:/to"]) as r:
            r.process.stdin.write(b"\0" * 512)
            guest("while ! ps | grep -q '[t]ar -x'; do :; done")
            r.process.send_signal(signal.SIGTERM)
            self.assertIn(r.process.wait(600), (1, 128 + signal.SIGTERM))

    def test_a_login_shell(self):
        with Terminal([ARMVISOR, "shell", "--user", "user", NAME]) as t:
            t.expect(b"$ ")
            t.type(b"id -un; pwd; echo $0; exit 6\r")
            t.expect(b"user")
            t.expect(b"/home/user")
            self.assertEqual(t.process.wait(600), 6)


class Shell(system.Case):
    def test_of_a_system_that_is_started_for_it(self):
        with Terminal([ARMVISOR, "shell", "--kernel", str(system.KERNEL), str(self.system)]) as t:
            t.expect(b"# ")
            t.type(b"uname -m; exit 3\r")
            t.expect(b"armv7l")
            self.assertEqual(t.process.wait(600), 3)


if __name__ == "__main__":
    unittest.main()
