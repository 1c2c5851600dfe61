"""What cmake --install puts somewhere works from there, without the build folder."""
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import system
from support import ROOT, STATUS

COMMANDS = re.findall(r'^COMMAND\(\w+,\s*"([a-z]+)"', (ROOT / "src/cli/commands.inc").read_text(), re.MULTILINE)


class Install(system.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.prefix = cls.path / "usr"
        subprocess.run(["cmake", "--install", os.environ["ARMVISOR_BUILD"], "--prefix", str(cls.prefix)], check=True,
                       capture_output=True, timeout=120)
        cls.documents = cls.prefix / "share/doc/armvisor"
        cls.environment = {**os.environ, "PATH": f"{cls.prefix}/bin:{os.environ['PATH']}", "MANPATH": f"{cls.prefix}/share/man"}

    def run_words(self, *words):
        return subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=300, env=self.environment,
                              stdin=subprocess.DEVNULL, cwd=self.path, check=False)

    def test_the_program_has_its_agent_with_it(self):
        result = self.run_words("armvisor", "exec", "--kernel", system.KERNEL, self.system, "--", "uname", "-m")
        self.assertEqual((result.returncode, result.stdout), (0, "armv7l\n"), result.stderr)
        self.assertEqual(self.run_words("armvisor", "doctor").returncode, 0)

    def test_no_more_than_belongs_there_is_there(self):
        there = {str(p.relative_to(self.prefix)) for p in self.prefix.rglob("*") if p.is_file()}
        wanted = {"bin/armvisor", "share/man/man1/armvisor.1", "share/bash-completion/completions/armvisor",
                  "share/zsh/site-functions/_armvisor", "share/fish/vendor_completions.d/armvisor.fish"}
        wanted |= {f"share/man/man1/armvisor-{command}.1" for command in COMMANDS}
        self.assertEqual({name for name in there if not name.startswith("share/doc/armvisor/")}, wanted)
        self.assertIn("share/doc/armvisor/docs/guide.md", there)

    @unittest.skipIf(shutil.which("man") is None, "man (man-db) is not installed")
    def test_man_finds_the_pages(self):
        self.assertEqual(self.run_words("man", "-w", "armvisor-exec").stdout.strip(),
                         str(self.prefix / "share/man/man1/armvisor-exec.1"))

    def test_bash_completes(self):
        script = f"""source {self.prefix}/share/bash-completion/completions/armvisor
          COMP_LINE='armvisor do' COMP_POINT=11 COMP_CWORD=1 COMP_WORDS=(armvisor do); _armvisor; echo "${{COMPREPLY[@]}}" """
        self.assertEqual(self.run_words("bash", "--norc", "-c", script).stdout, "doctor\n")

    def test_examples_work(self):
        examples = self.documents / "examples"
        result = self.run_words(examples / "hello-bare-metal")
        self.assertEqual((result.returncode, result.stdout), (0, "Hello.\n"), result.stderr)
        self.environment["XDG_CACHE_HOME"] = str(self.path / "cache")
        kernel = self.path / "cache/armvisor/debian-kernels/bookworm-armmp"
        shutil.copytree(system.KERNEL.parent.parent, kernel, symlinks=True)  # as if it had been fetched
        for folder in (kernel, *kernel.parents[:3]):
            folder.chmod(0o700)
        result = self.run_words(examples / "run-command", self.system)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("The machine: armv7l", result.stdout)
        self.assertIn("the status is 7", result.stdout)

    def test_a_missing_system_is_an_error_that_says_what_to_do(self):
        result = self.run_words("armvisor", "exec", "./none", "--", "true")
        self.assertEqual(result.returncode, system.STATUS["Failed"])
        self.assertRegex(result.stderr, "expected .*none")
        self.assertEqual(self.run_words("armvisor", "run").returncode, STATUS["BadArguments"])


if __name__ == "__main__":
    unittest.main()
