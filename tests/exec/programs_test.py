"""Programs that find in a guest what they find on a 32-bit ARM system, and not in every emulation of one process."""
import shutil
import subprocess
import unittest

import system
from support import ROOT

COMPILER = "arm-linux-gnueabihf-gcc"


@unittest.skipUnless(shutil.which(COMPILER), f"there is no {COMPILER} (Debian's package gcc-arm-linux-gnueabihf)")
class Programs(system.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        subprocess.run([COMPILER, "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-pthread",
                        ROOT / "tests/exec/real_arm.c", "-o", cls.system / "bin/real_arm"], check=True)
        for folder in (cls.system / "many", cls.path / "shared"):
            folder.mkdir()
            for number in range(1000):
                (folder / str(number)).touch()

    def test_all_that_they_find_is_right(self):
        found = system.run(self.system, "real_arm", "/many", "/shared",
                           options=["--share", f"{self.path / 'shared'}:/shared"])
        lines = found.stdout.decode().splitlines()
        self.assertEqual([line for line in lines if not line.endswith(": ok")], [], found.stderr.decode())
        self.assertEqual((found.returncode, len(lines)), (0, 18))


if __name__ == "__main__":
    unittest.main()
