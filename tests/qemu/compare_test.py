"""Command lines of command_lines.tsv that run: an unmodified QEMU, stopped before its first instruction, makes the same devices
of them, at the same places. Needs qemu-system-arm (or what ARMVISOR_QEMU names)."""
import base64
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import lines
from support import ARMVISOR, GUEST

QEMU = os.environ.get("ARMVISOR_QEMU") or shutil.which("qemu-system-arm")
KINDS = {"blk": "disk", "net": "network", "rng": "entropy", "serial": "console", "scsi": "scsi", "9p": "share", "gpu": "gpu"}
CARDS = {"edu": "edu", "ivshmem-plain": "shared-memory"}  # on PCI, without virtio


class Qmp:
    """A connection to QEMU's machine protocol."""

    def __init__(self, connection):
        self.socket = connection
        self.file = self.socket.makefile("rw")
        self.file.readline()
        self.ask("qmp_capabilities")

    def ask(self, command, **arguments):
        self.file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline())
            if "error" in answer:
                raise AssertionError(answer)
            if "return" in answer:
                return answer["return"]


def as_qemu_takes_it(words):
    """Without what today's QEMU has no more, in the foreground, with disks that are named as they are, with networks that
    need no interface of the host and no port of its own, and with lines that listen where they would connect to somebody who is not here."""
    words = [re.sub(r"^(tcp:[\w.]+):\d+$", r"\1:0,server=on,wait=off", word) for word in words]
    words = [re.sub(r"\bport=\d+", "port=0", word) + ",server=on,wait=off"
             if re.match(r"socket,.*\b(path|port)=", word) and "server" not in word else re.sub(r",server,wait$", ",server,nowait", word)
             for word in words]
    words = [re.sub(r"^(socket,.*),server=off\b", r"\1,server=on,wait=off", word) for word in words]
    words = [f"{word},server=on,wait=off" if re.fullmatch(r"unix:[^,]+", word) else word for word in words]
    words = [re.sub(r"^(socket,.*)\blisten=:\d+", r"\1listen=127.0.0.1:0", word) for word in words]
    words = [re.sub(r"^(type=)?(tap|bridge|vde)(?=,|$)", "user", word) for word in words if word not in ("-show-cursor", "-daemonize", "-snapshot")]
    if "-pidfile" in words:
        at = words.index("-pidfile")
        words = words[:at] + words[at + 2:]
    return [re.sub(r",(ifname|script|downscript|br|helper|sock)=[^,]*", "", word) for word in words]

MOST_MEMORY = 3 << 30


def in_folder(words, machine):
    """Absolute names of files become names within the folder, in the words and in the machine."""
    holders = [(machine, key) for key in ("kernel", "firmware", "initrd", "dtb") if key in machine]
    for holder, key in holders + [(device, "file") for device in all_disks(machine) if "file" in device]:
        if holder[key].startswith("/"):
            words = [word.replace(holder[key], holder[key][1:]) for word in words]
            holder[key] = holder[key][1:]
    return words


def elf_file():
    """Of one instruction (b .), behind where QEMU puts its device tree: ELF header, a program header, the instruction."""
    start = 0x40200000
    return (struct.pack("<16sHHIIIIIHHHHHH", b"\x7fELF\x01\x01\x01", 2, 40, 1, start, 52, 0, 0x05000000, 52, 32, 1, 0, 0, 0) +
            struct.pack("<IIIIIIII", 1, 84, start, start, 4, 4, 7, 4) + struct.pack("<I", 0xeafffffe))


def make_files(folder, machine):
    """Files of ours in the place of those that a line names."""
    for key, target in (("kernel", "zImage-armmp"), ("firmware", "u-boot.bin")):
        if key in machine:
            path = folder / machine[key]
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                shutil.copyfile(GUEST / target, path)  # a disk may have the same name
    if "initrd" in machine:
        path = folder / machine["initrd"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"initrd")
    if "dtb" in machine:
        subprocess.run([QEMU, "-M", f"virt,dumpdtb={machine['dtb']}", "-nic", "none"], cwd=folder, capture_output=True, check=True)
    for loaded in machine.get("loaded", []):
        if "file" in loaded:
            (folder / loaded["file"]).write_bytes(elf_file())
    for bank in machine.get("flash", []):
        with open(folder / bank["file"], "wb") as file:
            file.truncate(64 << 20)
    for device in all_disks(machine):
        if device["kind"] == "share":
            (folder / device["folder"]).mkdir(parents=True, exist_ok=True)
        if device["kind"] == "shared-memory" and "file" in device:
            path = folder / device["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes(device["size"]))
        if device["kind"] in ("disk", "cd-rom"):
            path = folder / device["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                continue
            if device["format"] in ("raw", "auto"):
                path.write_bytes(bytes(1 << 20))
            else:
                subprocess.run(["qemu-img", "create", "-q", "-f", device["format"], path, "1M"], check=True)


def all_disks(machine):
    """Its devices, and those on SCSI hosts."""
    return [*machine["devices"], *(unit for d in machine["devices"] for unit in d.get("units", []))]


def qemus_devices(qmp):
    """(kind, MMIO slot or None, place on PCI or None, MAC address or name of the drive) of each virtio device or e1000."""
    found = []
    bus = address = device = unit = None
    for line in qmp.ask("human-monitor-command", **{"command-line": "info qtree"}).splitlines():
        if match := re.match(r" *bus: (\S+)", line):
            bus = match[1]
        elif match := re.match(r" *addr = (\S+)", line):
            address = match[1]
            if device and "card" in device:
                device.setdefault("pci", address)
        elif re.match(r" *dev: e1000,", line):
            device = {"kind": "network", "card": "e1000"}
            found.append(device)
        elif (match := re.match(r" *dev: ([\w-]+),", line)) and match[1] in CARDS:
            device = {"kind": CARDS[match[1]], "card": match[1]}
            found.append(device)
        elif match := re.match(r" *dev: virtio-(\w+)-device", line):
            device = {"kind": KINDS.get(match[1], match[1])}
            slot = re.fullmatch(r"virtio-mmio-bus\.(\d+)", bus)
            device |= {"slot": int(slot[1])} if slot else {"pci": address}
            found.append(device)
        elif match := re.match(r" *dev: scsi-(hd|cd)", line):
            unit = {"kind": {"hd": "disk", "cd": "cd-rom"}[match[1]]}
            device.setdefault("units", []).append(unit)
        elif device and "units" in device and (match := re.match(r" *(scsi-id|lun) = (\d+)", line)):
            unit[{"scsi-id": "target", "lun": "lun"}[match[1]]] = int(match[2])
        elif re.match(r" *dev: ", line):
            device = None
        elif device and (match := re.match(r' *(mac|drive|mount_tag) = "(.*)"', line)):
            device[match[1]] = match[2]
    return found


def place_of(device):
    """A number on virtio-mmio, a text on PCI."""
    return device.get("slot", device.get("pci"))


class Compare(unittest.TestCase):
    def connect(self, path, process):
        """Once QEMU listens."""
        while process.poll() is None:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(path)
                return connection
            except OSError:
                connection.close()
                time.sleep(0.05)
        self.fail(f"QEMU refuses the line: {process.stderr.read()}")

    def compare(self, line, account, folder):
        machine = account["machine"]
        words = in_folder(line.words(), machine)
        make_files(folder, machine)
        if machine["memory"] > MOST_MEMORY:  # older QEMUs do not take that much for all CPUs
            machine["memory"] = MOST_MEMORY
            words[words.index("-m") + 1] = f"{MOST_MEMORY >> 20}"
        headless = [] if "-nographic" in line.words() or "-display" in line.words() else ["-display", "none"]
        process = subprocess.Popen([QEMU, *as_qemu_takes_it(words), *headless, "-global", "virtio-net-pci.romfile=",
                                    "-global", "e1000.romfile=", "-global", "VGA.romfile=", "-global", "bochs-display.romfile=", "-S", "-qmp",
                                    "unix:qmp.sock,server=on,wait=off"], cwd=folder,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            connection = self.connect(str(folder / "qmp.sock"), process)
            self.addCleanup(connection.close)
            try:
                qmp = Qmp(connection)
            except ConnectionError:
                self.fail(f"QEMU ended with {process.wait()}: {process.stderr.read()}")
            self.assertEqual(machine["cpus"], len(qmp.ask("query-cpus-fast")))
            self.assertEqual(machine["memory"], qmp.ask("query-memory-size-summary")["base-memory"])
            self.compare_devices(machine, qemus_devices(qmp), qmp.ask("query-block"))
        finally:
            process.kill()
            process.wait()
            process.stderr.close()

    def compare_devices(self, machine, theirs, blocks):
        theirs = [d for d in theirs if d["kind"] in (*KINDS.values(), *CARDS.values())]
        if not any(d["kind"] == "console" for d in machine["devices"]):
            theirs = [d for d in theirs if d["kind"] != "console"]  # without a port
        places = {place_of(d): d for d in theirs}
        self.assertEqual({place_of(d): d["kind"] for d in machine["devices"]}, {place: d["kind"] for place, d in places.items()})
        files = {b["device"]: (b["inserted"]["file"], b["inserted"]["ro"]) for b in blocks if "inserted" in b}
        for ours in machine["devices"]:
            there = places[place_of(ours)]
            if ours["kind"] == "disk":
                self.assertEqual((ours["file"], ours["read-only"]), files[there["drive"]])
            for unit in ours.get("units", []):
                self.assertIn({key: unit[key] for key in ("kind", "target", "lun")}, there["units"])
            if "tag" in ours:
                self.assertEqual(ours["tag"], there["mount_tag"])
            if ours["kind"] == "network":
                self.assertEqual(ours.get("card"), there.get("card"))
            if "mac" in ours:
                self.assertEqual(ours["mac"], there["mac"])

    @unittest.skipUnless(QEMU and GUEST.joinpath("zImage-armmp").exists(), "needs qemu-system-arm and build/guest")
    def test_devices_are_those_that_qemu_makes(self):
        all_lines = lines.read()
        compared = 0
        for number, (line, account) in enumerate(zip(all_lines, lines.accounts_of(ARMVISOR, all_lines)), 1):
            if account["outcome"] == "runs" and "dumpdtb" not in account["machine"]:
                with self.subTest(number=number, line=line.text), tempfile.TemporaryDirectory() as folder:
                    self.compare(line, account, Path(folder))
                    compared += 1
        self.assertGreater(compared, 20)

    @unittest.skipUnless(QEMU and GUEST.joinpath("zImage-armmp").exists(), "needs qemu-system-arm and build/guest")
    def test_a_guest_sees_the_same_pci_devices(self):
        """Configuration and regions of all functions, after the guest's kernel has placed them and its drivers have run: below
        4 GiB, and with LPAE in the window above as well."""
        for machine, kernel in (("virt,highmem=off", "armmp"), ("virt", "armmp-lpae")):
            with self.subTest(machine=machine), tempfile.TemporaryDirectory() as folder:
                seen = self.pci_devices(folder, machine, kernel)
                self.assertEqual(seen[0].count("PCI 0000:"), 10)
                self.assertEqual("0x0000008000000000" in seen[0], kernel == "armmp-lpae", "regions of 64 bits are in the window")
                self.maxDiff = None
                self.assertEqual(*seen)

    def pci_devices(self, folder, machine, kernel):
        """What the guest says of them, under QEMU and under armvisor."""
        commands = ("cd /sys/bus/pci/devices; for d in *; do echo PCI $d; hexdump -v -e '16/1 \"%02x \" \"\\n\"' $d/config; "
                    "cat $d/resource; done; cat /proc/iomem | grep -A99 pcie@ | sed /RAM/q; echo END")
        code = base64.b64encode(commands.encode()).decode()
        for name in ("a", "b", "c"):
            (Path(folder) / name).write_bytes(bytes(1 << 20))
        words = ["-M", machine, "-cpu", "cortex-a15", "-m", "256", "-nographic", "-no-reboot", "-kernel",
                 GUEST / f"zImage-{kernel}", "-initrd", GUEST / "initrd.img", "-append",
                 f"console=ttyAMA0 quiet armvisor.exec={code}", "-netdev", "user,id=n", "-device",
                 "virtio-net-pci,netdev=n,romfile=", "-netdev", "user,id=e", "-device", "e1000,netdev=e,romfile=", "-device",
                 "virtio-rng-pci,addr=7", "-device", "virtio-scsi-pci",
                 "-device", "virtio-serial-pci,id=s", "-device", "virtconsole,bus=s.0", "-virtfs",
                 "local,path=.,mount_tag=tag,security_model=none"]
        for name, more in (("a", ""), ("b", ",disable-legacy=on"), ("c", ",disable-modern=on")):
            words += ["-drive", f"if=none,id={name},file={name},format=raw", "-device", f"virtio-blk-pci,drive={name}{more}"]
        seen = []
        for program in ([QEMU], [ARMVISOR, "qemu"]):
            output = subprocess.run([*program, *words], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                    timeout=600).stdout
            # Without the number that Linux gives to an interrupt: QEMU's board has more of them; and without the place of
            # configuration, which QEMU's has above RAM for LPAE.
            text = re.sub(r"[0-9a-f]{2}( 01 00 00)$", r"--\1", output[output.find("PCI "):output.find("END")], flags=re.M)
            seen.append(re.sub(r"^.* : PCI ECAM\r?\n", "", text, flags=re.M))
        return seen


if __name__ == "__main__":
    unittest.main()
