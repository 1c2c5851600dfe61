"""Real systems started by command lines of qemu-system-arm, by way of a link of that name."""
import base64
import hashlib
import http.server
import random
import re
import shutil
import socket
import subprocess
import threading
import unittest

from support import GUEST, Folder, load_boot_support

boot_support = load_boot_support()
VARIABLE = "Kept -guid 7c1d9f0e-3a52-4c1b-9f59-0d2f1c6ab001"

# Shell commands in the guest.
DISKS = "for d in /sys/block/vd*; do echo DISK ${d##*/} $(cat $d/size) $(dd if=/dev/${d##*/} bs=4 count=1 2>/dev/null); done"
DEVICES = "for d in /sys/bus/virtio/devices/*; do [ -e $d ] && echo VIRTIO $(cat $d/device) $(readlink -f $d | sed 's/.*\\/\\([0-9a-f]*\\).virtio_mmio.*/\\1/; s/.*pci0000:00.0000:00:\\([0-9a-f.]*\\).*/\\1/') $(cut -c33 $d/features); done"
SYSTEM = "echo CPUS $(grep -c ^processor /proc/cpuinfo); echo MEMORY $(awk '/MemTotal/{print $2}' /proc/meminfo)"
NETWORK = "ip link set eth0 up; udhcpc -i eth0 -q -n -t 5 -T 2 -s /etc/udhcpc.script >/dev/null 2>&1; echo ADDRESS $(ip -4 addr show eth0 | awk '/inet /{print $2}')"


def append(commands, *more):
    code = base64.b64encode(commands.encode()).decode()
    return " ".join(["console=ttyAMA0 quiet panic=-1", f"armvisor.exec={code}", *more])


class Boot(unittest.TestCase):
    def setUp(self):
        self.folder = Folder().__enter__()
        self.addCleanup(self.folder.__exit__)
        for name, target in {"zImage": "zImage-armmp", "vmlinuz": "zImage-armmp-lpae", "initrd": "initrd.img",
                             "u-boot.bin": "u-boot.bin"}.items():
            (self.folder.path / name).symlink_to(GUEST / target)

    def disk(self, name, mark, size=1 << 20):
        with open(self.folder.path / name, "wb") as file:
            file.write(mark.encode())
            file.truncate(size)

    def run_line(self, *words, status=0):
        process = self.folder.qemu(*words, timeout=600)
        self.assertEqual(process.returncode, status, process.stdout[-2000:] + process.stderr)
        return process

    def test_a_line_of_a_kernel_harness(self):
        """ClangBuiltLinux's boot-qemu.py, with more in it for the guest to tell of."""
        output = self.run_line("-display", "none", "-nodefaults", "-no-reboot", "-machine", "virt", "-append",
                               append(f"{SYSTEM}; {DEVICES}"), "-kernel", "zImage", "-initrd", "initrd", "-m", "1G", "-smp", "2",
                               "-serial", "mon:stdio").stdout
        self.assertIn("CPUS 2", output)
        self.assertGreater(int(re.search(r"MEMORY (\d+)", output)[1]), 900_000)
        self.assertNotIn("VIRTIO", output)

    def test_folders_over_legacy_mmio_and_over_pci(self):
        """virtme-ng's and lima's ways, with owners and permissions that the host's files do not have."""
        for name in ("one", "two"):
            (self.folder.path / name).mkdir()
        commands = ("modprobe 9pnet_virtio; mkdir -p /one /two; for t in one two; do mount -t 9p -o trans=virtio,version=9p2000.L $t /$t; "
                    "echo $t > /$t/file; chown 12:34 /$t/file; chmod 751 /$t/file; mkfifo /$t/fifo; ls -ln /$t | sed s/^/LIST/; done")
        output = self.run_line("-M", "virt", "-nographic", "-no-reboot", "-nic", "none", "-kernel", "zImage", "-initrd", "initrd",
                               "-append", append(commands), "-fsdev", "local,id=f,path=one,security_model=mapped-file", "-device",
                               "virtio-9p-device,fsdev=f,mount_tag=one", "-virtfs",
                               "local,path=two,mount_tag=two,security_model=mapped-file,fmode=0640").stdout
        self.assertEqual(len(re.findall(r"LIST-rwxr-x--x +1 12 +34 .* file", output)), 2, output[-2000:])
        self.assertEqual(len(re.findall(r"LISTprw-r--r-- +1 0 +0 .* fifo", output)), 2, output[-2000:])
        for name, mode in (("one", 0o100600), ("two", 0o100640)):
            self.assertEqual((self.folder.path / name / "fifo").stat().st_mode, mode)
            self.assertEqual((self.folder.path / name / "file").read_text(), name + "\n")

    def test_a_reset_ends_the_machine_with_status_0(self):
        """kunit's."""
        self.run_line("-nodefaults", "-m", "1024", "-kernel", "zImage", "-append", append("true", "armvisor.end=reboot"),
                      "-initrd", "initrd", "-no-reboot", "-nographic", "-accel", "kvm", "-accel", "hvf", "-accel", "tcg",
                      "-serial", "stdio", "-machine", "virt")

    def test_a_disk_of_the_board_and_memory_above_4_gib(self):
        """TuxLAVA's, with the kernel for LPAE."""
        self.disk("rootfs.ext4", "root")
        process = self.run_line("-cpu", "cortex-a15", "-machine", "virt,gic-version=3", "-nographic", "-nic", "none", "-m", "4G",
                                "-monitor", "none", "-no-reboot", "-smp", "2", "-kernel", "vmlinuz", "-initrd", "initrd", "-append",
                                append(f"{SYSTEM}; {DISKS}; {DEVICES}"), "-drive",
                                "file=rootfs.ext4,format=raw,id=hd0,if=virtio")
        self.assertIn("DISK vda 2048 root", process.stdout)
        self.assertRegex(process.stdout, r"VIRTIO 0x0002 01.0 1", "modern, on PCI")
        self.assertGreater(int(re.search(r"MEMORY (\d+)", process.stdout)[1]), 4_000_000)
        self.assertRegex(process.stderr, "gic-version=3: GICv2")

    def test_a_disk_reads_and_writes_memory_above_4_gib(self):
        """The kernel is told of 256 MiB below, and so has what it reads and writes above."""
        with open(self.folder.path / "disk", "wb") as file:
            file.write(random.Random(5).randbytes(24 << 20))
        whole = hashlib.md5((self.folder.path / "disk").read_bytes()).hexdigest()
        commands = ("echo SUM $(md5sum < /dev/vda); grep HighTotal /proc/meminfo; dd if=/dev/vda of=/tmp/copy bs=1M count=8; "
                    "dd if=/tmp/copy of=/dev/vda bs=1M seek=16; sync; echo SUM $(md5sum < /tmp/copy)")
        output = self.run_line("-M", "virt", "-nographic", "-nodefaults", "-serial", "stdio", "-m", "6G", "-smp", "2", "-no-reboot",
                               "-kernel", "vmlinuz", "-initrd", "initrd", "-append",
                               append(commands, "mem=256M@0x40000000", "mem=2G@0x100000000"), "-drive",
                               "file=disk,format=raw,if=virtio").stdout
        self.assertGreater(int(re.search(r"HighTotal: +(\d+)", output)[1]), 1_900_000)
        data = (self.folder.path / "disk").read_bytes()
        first = data[:8 << 20]
        self.assertEqual(re.findall(r"SUM (\w+)", output), [whole, hashlib.md5(first).hexdigest()])
        self.assertEqual(data[16 << 20:], first)

    def test_disks_on_mmio_and_a_network(self):
        self.disk("first", "one1")
        self.disk("second", "two2", 2 << 20)
        output = self.run_line("-M", "virt", "-nographic", "-kernel", "zImage", "-initrd", "initrd", "-append",
                               append(f"{DISKS}; {NETWORK}; {DEVICES}; dd if=/dev/hwrng bs=8 count=1 2>/dev/null | wc -c"), "-drive",
                               "if=none,file=first,id=hd0,format=raw", "-device", "virtio-blk-device,drive=hd0", "-drive",
                               "if=none,file=second,id=hd1,format=raw", "-device", "virtio-blk-device,drive=hd1", "-netdev",
                               "user,id=net0", "-device", "virtio-net-device,netdev=net0", "-device", "virtio-rng-pci").stdout
        self.assertIn("DISK vda 4096 two2", output)
        self.assertIn("DISK vdb 2048 one1", output)
        self.assertIn("ADDRESS 10.0.2.15/24", output)
        self.assertEqual(sorted(re.findall(r"VIRTIO 0x000(\d) ([\w.]+) ([01])", output)),
                         [("1", "a003a00", "0"), ("2", "a003c00", "0"), ("2", "a003e00", "0"), ("4", "01.0", "1")])

    @unittest.skipUnless(shutil.which("qemu-nbd") and shutil.which("qemu-img"), "needs qemu-nbd and qemu-img (qemu-utils)")
    def test_images_are_found_by_their_content_and_a_snapshot_keeps_nothing(self):
        """The first bytes of two disks, written by the guest: one stays, of the other machine all is gone."""
        image = self.folder.path / "image"  # the name says nothing
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "8M"], check=True)
        self.disk("plain", "raw1")
        line = ["-M", "virt", "-nographic", "-no-reboot", "-nic", "none", "-kernel", "zImage", "-initrd", "initrd", "-hda", "image",
                "-drive", "file=plain,format=raw"]
        write = "for d in vda vdb; do printf $1$d | dd of=/dev/$d conv=fsync,notrunc 2>/dev/null; done; "
        output = self.run_line(*line, "-append", append("set -- A; " + write + DISKS)).stdout
        self.assertIn("DISK vda 16384 Avda", output)
        self.assertIn("DISK vdb 2048 Avdb", output)
        subprocess.run(["qemu-img", "check", "-q", image], check=True)
        kept = [image.read_bytes(), (self.folder.path / "plain").read_bytes()]
        self.assertTrue(kept[1].startswith(b"Avdb"))
        output = self.run_line(*line, "-snapshot", "-append", append(DISKS + "; set -- B; " + write + DISKS)).stdout
        for text in ("DISK vda 16384 Avda", "DISK vdb 2048 Avdb", "DISK vda 16384 Bvda", "DISK vdb 2048 Bvdb"):
            self.assertIn(text, output)
        self.assertEqual([image.read_bytes(), (self.folder.path / "plain").read_bytes()], kept)

    def test_a_disk_and_a_cd_rom_on_scsi(self):
        (self.folder.path / "initrd-pci").symlink_to(GUEST / "initrd-pci.img")
        self.disk("hd", "raw1", 8 << 20)
        (self.folder.path / "cd").write_bytes(b"on the CD\n".ljust(300 * 2048))
        before = (self.folder.path / "cd").read_bytes()
        commands = ("modprobe -a virtio_scsi sd_mod sr_mod; while [ ! -b /dev/sr0 -o ! -b /dev/sda ]; do usleep 100000; done; "
                    "for d in /sys/block/s*; do echo SCSI ${d##*/} $(cat $d/size $d/ro $d/device/model $d/queue/logical_block_size); done; "
                    "dd if=/dev/urandom of=/tmp/a bs=64k count=8; dd if=/tmp/a of=/dev/sda bs=64k seek=1 conv=fsync; "
                    "echo 3 > /proc/sys/vm/drop_caches; dd if=/dev/sda of=/tmp/b bs=64k skip=1 count=8; cmp /tmp/a /tmp/b && echo SAME; "
                    "head -c 9 /dev/sr0; echo; dd if=/tmp/a of=/dev/sr0 bs=2k count=1; dd if=/dev/sda bs=4 count=1")
        output = self.run_line("-M", "virt", "-nographic", "-no-reboot", "-nic", "none", "-kernel", "zImage", "-initrd", "initrd-pci",
                               "-append", append(commands), "-drive", "if=none,id=hd,file=hd,format=raw", "-drive",
                               "if=none,id=cd,media=cdrom,file=cd,format=raw", "-device", "virtio-scsi-pci", "-device",
                               "scsi-hd,drive=hd", "-device", "scsi-cd,drive=cd").stdout
        for text in ("SCSI sda 16384 0 QEMU HARDDISK 512", "SCSI sr0 1200 1 QEMU CD-ROM 2048", "SAME", "on the CD", "raw1"):
            self.assertIn(text, output)
        self.assertEqual((self.folder.path / "cd").read_bytes(), before)

    def test_an_e1000_under_linux(self):
        """What is sent in segments and with checksums by the card, and received by it, is what it was."""
        (self.folder.path / "initrd-pci").symlink_to(GUEST / "initrd-pci.img")
        (self.folder.path / "files").mkdir()
        sent = random.Random(1).randbytes(1_000_000)
        (self.folder.path / "files" / "blob").write_bytes(sent)
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)

        def echo():  # what has come, once it is all there
            connection, _ = server.accept()
            with connection:
                got = b""
                while len(got) < len(sent) and (data := connection.recv(65536)):
                    got += data
                connection.sendall(got)

        threading.Thread(target=echo, daemon=True).start()
        commands = ("modprobe e1000; while [ ! -e /sys/class/net/eth0 ]; do usleep 100000; done; cat /sys/class/net/eth0/address; "
                    f"{NETWORK}; tftp -g -r blob -b 1400 10.0.2.2; nc 10.0.2.2 {server.getsockname()[1]} < blob > echoed; md5sum blob echoed; "
                    "echo SPEED $(cat /sys/class/net/eth0/speed /sys/class/net/eth0/duplex)")
        output = self.run_line("-M", "virt", "-nographic", "-no-reboot", "-kernel", "zImage", "-initrd", "initrd-pci", "-append",
                               append(commands), "-device", "e1000,netdev=n,mac=52:54:00:12:34:99", "-netdev",
                               "user,id=n,tftp=files").stdout
        self.assertIn("52:54:00:12:34:99", output)
        self.assertIn("ADDRESS 10.0.2.15/24", output)
        self.assertEqual(re.findall(r"([0-9a-f]{32})  (\w+)", output),
                         [(hashlib.md5(sent).hexdigest(), name) for name in ("blob", "echoed")])
        self.assertIn("SPEED 1000 full", output)

    def test_an_e1000_under_u_boot(self):
        (self.folder.path / "files").mkdir()
        (self.folder.path / "files" / "greeting").write_text("by TFTP\n")
        with boot_support.Session("qemu", "-nographic", "-netdev", "user,id=net0,tftp=files", "-device", "e1000,netdev=net0",
                                  "-device", "virtio-rng-pci", "-M", "virt", "-bios", "u-boot.bin",
                                  cwd=self.folder.path) as machine:
            machine.expect("Hit any key to stop autoboot")
            machine.send(" \n")
            for line, answer in {"setenv autoload no; dhcp": "bound to address 10.0.2.15",
                                 "setenv serverip 10.0.2.2; tftpboot 0x42000000 greeting": "Bytes transferred = 8 ",
                                 "md.b 0x42000000 7": "by TFTP", "ping 10.0.2.2": "host 10.0.2.2 is alive"}.items():
                machine.expect("=> ")
                machine.send(line + "\n")
                machine.expect(answer)
            machine.expect("=> ")
            machine.send("poweroff\n")
            self.assertEqual(machine.finish(), 0)

    def test_modern_virtio_and_a_second_console(self):
        output = self.run_line("-M", "virt", "-global", "virtio-mmio.force-legacy=false", "-nographic", "-nic", "none", "-kernel",
                               "zImage", "-initrd", "initrd", "-append",
                               append(f"{DEVICES}; echo to the console > /dev/hvc0; sleep 1"), "-device", "virtio-serial-pci",
                               "-chardev", "file,path=hvc.log,id=c", "-device", "virtconsole,chardev=c").stdout
        self.assertIn("VIRTIO 0x0003 01.0 1", output)
        self.assertIn("to the console", (self.folder.path / "hvc.log").read_text())

    def test_a_second_serial_line_and_files_by_tftp_and_ipv6(self):
        (self.folder.path / "files").mkdir()
        (self.folder.path / "files" / "greeting").write_text("by TFTP\n")
        commands = (f"{NETWORK}; tftp -g -r greeting 192.168.5.2; cat greeting; echo second line > /dev/ttyAMA1; sleep 1; "
                    "n=0; until ping6 -c 1 -W 1 fd05::2 || [ $((n += 1)) = 30 ]; do sleep 0.3; done; ip -6 addr show eth0; ip -6 route")
        server = self.server_of_ipv6()
        if server:
            commands += f"; wget -q -O - http://[fd05::2]:{server.server_port}/page"
        output = self.run_line("-M", "virt", "-nographic", "-serial", "mon:stdio", "-serial", "file:second.log", "-kernel", "zImage",
                               "-initrd", "initrd", "-append", append(commands), "-nic",
                               "user,net=192.168.5.0/24,dhcpstart=192.168.5.40,tftp=files,ipv6-net=fd05::/64").stdout
        self.assertIn("ADDRESS 192.168.5.40/24", output)
        self.assertIn("by TFTP", output)
        self.assertIn("second line", (self.folder.path / "second.log").read_text())
        self.assertIn("inet6 fd05::5054:ff:fe12:3456/64 scope global", output, "by the router's advertisement")
        self.assertRegex(output, r"default via fe80::2 ")
        self.assertIn("1 packets received", output)
        if server:
            self.assertIn("the page /page\n", output)

    def server_of_ipv6(self):
        """A web server on the host's ::1; nothing where the host has none."""
        class Page(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(f"the page {self.path}\n".encode())

            def log_message(self, *_):
                pass

        class Server(http.server.HTTPServer):
            address_family = socket.AF_INET6

        try:
            server = Server(("::1", 0), Page)
        except OSError:
            return None
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server

    def test_firmware(self):
        process = self.folder.start("-M", "virt", "-nographic", "-bios", "u-boot.bin")
        text = b""
        while b"Hit any key" not in text:
            data = process.stdout.read(4096)
            self.assertTrue(data, text)
            text += data
        process.terminate()
        self.assertEqual(process.wait(60), 0, "as QEMU ends by a signal")
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()

    def uefi(self, *words):
        """A machine at the prompt of UEFI's shell."""
        session = boot_support.Session("qemu", "-M", "virt", "-nographic", "-nic", "none", *words, cwd=self.folder.path)
        self.addCleanup(session.__exit__)
        session.expect("startup.nsh")
        session.send("\x1b")  # do not wait for it
        session.expect("Shell> ")
        return session

    def test_uefi_variables_survive_in_a_file_of_flash(self):
        """They are there although the machine is killed; a snapshot keeps none; a second machine may only read the file."""
        variables = self.folder.path / "vars.fd"
        with open(variables, "wb") as file:
            file.truncate(64 << 20)
        (self.folder.path / "code.fd").symlink_to(GUEST / "uefi.fd")
        code = ["-drive", "if=pflash,format=raw,unit=0,readonly=on,file=code.fd"]
        line = code + ["-drive", "if=pflash,format=raw,unit=1,file=vars.fd"]
        machine = self.uefi(*line)
        machine.send(f"setvar {VARIABLE} -bs -nv =0x12345678\r")
        machine.expect("Shell> ")
        refused = self.folder.qemu("-M", "virt", "-nographic", "-nic", "none", *line)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("vars.fd is in use by another machine", refused.stderr)
        machine.process.kill()
        machine.process.wait()
        machine = self.uefi("-blockdev", "driver=file,node-name=f,filename=vars.fd", "-blockdev", "driver=raw,node-name=v,file=f",
                            "-machine", "pflash1=v", *code)
        machine.send(f"setvar {VARIABLE}\r")
        machine.expect("Kept - 0004 Bytes")
        machine.expect("78 56 34 12")
        machine.expect("Shell> ")
        machine.process.terminate()
        self.assertEqual(machine.finish(), 0)
        kept = variables.read_bytes()
        machine = self.uefi("-snapshot", *line)
        machine.send(f"setvar {VARIABLE} =0x9abcdef0\r")
        machine.expect("Shell> ")
        machine.send(f"setvar {VARIABLE}\r")
        machine.expect("F0 DE BC 9A")
        machine.process.terminate()
        self.assertEqual(machine.finish(), 0)
        self.assertEqual(variables.read_bytes(), kept)

    def test_a_file_of_flash_has_the_size_of_the_bank(self):
        self.disk("code.fd", "\xfe\xff\xff\xea")
        refused = self.folder.qemu("-M", "virt", "-nographic", "-nic", "none", "-drive", "if=pflash,format=raw,file=code.fd")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("expected 67108864 bytes", refused.stderr)
        self.assertIn("found 1048576", refused.stderr)


if __name__ == "__main__":
    unittest.main()
