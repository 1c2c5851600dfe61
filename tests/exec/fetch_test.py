"""A kernel that is fetched out of an archive, which is checked: one of the test's own, signed with its own key."""
import hashlib
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import system
from support import ARMVISOR, GUEST
from system import STATUS

TOOLS = ("gpg", "gpgv", "apt-get", "apt-cache", "dpkg-deb")
HOST_RESOURCE = 4  # src/cli/exit_status.inc
WANTED = ("virtio_mmio", "virtio_console", "9pnet_virtio", "9pnet", "9p", "netfs", "fscache", "overlay")
PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"


def build(folder, name, depends=""):
    (folder / "DEBIAN").mkdir(parents=True, exist_ok=True)
    (folder / "DEBIAN" / "control").write_text(
        f"Package: {name}\nVersion: 1\nArchitecture: armhf\nMaintainer: Test <test@localhost>\n{depends}Description: test\n")
    subprocess.run(["dpkg-deb", "-Znone", "-b", str(folder), str(folder.parent / "mirror" / f"{name}.deb")], check=True,
                   stdout=subprocess.DEVNULL)


@unittest.skipUnless(all(shutil.which(tool, path=PATH) for tool in (*TOOLS, "depmod")),
                     f"it needs {', '.join(TOOLS)} and depmod")
class Fetch(system.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # A short path: gpg's agent listens in it.
        home = tempfile.mkdtemp(prefix="gpg", dir="/tmp")
        cls.addClassCleanup(shutil.rmtree, home, ignore_errors=True)
        cls.gpg = ["gpg", "--homedir", home, "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]
        cls.addClassCleanup(subprocess.run, ["gpgconf", "--homedir", home, "--kill", "all"])
        subprocess.run([*cls.gpg, "--quick-gen-key", "test@localhost", "ed25519", "sign"], check=True, stderr=subprocess.DEVNULL)
        cls.keyring = cls.path / "keys.gpg"
        cls.keyring.write_bytes(subprocess.run([*cls.gpg, "--export"], check=True, stdout=subprocess.PIPE).stdout)
        cls.mirror = cls.path / "mirror"
        cls.lists = cls.mirror / "dists" / "test" / "main" / "binary-armhf"
        cls.lists.mkdir(parents=True)
        cls.version = system.KERNEL.name.removeprefix("vmlinuz-")
        cls.make_packages()
        cls.publish()

    @classmethod
    def make_packages(cls):
        tree = cls.path / "image"
        (tree / "boot").mkdir(parents=True)
        shutil.copy(system.KERNEL, tree / "boot")
        modules = Path("lib") / "modules" / cls.version
        for path in (GUEST / "linux-armmp" / modules).rglob("*.ko*"):
            if path.name.split(".")[0].replace("-", "_") in WANTED:
                to = tree / path.relative_to(GUEST / "linux-armmp")
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, to)
        for name in ("modules.builtin", "modules.order"):
            shutil.copy(GUEST / "linux-armmp" / modules / name, tree / modules)
        build(tree, f"linux-image-{cls.version}")
        build(cls.path / "meta", "linux-image-armmp", f"Depends: linux-image-{cls.version} (= 1)\n")

    @classmethod
    def publish(cls):
        """Lists of the packages as they are, signed."""
        text = ""
        for package in sorted(cls.mirror.glob("*.deb")):
            control = subprocess.run(["dpkg-deb", "-f", str(package)], check=True, stdout=subprocess.PIPE, text=True).stdout
            data = package.read_bytes()
            text += f"{control}Filename: {package.name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n\n"
        packages = cls.lists / "Packages"
        packages.write_text(text)
        release = cls.lists.parent.parent / "Release"
        release.write_text(
            "Origin: Test\nSuite: test\nCodename: test\nArchitectures: armhf\nComponents: main\nDate: Mon, 01 Jun 2026 00:00:00 UTC\n"
            f"SHA256:\n {hashlib.sha256(packages.read_bytes()).hexdigest()} {packages.stat().st_size} main/binary-armhf/Packages\n")
        inrelease = release.with_name("InRelease")
        inrelease.unlink(missing_ok=True)
        subprocess.run([*cls.gpg, "--clearsign", "-o", str(inrelease), str(release)], check=True)
        release.unlink()

    def fetch(self, **environment):
        options = ["--mirror", f"file://{self.mirror}", "--release", "test", "--keyring", str(self.keyring)]
        return subprocess.run([ARMVISOR, "fetch", "kernel", *options], capture_output=True, timeout=600, text=True,
                              env={**os.environ, "XDG_CACHE_HOME": str(self.path / "cache"), **environment})

    def without_kernel(self):
        words = system.words(self.system, "uname", "-r")
        del words[2:4]  # --kernel
        return subprocess.run(words, capture_output=True, stdin=subprocess.DEVNULL, timeout=600, text=True,
                              env={**os.environ, "XDG_CACHE_HOME": str(self.path / "cache")})

    def refused(self, said, path, change):
        """The fetch, while a file of the mirror is another."""
        before = path.read_bytes()
        path.write_bytes(change(before))
        try:
            result = self.fetch()
        finally:
            path.write_bytes(before)
        self.assertEqual(result.returncode, HOST_RESOURCE, result.stderr)
        self.assertIn(said, result.stderr)
        folder = self.path / "cache" / "armvisor" / "debian-kernels"
        self.assertEqual([p.name for p in folder.iterdir() if p.name != "test.armmp"], [])

    def test_what_is_signed_is_fetched_and_used_and_nothing_else(self):
        missing = self.without_kernel()
        self.assertEqual(missing.returncode, STATUS["Failed"])
        self.assertIn("armvisor fetch kernel", missing.stderr)
        package = self.mirror / f"linux-image-{self.version}.deb"
        flip = lambda data: data[:-10] + bytes([data[-10] ^ 1]) + data[-9:]
        self.refused("apt-get", self.lists / "Packages", lambda data: data.replace(b"Version: 1", b"Version: 2"))
        self.refused("apt-get", self.lists.parent.parent / "InRelease", lambda data: data.replace(b"main/", b"main/", 1)
                     .replace(b"Suite: test", b"Suite: tesT"))
        self.refused("apt-get", package, flip)
        self.refused("apt-get", package, lambda data: data[:len(data) // 2])
        result = self.fetch()
        self.assertEqual((result.returncode, result.stdout), (0, self.version + "\n"), result.stderr)
        used = self.without_kernel()
        self.assertEqual((used.returncode, used.stdout), (0, self.version + "\n"), used.stderr)
        self.refused("apt-get", package, flip)  # what was there stays
        self.assertEqual(self.fetch().returncode, 0)  # and is replaced
        self.assertEqual(self.without_kernel().returncode, 0)

    def test_what_the_host_lacks_is_said(self):
        tools = self.path / "tools"
        tools.mkdir()
        (tools / "sh").symlink_to("/bin/sh")
        result = self.fetch(PATH=str(tools))
        self.assertEqual(result.returncode, HOST_RESOURCE)
        self.assertIn("install apt", result.stderr)


if __name__ == "__main__":
    unittest.main()
