"""The Debian package is built, is right in lintian's eyes, and works in a Debian that has nothing else, for an ordinary user.
$ARMVISOR_DEB is a package that was built already."""
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from support import ROOT

TOOLS = ("debootstrap", "dpkg-buildpackage", "dh", "lintian", "unshare")
MISSING = [tool for tool in TOOLS if shutil.which(tool) is None]
BUILD = Path(os.environ["ARMVISOR_BUILD"]) / "package"
MIRROR = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")
EXAMPLES = "/usr/share/doc/armvisor/examples"


def checked(*words, **keywords):
    result = subprocess.run(list(map(str, words)), capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
                            errors="replace", **keywords)
    if result.returncode != 0:
        raise AssertionError(f"{words} ended with {result.returncode}:\n{result.stdout[-3000:]}{result.stderr[-3000:]}")
    return result.stdout


def build_package():
    """From a copy of the sources, by the command that docs/guide.md names."""
    shutil.rmtree(BUILD, ignore_errors=True)
    source = BUILD / "armvisor"
    for name in checked("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT).splitlines():
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    checked("dpkg-buildpackage", "-b", "-us", "-uc", cwd=source)
    return next(BUILD.glob("armvisor_*.deb"))


@unittest.skipIf(os.geteuid() != 0, "a Debian of its own (debootstrap, chroot) takes root")
@unittest.skipIf(MISSING, f"not installed: {', '.join(MISSING)}")
class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.deb = Path(os.environ["ARMVISOR_DEB"]) if "ARMVISOR_DEB" in os.environ else build_package()
        directory = tempfile.TemporaryDirectory(dir="/var/tmp")
        cls.addClassCleanup(directory.cleanup)
        cls.tree = Path(directory.name) / "debian"
        checked("debootstrap", "--variant=minbase", "--arch=amd64", "bookworm", cls.tree, MIRROR)
        shutil.copy("/etc/resolv.conf", cls.tree / "etc/resolv.conf")
        shutil.copy(cls.deb, cls.tree / "tmp/armvisor.deb")
        cls.as_root("apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y install man-db /tmp/armvisor.deb "
                    "&& useradd -m -s /bin/bash tester")

    @classmethod
    def inside(cls, program):
        """With mounts and processes of its own, which end with it."""
        script = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, str(cls.tree), *program]

    @classmethod
    def as_root(cls, script):
        return checked(*cls.inside(["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "sh", "-c", script]), timeout=900)

    def as_user(self, script):
        return checked(*self.inside(["env", "-i", "su", "-l", "tester", "-c", script]), timeout=900)

    def test_lintian_finds_no_errors(self):
        checked("lintian", "--fail-on", "error", self.deb)

    def test_what_it_depends_on_is_what_it_is_linked_with(self):
        depends = checked("dpkg-deb", "-f", self.deb, "Depends")
        for library in ("libnbd0", "libslirp0", "libfdt1", "libarchive13", "libc6"):
            self.assertRegex(depends, rf"\b{library}\b")
        self.assertNotIn("not found", self.as_root("ldd /usr/bin/armvisor"))

    def test_a_user_runs_a_machine_and_what_doctor_says_is_so(self):
        self.assertEqual(self.as_user(f"{EXAMPLES}/hello-bare-metal"), "Hello.\n")
        self.assertIn("Machines can run on this host.", self.as_user("armvisor doctor"))

    def test_what_README_says_and_the_examples(self):
        """In their order: the system and the kernel are made once."""
        block = re.search(r"^## Install\n.*?```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)[1]
        lines = [line for line in block.splitlines() if line and not line.startswith("sudo")]
        self.assertGreater(len(lines), 3)
        said = self.as_user("set -e\n" + "\n".join(lines))
        self.assertIn("armv7l\n", said)
        self.assertIn("the status is 7", self.as_user(f"{EXAMPLES}/run-command ./armhf"))
        self.assertIn("Booted on armv7l", self.as_user(f"{EXAMPLES}/boot ./armhf"))

    def test_man_shows_the_pages(self):
        page = self.as_user("MANWIDTH=80 man armvisor-exec | cat")
        self.assertIn("run a command in a 32-bit ARM system", re.sub(r"\s+", " ", page))
        self.assertEqual(self.as_user("man -w armvisor-exec"), "/usr/share/man/man1/armvisor-exec.1.gz\n")

    def test_completions_are_where_shells_look(self):
        for file in ("bash-completion/completions/armvisor", "zsh/vendor-completions/_armvisor",
                     "fish/vendor_completions.d/armvisor.fish"):
            self.assertTrue((self.tree / "usr/share" / file).exists(), file)


if __name__ == "__main__":
    unittest.main()
