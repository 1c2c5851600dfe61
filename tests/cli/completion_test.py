"""What the tabulator key does in bash, zsh and fish, in shells that really run."""
import os
import pty
import select
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import support
from support import ARMVISOR, SLEEP, raw_kernel

PATIENCE = 30


class Terminal:
    """An interactive shell."""

    def __init__(self, words, folder, environment):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe(words[0], words, {**environment, "TERM": "dumb", "PS1": "$ "})
        self.text = ""

    def send(self, text):
        os.write(self.fd, text.encode())

    def expect(self, text):
        deadline = time.monotonic() + PATIENCE
        while text not in self.text:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                raise AssertionError(f"'{text}' did not come, but: {self.text!r}")
            self.text += os.read(self.fd, 65536).decode(errors="replace")
        self.text = self.text.split(text, 1)[1]

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.close(self.fd)
        os.waitpid(self.pid, 0)


class Completion(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        cls.path = Path(directory.name)
        (cls.path / "bin").mkdir()
        (cls.path / "bin" / "armvisor").symlink_to(ARMVISOR)
        cls.work = cls.path / "work"
        (cls.work / "a folder").mkdir(parents=True)
        (cls.work / "zImage").touch()
        (cls.work / "disk image").touch()
        cls.environment = {**os.environ, "PATH": f"{cls.path}/bin:{os.environ['PATH']}", "HOME": str(cls.path),
                           "XDG_RUNTIME_DIR": str(cls.path), "XDG_CONFIG_HOME": str(cls.path), "XDG_DATA_HOME": str(cls.path)}

    def run_shell(self, *words):
        return subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=True, cwd=self.work,
                              env=self.environment).stdout

    def check_keys(self, words, setup):
        """What is typed, and what the line is then."""
        shell = Terminal(words, self.work, self.environment)
        self.addCleanup(shell.close)
        shell.send(setup + "\necho READ''Y\n")
        shell.expect("READY\r\n")
        for typed, expected in (("armvisor ex", "exec "), ("armvisor run --eng", "--engine "),
                                ("armvisor run --engine j", "jit "), ("armvisor run --engine=j", "jit "),
                                ("armvisor run -k zI", "zImage "), ("armvisor run --stats=json:zI", "zImage "),
                                ("armvisor run --console un", "unix:"), ("armvisor run --share a", "\\ folder/"),
                                ("armvisor exec dis", "\\ image "), ("armvisor exec -v oci:a", "\\ folder/")):
            with self.subTest(typed):
                shell.send(typed + "\t")
                shell.expect(expected)
                shell.send("\x15echo READ''Y\n")
                shell.expect("READY\r\n")

    def bash_words(self, *words):
        """Candidates for the last of the words, as bash has them; it breaks words at '=' and ':'."""
        line = " ".join(words)
        pieces = [p for word in words for p in (word.replace("=", " = ").replace(":", " : ").split() or [""])]
        script = f"""source <(armvisor completion bash)
          COMP_LINE={shlex.quote(line)} COMP_POINT={len(line)} COMP_CWORD={len(pieces) - 1}
          COMP_WORDS=({' '.join(map(shlex.quote, pieces))})
          _armvisor
          printf '%s\\n' "${{COMPREPLY[@]}}" """
        return set(self.run_shell("bash", "--norc", "-c", script).split())

    def test_bash_has_what_the_tables_have(self):
        self.assertEqual(self.bash_words("armvisor", "run", "--mmu", ""), {"flush", "asid", "rmap", "rmap+hints"})
        self.assertEqual(self.bash_words("armvisor", "run", "--mmu=r"), {"rmap", "rmap+hints"})
        self.assertEqual(self.bash_words("armvisor", "run", "--stats="), {"json:", "text:"})
        self.assertEqual(self.bash_words("armvisor", "completion", ""), {"bash", "zsh", "fish"})
        self.assertIn("doctor", self.bash_words("armvisor", "help", ""))
        self.assertLessEqual({"--kernel", "-k", "--disk"}, self.bash_words("armvisor", "run", "-"))

    def test_running_machines_are_found_by_name(self):
        kernel = raw_kernel(self.path / "sleep.bin", SLEEP)
        words = ["run", "-k", kernel, "-m", "16M", "--name", "machine-1", "--timeout", "100", "--console", "none"]
        with subprocess.Popen(support.command_line(words), env=self.environment) as machine:
            deadline = time.monotonic() + PATIENCE
            while not (self.path / "armvisor" / "machine-1.sock").exists():
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.01)
            self.assertEqual(self.bash_words("armvisor", "stat", ""), {"machine-1"})
            machine.kill()
        self.assertEqual(self.bash_words("armvisor", "stat", ""), set())

    def test_keys_in_bash(self):
        self.check_keys(["bash", "--norc", "--noprofile", "-i"], "bind 'set bell-style none'; . <(armvisor completion bash)")

    @unittest.skipIf(shutil.which("zsh") is None, "zsh is not installed")
    def test_keys_in_zsh(self):
        self.check_keys(["zsh", "-f", "-i"], "autoload -Uz compinit; compinit -u -D; . <(armvisor completion zsh)")

    @unittest.skipIf(shutil.which("fish") is None, "fish is not installed")
    def test_fish(self):
        def complete(line):
            out = self.run_shell("fish", "--no-config", "-c", f"armvisor completion fish | source; complete -C '{line}'")
            return {row.split("\t")[0] for row in out.splitlines()}

        self.assertEqual(complete("armvisor ex"), {"exec"})
        self.assertEqual(complete("armvisor run --engine "), {"auto", "interp", "jit"})
        self.assertEqual(complete("armvisor run --engine=j"), {"--engine=jit"})
        self.assertEqual(complete("armvisor run -k zI"), {"zImage"})
        self.assertEqual(complete("armvisor run --stats=json:zI"), {"--stats=json:zImage"})
        self.assertEqual(complete("armvisor run --share "), {"a folder/"})
        self.assertEqual(complete("armvisor exec -v oci:a"), {"oci:a folder/"})

    def test_other_shells_are_refused(self):
        result = support.run("completion", "tcsh")
        self.assertEqual(result.returncode, support.STATUS["BadArguments"])
        self.assertIn("expected one of bash, zsh and fish", result.stderr)


if __name__ == "__main__":
    unittest.main()
