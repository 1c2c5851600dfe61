"""The bench's programs compute in the guest what the host computes: integers, floating point, Advanced SIMD, threads."""
import subprocess
import tempfile
import unittest
from pathlib import Path

from support import ARMVISOR, ENGINE

import assets
import machines
import rows

# Each program once or a few times, and threads on two virtual CPUs.
DIVISOR = 400
COMMANDS = [f"all {DIVISOR}", f"parallel 2 {DIVISOR}", f"locks 2 {DIVISOR}"]


def checksums(lines):
    return {line.split()[1]: rows.parse_program(line).checksum for line in lines if line.startswith("PROGRAM ")}


class Programs(unittest.TestCase):
    def test_the_guest_computes_what_the_host_computes(self):
        host = assets.build_programs("host")
        expected = {}
        for command in COMMANDS:
            output = subprocess.run([host, *command.split()], capture_output=True, text=True, check=True).stdout
            expected |= checksums(output.splitlines())
        self.assertEqual(len(expected), len(rows.program_lines()) + 2)

        with tempfile.TemporaryDirectory() as directory:
            initrd = assets.make_initrd(Path(directory) / "initrd.img", {"bench/programs": assets.build_programs("guest")})
            commands = "; ".join(f"/bench/programs {command}" for command in COMMANDS)
            disk = Path(directory) / "disk.img"
            disk.write_bytes(bytes(1 << 20))
            guest = machines.Guest(assets.GUEST / "zImage-armmp", initrd, machines.append_running(commands), disk, 2)
            outcome = machines.boot(machines.Armvisor(ARMVISOR, ENGINE), guest, 800)
        console = "\n".join(outcome.text())
        self.assertEqual(outcome.status, 0, console)
        self.assertEqual(checksums(outcome.text()), expected, console)


if __name__ == "__main__":
    unittest.main()
