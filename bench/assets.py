"""What the bench needs and makes itself: QEMU, LMBench, the programs for guest and host, initial RAM disks.

Everything lies in build/bench. Packages come from the Debian repositories that the host uses, by apt with a state
directory of its own, so neither the host's package lists nor its architectures change.
"""
import contextlib
import fcntl
import gzip
import os
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GUEST = ROOT / "build" / "guest"
BENCH = ROOT / "build" / "bench"
PROGRAMS = ROOT / "bench" / "programs"
WANTED_QEMU = "10."

COMMON_FLAGS = ["-std=c11", "-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror"]
COMPILERS = {  # what the programs are built for: compiler and options
    "guest": ["arm-linux-gnueabihf-gcc", *COMMON_FLAGS, "-march=armv7-a", "-mfpu=neon", "-mfloat-abi=hard", "-static"],
    "host": ["gcc", *COMMON_FLAGS],
}


class Missing(Exception):
    """Something that the bench needs is not there; the message says what to do."""


@contextlib.contextmanager
def locked(what):
    """One process at a time makes `what` in build/bench."""
    BENCH.mkdir(parents=True, exist_ok=True)
    with open(BENCH / f".{what}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# --- packages

def debian_sources(components, backports):
    """Lines of a sources.list: the host's own Debian repositories, with these components and perhaps backports."""
    targets = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"],
        capture_output=True, text=True).stdout
    lines = []
    for target in targets.splitlines():
        uri, release, component = target.split()
        if "debian" not in uri or component != "main":
            continue
        lines.append(f"{uri} {release} {components}")
        if backports and re.fullmatch("[a-z]+", release) and "security" not in uri:
            lines.append(f"{uri} {release}-backports main")
    return list(dict.fromkeys(lines))


class Apt:
    """apt for one architecture, and perhaps another release than the host's, with its state in a directory of its own."""

    def __init__(self, name, architecture=None, components="main", backports=False, release=None):
        self.directory = BENCH / name
        for part in ("state/lists/partial", "cache/archives/partial", "debs"):
            (self.directory / part).mkdir(parents=True, exist_ok=True)
        options = f"[arch={architecture}] " if architecture else ""
        sources = debian_sources(components, backports)
        if release:  # of the repository that the host uses, whichever release it uses of it
            sources = [f"{line.split()[0]} {release} {components}" for line in sources if "security" not in line][:1]
        if not sources:
            raise Missing("expected a Debian repository in the host's apt sources, found none; add one")
        (self.directory / "sources.list").write_text("".join(f"deb {options}{line}\n" for line in sources))
        settings = {
            "Dir::State": self.directory / "state", "Dir::Cache": self.directory / "cache",
            "Dir::Etc::sourcelist": self.directory / "sources.list", "Dir::Etc::sourceparts": "/dev/null",
            "Dir::State::status": "/var/lib/dpkg/status", "APT::Get::List-Cleanup": "false",
            "APT::Sandbox::User": subprocess.run(["id", "-un"], capture_output=True, text=True).stdout.strip(),
            "Acquire::Languages": "none",
        }
        if architecture:
            (self.directory / "status").write_text("")
            settings |= {
                "Dir::State::status": self.directory / "status", "APT::Architecture": architecture,
                "APT::Architectures": architecture, "Dir::Etc::preferences": "/dev/null",
                "Dir::Etc::preferencesparts": "/dev/null",
            }
        self.options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
        self.run("update", check=False)  # a list that cannot be read is no reason to stop while the others have it all

    def run(self, *arguments, check=True, directory=None):
        with open(self.directory / "log", "a") as log:
            result = subprocess.run(["apt-get", "-q", "-y", *self.options, *arguments], stdin=subprocess.DEVNULL,
                                    stdout=log, stderr=log, cwd=directory)
        if check and result.returncode != 0:
            raise Missing(f"apt-get {' '.join(arguments)} failed; see {self.directory / 'log'}")
        return result.returncode == 0

    def fetch(self, package):
        """The .deb of one package."""
        debs = self.directory / "debs"
        for _ in range(2):
            found = sorted(debs.glob(f"{package}_*.deb"))
            if found:
                return found[0]
            self.run("download", package, directory=debs)
        raise Missing(f"could not download {package}; see {self.directory / 'log'}")

    def fetch_missing(self, *packages):
        """The .debs of these packages and of all they depend on that the status file does not have."""
        self.run("install", "--download-only", "--no-install-recommends", *packages)
        return sorted((self.directory / "cache" / "archives").glob("*.deb"))


def unpack(deb, directory):
    """A package's files; links to directories that are there stay (dpkg-deb -x would replace them)."""
    directory.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as files:
        subprocess.run(["tar", "-x", "-p", "--keep-directory-symlink", "-C", str(directory)], stdin=files.stdout, check=True)
    if files.returncode != 0:
        raise Missing(f"{deb} is damaged; remove it")


def unpack_system(debs, tree):
    """The packages' files as a Debian system's tree, which takes the place of one that is there."""
    shutil.rmtree(tree, ignore_errors=True)
    # Debian's merged /usr, before the packages' files come.
    for name in ("bin", "sbin", "lib"):
        (tree / "usr" / name).mkdir(parents=True, exist_ok=True)
        (tree / name).symlink_to(f"usr/{name}")
    for deb in debs:
        unpack(deb, tree)


def make_disk(tree, image, mib):
    """An ext4 file system with the files of `tree`, which goes; made without root."""
    new = image.with_suffix(".new")
    with open(new, "wb") as f:
        f.truncate(mib << 20)
    subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", "-d", str(tree), str(new)], check=True)
    shutil.rmtree(tree)
    os.replace(new, image)


def copy_sparse(source, target):
    subprocess.run(["cp", "--sparse=always", str(source), str(target)], check=True)


# --- QEMU

def local_qemu():
    directory = BENCH / "qemu" / "root"
    path = directory / "usr/bin/qemu-system-arm"
    libraries = next(iter(sorted((directory / "usr/lib").glob("*-linux-gnu"))), None)
    return (path, libraries) if path.exists() else None


def install_qemu():
    """Unpacks Debian's backported QEMU into build/bench, with the libraries that the host lacks."""
    apt = Apt("qemu", backports=True)
    release = next((m[1] for m in re.finditer(r"(\S+-backports) ", (apt.directory / "sources.list").read_text())), None)
    if not release:
        raise Missing("the host's apt sources name no release of Debian")
    unpack_system(apt.fetch_missing("-t", release, "qemu-system-arm"), apt.directory / "root")


def find_qemu(path, install, say):
    """(path of qemu-system-arm, directory of its libraries or None)."""
    if path:
        return path, None
    with locked("qemu"):
        if not local_qemu() and install:
            try:
                say("fetching QEMU from Debian's backports into build/bench")
                install_qemu()
            except Missing as problem:
                say(f"QEMU from backports cannot be had ({problem})")
    if local_qemu():
        return local_qemu()
    installed = shutil.which("qemu-system-arm")
    if not installed:
        raise Missing("expected qemu-system-arm, found none; install Debian's package qemu-system-arm or give --qemu PATH")
    say(f"using the installed {installed}")
    return installed, None


# --- programs

def simd_sources():
    from rows import program_lines
    return {f"{name}.c" for name, group, _ in program_lines() if group == "simd"}


def build_programs(kind):
    """The executable with all programs for "guest" or "host"; built if a source is newer."""
    with locked(f"programs.{kind}"):
        target = BENCH / f"programs.{kind}"
        sources = sorted(PROGRAMS.iterdir()) + [Path(__file__)]
        if target.exists() and all(s.stat().st_mtime <= target.stat().st_mtime for s in sources):
            return target
        compiler = COMPILERS[kind]
        if not shutil.which(compiler[0]):
            raise Missing(f"expected the compiler {compiler[0]}, found none; scripts/install_packages.sh --tests installs it")
        objects = BENCH / f"objects.{kind}"
        objects.mkdir(exist_ok=True)
        outputs = []
        for source in sorted(PROGRAMS.glob("*.c")):
            output = objects / f"{source.stem}.o"
            # The guest's SIMD is written by hand; the host's is what the compiler makes of plain loops.
            vectorize = ["-O3"] if kind == "host" and source.name in simd_sources() else []
            subprocess.run([*compiler, *vectorize, "-c", str(source), "-o", str(output)], check=True)
            outputs.append(str(output))
        subprocess.run([*compiler, *outputs, "-o", f"{target}.new", "-lm", "-pthread"], check=True)
        os.replace(f"{target}.new", target)
        return target


# --- LMBench

LMBENCH_PROGRAMS = ["hello", "lat_syscall", "lat_sig", "lat_pipe", "lat_unix", "lat_ctx", "lat_proc", "lat_pagefault",
                    "lat_mmap", "bw_mem", "bw_pipe"]


def needed_libraries(path):
    text = subprocess.run(["readelf", "-d", str(path)], capture_output=True, text=True).stdout
    return re.findall(r"\(NEEDED\).*\[(.+)\]", text)


def install_lmbench():
    """{path in the guest: file} of LMBench's programs and the libraries that they need."""
    with locked("lmbench"):
        root = BENCH / "lmbench" / "root"
        if not (root / ".complete").exists():
            apt = Apt("lmbench", "armhf", "main non-free")
            shutil.rmtree(root, ignore_errors=True)
            for package in ("lmbench", "libc6"):
                unpack(apt.fetch(package), root)
            (root / ".complete").touch()
    programs = next(iter(sorted(root.glob("usr/lib/lmbench/bin/*"))))
    files = {f"bench/lmbench/{name}": programs / name for name in LMBENCH_PROGRAMS}
    libraries = {"ld-linux-armhf.so.3"}
    for path in list(files.values()):
        libraries.update(needed_libraries(path))
    for name in libraries:
        found = sorted(root.glob(f"lib/arm-linux-gnueabihf/{name}"))
        if not found:
            raise Missing(f"LMBench needs {name}, which Debian's libc6 does not have")
        files[f"lib/{name}"] = found[0].resolve()
    return files


def install_host_lmbench():
    """Directory of LMBench's programs for the host itself."""
    with locked("lmbench-host"):
        root = BENCH / "lmbench-host" / "root"
        if not (root / ".complete").exists():
            apt = Apt("lmbench-host", None, "main non-free")
            shutil.rmtree(root, ignore_errors=True)
            unpack(apt.fetch("lmbench"), root)
            (root / ".complete").touch()
    return next(iter(sorted(root.glob("usr/lib/lmbench/bin/*"))))


# --- initial RAM disks

def cpio(files):
    """A newc archive of {path: bytes or Path}, with the directories above them."""
    out = bytearray()

    def entry(name, mode, data):
        number = entry.count = entry.count + 1
        fields = [number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
        out.extend(b"070701" + b"".join(b"%08x" % f for f in fields) + name.encode() + b"\0")
        out.extend(bytes(-len(out) % 4))
        out.extend(data)
        out.extend(bytes(-len(out) % 4))

    entry.count = 0
    directories = {str(parent) for path in files for parent in Path(path).parents if str(parent) != "."}
    for directory in sorted(directories):
        entry(directory, 0o040755, b"")
    for path, content in sorted(files.items()):
        entry(path, 0o100755, content if isinstance(content, bytes) else Path(content).read_bytes())
    entry("TRAILER!!!", 0, b"")
    return bytes(out)


def make_initrd(target, files, base=GUEST / "initrd.img"):
    """The guest's initial RAM disk with more files: the kernel takes archives one after the other."""
    base = base.read_bytes()
    target.write_bytes(base + bytes(-len(base) % 4) + gzip.compress(cpio(files), 6, mtime=0))
    return target


def make_guest():
    """build/guest, as the boot tests use it."""
    subprocess.run([str(ROOT / "scripts" / "guest_assets.sh")], check=True)
