"""Systems that are no folders: archives, and images of containers, with what they say of their commands."""
import gzip
import hashlib
import io
import json
import os
import shutil
import struct
import subprocess
import tarfile
import unittest
from pathlib import Path

import system
from system import STATUS


def add(archive, name, data=b"", **attributes):
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    for key, value in {"mode": 0o644, **attributes}.items():
        setattr(entry, key, value)
    archive.addfile(entry, io.BytesIO(data))


def layer(*entries):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, keywords in entries:
            add(archive, name, **keywords)
    return gzip.compress(data.getvalue())


class Layout:
    """An OCI layout, as skopeo makes it."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "blobs" / "sha256").mkdir(parents=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def blob(self, data, kind):
        data = data if isinstance(data, bytes) else json.dumps(data).encode()
        digest = hashlib.sha256(data).hexdigest()
        (self.folder / "blobs" / "sha256" / digest).write_bytes(data)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": "sha256:" + digest, "size": len(data)}

    def image(self, platform, config, layers):
        manifest = {"schemaVersion": 2, "config": self.blob({**platform, "config": config}, "config.v1+json"),
                    "layers": [self.blob(data, "layer.v1.tar+gzip") for data in layers]}
        return {**self.blob(manifest, "manifest.v1+json"), "platform": platform}

    def index(self, *manifests):
        inner = self.blob({"schemaVersion": 2, "manifests": manifests}, "index.v1+json")
        (self.folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [inner]}))


class Packed(system.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        os.environ["XDG_CACHE_HOME"], before = str(cls.path / "cache"), os.environ.get("XDG_CACHE_HOME", "")
        cls.addClassCleanup(os.environ.__setitem__, "XDG_CACHE_HOME", before)

    def archive(self, name, mode):
        path = self.path / name
        with tarfile.open(path, mode) as archive:
            archive.add(self.system, ".", filter=self.as_roots)
            add(archive, "./etc/shadow", b"secret", mode=0o640, gid=42)
            add(archive, "./bin/raw", type=tarfile.CHRTYPE, devmajor=1, devminor=5)
            add(archive, "./hard", type=tarfile.LNKTYPE, linkname="./etc/shadow")
            add(archive, "./names/\u00e9", b"of a name", uid=100000)
        return path

    @staticmethod
    def as_roots(entry):
        entry.uid = entry.gid = 0
        return entry

    def check(self, status, arguments):
        result = subprocess.run(arguments, capture_output=True, stdin=subprocess.DEVNULL, timeout=600)
        self.assertEqual(result.returncode, status, result.stdout[-1000:] + result.stderr[-3000:])
        return result

    def test_an_archive_has_its_owners_devices_and_links_and_stays_as_it_was(self):
        path = self.archive("system.tar.xz", "w:xz")
        show = "busybox stat -c '%a %h %u %g %F' /etc/shadow /bin/raw /names/\u00e9; cat /hard /names/*; head -c 2 /bin/raw | md5sum; " \
            "echo x > /new && cat /new; echo y >> /etc/shadow; cat /hard"
        for _ in range(2):  # made, and taken from the cache
            lines = self.check(0, system.words(path, "sh", "-c", show)).stdout.decode().splitlines()
            self.assertEqual(lines, ["640 2 0 42 regular file", "644 1 0 0 character special file",
                                     "644 1 100000 0 regular file", "secretof a namec4103f122d27677c9db144cae1394a66  -", "x",
                                     "secret"])
        self.check(STATUS["Failed"], system.words(path, "true", options=["--write"]))

    def test_an_image_is_run_as_docker_does(self):
        base = io.BytesIO()
        with tarfile.open(fileobj=base, mode="w") as archive:
            archive.add(self.system, ".", filter=self.as_roots)
        layout = Layout(self.path / "image")
        layers = [gzip.compress(base.getvalue()), layer(("home/.wh.user", {}), ("data/made", {"data": b"1", "uid": 7}))]
        config = {"User": "user", "WorkingDir": "/no/such/../../work/", "Env": ["A=image", "B=image", "PATH=/bin:/data"],
                  "Entrypoint": ["sh", "-c"], "Cmd": ["id -u; pwd; echo $A $B $PATH; ls /home /data; exit 3"]}
        layout.index(layout.image({"os": "linux", "architecture": "amd64"}, {}, []),
                     layout.image({"os": "linux", "architecture": "arm", "variant": "v7"}, config, layers))
        words = system.words(layout.folder, options=["--env", "B=mine"])
        result = self.check(3, words[:-1])
        self.assertEqual(result.stdout.decode().splitlines(), ["1000", "/work", "image mine /bin:/data", "/data:", "made", "", "/home:"])
        words = system.words("oci:" + str(layout.folder), "cat /etc/hosts; echo $0", options=["--user", "0", "--workdir", "/"])
        self.assertIn("127.0.0.1\tlocalhost", self.check(0, words).stdout.decode())
        words = system.words(layout.folder, "-u", options=["--entrypoint", "id"])
        self.assertEqual(self.check(0, words).stdout, b"1000\n")

    def check_refused(self, folder, message, *options):
        result = system.run(folder, "true", options=options)
        self.assertEqual(result.returncode, STATUS["Failed"], result.stderr)
        self.assertIn(message, result.stderr)

    def test_what_layers_have_that_is_not_kept_counts_for_all_of_them(self):
        platform = {"os": "linux", "architecture": "arm", "variant": "v7"}
        skipped = b"x" * 15_000_000
        most = ("--unpacked", "16M")
        several = Layout(self.path / "several")
        several.index(several.image(platform, {"Cmd": ["true"]}, [layer((f".wh.{n}", {"data": skipped})) for n in range(6)]))
        self.check_refused(several.folder, b"--unpacked", *most)
        one = Layout(self.path / "one")
        one.index(one.image(platform, {"Cmd": ["true"]}, [layer((".wh.x", {"data": skipped * 6}))]))
        self.check_refused(one.folder, b"--unpacked", *most)

    def test_a_descriptor_with_another_size_is_refused(self):
        layout = Layout(self.path / "sizes")
        image = layout.image({"os": "linux", "architecture": "arm"}, {"Cmd": ["true"]}, [])
        layout.index({**image, "size": image["size"] + 1})
        self.check_refused(layout.folder, b"as its descriptor says")

    def test_a_configuration_of_docker_that_is_not_what_its_name_says_is_refused(self):
        name = "0" * 64 + ".json"
        config = json.dumps({"os": "linux", "architecture": "arm", "config": {"Cmd": ["true"]}}).encode()
        path = self.path / "docker.tar"
        with tarfile.open(path, "w") as archive:
            add(archive, name, config)
            add(archive, "manifest.json", json.dumps([{"Config": name, "RepoTags": ["a:b"], "Layers": []}]).encode())
        self.check_refused(path, b"its name says")

    def test_a_disk_stays_as_it_was_unless_it_is_written_to(self):
        """Of two partitions, the second being the system; raw, and as qcow2 where qemu-img is."""
        def file_system(name, *folder):
            path = self.path / name
            with open(path, "wb") as file:
                file.truncate(12 << 20)
            subprocess.run(["mke2fs", "-q", "-t", "ext4", *folder, str(path)], check=True,
                           env={**os.environ, "PATH": os.environ["PATH"] + ":/sbin:/usr/sbin"})
            return path.read_bytes()
        (self.system / "sbin").mkdir(exist_ok=True)
        (self.system / "sbin" / "init").touch()
        parts = (file_system("other"), file_system("own", "-d", str(self.system)))
        disk = bytearray(512) + bytes((1 << 20) - 512)
        for n, part in enumerate(parts):
            disk[446 + 16 * n:446 + 16 * n + 16] = struct.pack("<BxxxBxxxII", 0, 0x83, len(disk) // 512, len(part) // 512)
            disk += part
        disk[510:512] = b"\x55\xaa"
        path = self.path / "disk.img"
        path.write_bytes(disk)
        change = "echo made > /made; cat /made /etc/group > /dev/null && exit 3"
        self.check(3, system.words(path, "sh", "-c", change))
        self.assertEqual(path.read_bytes(), disk)
        self.check(STATUS["NotFound"], system.words(path, "sh", options=["--partition", 1]))
        self.check(STATUS["Failed"], system.words(path, "sh", options=["--partition", 3]))
        if shutil.which("qemu-img"):
            subprocess.run(["qemu-img", "convert", "-O", "qcow2", str(path), str(self.path / "disk.qcow2")], check=True)
            path = self.path / "disk.qcow2"
        self.check(3, system.words(path, "sh", "-c", change, options=["--write"]))
        self.assertEqual(self.check(0, system.words(path, "cat", "/made")).stdout, b"made\n")

    def test_what_is_no_system_is_said(self):
        (self.path / "text").write_text("hello\n")
        self.assertIn(b"tar archive", self.check(STATUS["Failed"], system.words(self.path / "text", "true")).stderr)
        layout = Layout(self.path / "of-another-machine")
        layout.index(layout.image({"os": "linux", "architecture": "amd64"}, {}, []))
        result = self.check(STATUS["Failed"], system.words(layout.folder, "true"))
        self.assertIn(b"found linux/amd64", result.stderr)
        self.assertIn(b"expected '-- COMMAND'", self.check(STATUS["Failed"], system.words(self.system)[:-1]).stderr)

    def test_the_time_limit_is_that_of_the_preparation_too(self):
        fifo = self.path / "never"
        os.mkfifo(fifo)
        held = os.open(fifo, os.O_RDWR)
        self.addCleanup(os.close, held)
        self.check(STATUS["TimedOut"], system.words(fifo, "true", options=["--timeout", "1"]))


if __name__ == "__main__":
    unittest.main()
