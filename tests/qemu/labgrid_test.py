"""An unmodified QEMUDriver of labgrid (Debian's python3-labgrid) drives machines: on, console, cycle, off."""
import importlib.util
import tempfile
import unittest
from pathlib import Path

import support
from contract_test import ECHO
from support import Folder

CYCLES = 20
CONFIGURATION = """
targets:
  main:
    drivers:
      QEMUDriver:
        qemu_bin: qemu
        machine: virt
        cpu: cortex-a15
        memory: 128M
        boot_args: ''
        kernel: kernel
        extra_args: '-nic none'
tools:
  qemu: {program}
images:
  kernel: {kernel}
"""


@unittest.skipUnless(importlib.util.find_spec("labgrid"), "needs labgrid (python3-labgrid)")
class Labgrid(unittest.TestCase):
    def test_a_target_is_cycled(self):
        from labgrid import Environment
        with Folder() as folder, tempfile.NamedTemporaryFile("w", suffix=".yaml") as configuration:
            kernel = folder.path / "guest.bin"
            support.load_boot_support().write_code(kernel, ECHO)
            configuration.write(CONFIGURATION.format(program=folder.program, kernel=kernel))
            configuration.flush()
            target = Environment(configuration.name).get_target("main")
            driver = target.get_driver("QEMUDriver", activate=False)
            target.activate(driver)
            driver.on()
            for cycle in range(CYCLES):
                text = f"cycle {cycle}\n".encode()
                driver.write(text)
                seen = b""
                while len(seen) < len(text):
                    seen += driver.read(size=len(text) - len(seen), timeout=60)
                self.assertEqual(seen, text)
                self.assertEqual(driver.monitor_command("query-status")["status"], "running")
                if cycle + 1 < CYCLES:
                    driver.cycle()
            driver.off()
            target.deactivate(driver)


if __name__ == "__main__":
    unittest.main()
