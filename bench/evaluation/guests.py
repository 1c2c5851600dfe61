"""Guests of the evaluation: initial RAM disks with the measuring programs, a disk with applications, boots that yield rows."""
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import assets
import machines
import rows

DIRECTORY = assets.BENCH / "evaluation"
SOURCES = Path(__file__).resolve().parent
KERNEL = assets.GUEST / "zImage-armmp"
HINTS = assets.GUEST / "hints" / "initrd.img"  # with guest/hints and its marks


def build_tools(kind):
    """tools.c for "guest" or "host"."""
    with assets.locked(f"tools.{kind}"):
        target = DIRECTORY / f"tools.{kind}"
        source = SOURCES / "tools.c"
        if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
            DIRECTORY.mkdir(parents=True, exist_ok=True)
            static = ["-static"] if kind == "host" else []
            subprocess.run([*assets.COMPILERS[kind], *static, str(source), "-o", f"{target}.new", "-pthread"], check=True)
            os.replace(f"{target}.new", target)
        return target


def make_initrd(name, lmbench=False, extra=()):
    """An initial RAM disk with the programs, and with `extra`: ((path, bytes), ...)."""
    files = {"bench/tools": build_tools("guest"), "bench/programs": assets.build_programs("guest"), **dict(extra)}
    if lmbench:
        files |= assets.install_lmbench()
    return assets.make_initrd(DIRECTORY / f"{name}.img", files, HINTS)


def make_hints():
    subprocess.run([str(assets.ROOT / "scripts" / "guest_hints.sh")], check=True, stdout=subprocess.DEVNULL)


@dataclass
class Run:
    """A boot whose commands print rows."""
    initrd: Path
    script: str
    cpus: int = 1
    disk: Path | None = None  # copied, so that each run finds the same
    sample_at: tuple = ()
    each_line: object = None
    timeout: int = 900

    def go(self, machine, problems):
        with tempfile.TemporaryDirectory(prefix="armvisor-bench-") as directory:
            disk = Path(directory) / "disk.img"
            source = self.disk or assets.GUEST / "disk.img"
            assets.copy_sparse(source, disk)
            # (The kernel's command line is too short for most scripts.)
            initrd = assets.make_initrd(Path(directory) / "initrd.img", {"bench/script": self.script.encode()}, self.initrd)
            guest = machines.Guest(KERNEL, initrd, machines.append_running(". /bench/script"), disk, self.cpus)
            outcome = machines.boot(machine, guest, self.timeout, self.sample_at, self.each_line)
        if outcome.timed_out or outcome.status != 0:
            how = "did not end in time" if outcome.timed_out else f"ended with status {outcome.status}"
            problems.append(f"{how}; its last lines: {outcome.text()[-3:]}")
        return outcome


def measured(outcome, wanted, problems, programs=False):
    """{key: value} of the rows that a boot printed; programs (`programs`: all are) with their checksums as "key#"."""
    readings = rows.parse_console(outcome.text())
    values = {}
    for key in wanted:
        if key in readings and not (programs and not readings[key].checksum):
            values[key] = readings[key].value
            if readings[key].checksum:
                values[key + "#"] = int(readings[key].checksum, 16)
        else:
            problems.append(f"{key} was not measured; it said: {rows.row_text(outcome.text(), key)}")
    return values


# --- applications

PACKAGES = ["gcc", "libc6-dev", "sqlite3", "gzip", "xz-utils", "openssl", "python3-minimal", "perl-base", "coreutils",
            "libjpeg-turbo-progs", "netpbm", "lame", "flac", "libgsm-tools", "groff-base", "grep", "dash", "bc", "bzip2"]
SIZE_MIB = 1024


def applications_disk(say):
    """A disk with Debian's packages unpacked (none of them needs its scripts to run) and inputs that are always the same."""
    image = DIRECTORY / "applications-disk.img"
    with assets.locked("applications"):
        inputs = SOURCES / "inputs.py"
        if image.exists() and image.stat().st_mtime > inputs.stat().st_mtime:
            return image
        say("making a disk with applications; this takes some minutes, once")
        debs = assets.Apt("applications", "armhf").fetch_missing(*PACKAGES)
        tree = DIRECTORY / "applications"
        assets.unpack_system(debs, tree)
        for name in ("tmp", "dev", "proc"):
            (tree / name).mkdir(exist_ok=True)
        if not (tree / "usr/bin/awk").exists():
            (tree / "usr/bin/awk").symlink_to("mawk")
        (tree / "work").mkdir()
        subprocess.run(["python3", str(inputs), str(tree / "work")], check=True)
        assets.make_disk(tree, image, SIZE_MIB)
    return image
