"""Each command has a manual page, which man finds nothing to say about, with all its options."""
import os
import re
import shutil
import subprocess
import unittest
from pathlib import Path

import support
from support import ROOT

COMMANDS = re.findall(r'^COMMAND\(\w+,\s*"([a-z]+)"', (ROOT / "src/cli/commands.inc").read_text(), re.MULTILINE)
TABLES = {"run": "options.inc", **{c: f"{c}_options.inc" for c in COMMANDS if (ROOT / f"src/cli/{c}_options.inc").exists()}}
PAGES = Path(os.environ["ARMVISOR_BUILD"]) / "text"


def man(*arguments):
    # Warnings about lines that cannot be adjusted depend on the terminal's width.
    return subprocess.run(["man", "--warnings", "-E", "UTF-8", "-P", "cat", *arguments], capture_output=True, text=True,
                          timeout=60, env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "100"}, check=False)


@unittest.skipIf(shutil.which("man") is None or shutil.which("groff") is None, "man (man-db) or groff is not installed")
class Manual(unittest.TestCase):
    def page(self, name):
        result = man("-l", str(PAGES / f"{name}.1"))
        self.assertEqual((result.returncode, result.stderr), (0, ""), name)
        strict = subprocess.run(["groff", "-man", "-Tascii", "-ww", PAGES / f"{name}.1"], capture_output=True, text=True, check=True)
        self.assertEqual(strict.stderr, "", name)
        return re.sub(".\b", "", result.stdout).replace("\u2010", "-")  # what is printed twice to be bold

    def test_each_command_has_one_and_the_main_one_names_it(self):
        main = self.page("armvisor")
        for command in COMMANDS:
            with self.subTest(command):
                self.assertIn(f"armvisor-{command}(1)", main.replace("\n", ""))
                self.assertIn(f"armvisor-{command}", self.page(f"armvisor-{command}"))
                named = subprocess.run(["lexgrog", PAGES / f"armvisor-{command}.1"], capture_output=True, text=True, check=True)
                self.assertRegex(named.stdout, f"armvisor-{command} - ")

    def test_all_options_are_there(self):
        for command, table in TABLES.items():
            options = re.findall(r'^(?:TEXT|LIST|FLAG|FORM)\(\w+,\s*"([^",]+)', (ROOT / "src/cli" / table).read_text(),
                                 re.MULTILINE)
            page = self.page(f"armvisor-{command}")
            for option in options:
                self.assertIn(option, page, command)
                self.assertIn(option, support.run("help", command).stdout)

    def test_what_is_not_there_is_refused(self):
        for words in (["nonsense"], ["--man", "nonsense"], ["run", "exec"]):
            result = support.run("help", *words)
            self.assertEqual(result.returncode, support.STATUS["BadArguments"])
            self.assertRegex(result.stderr, "expected (a|one) command, found '(nonsense|exec)'")


if __name__ == "__main__":
    unittest.main()
