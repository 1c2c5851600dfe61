"""Programs of Debian's packages for armhf, with inputs that are always the same."""
import guests
import systems
from document import Part
from rows import Row
from section import RowsSection, differing_checksums, ratio_table

COMMANDS = {
    "gcc": "sh -c 'cd /work/c && for f in qsort lz sha256 dijkstra treap; do gcc -std=c11 -O2 -S -o - $f.c || exit 1; done'",
    "sqlite3": "sh -c 'sqlite3 :memory: < /work/load.sql'",
    "gzip": "gzip -6 -c -n /work/data",
    "gunzip": "sh -c 'gzip -1 -c -n /work/data | gunzip -c'",
    "xz": "xz -T1 -2 -c /work/text",
    "bzip2": "bzip2 -c /work/text",
    "openssl-aes": "openssl enc -aes-256-cbc -K 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff -iv 0123456789abcdef0123456789abcdef -in /work/data",
    "openssl-sha512": "openssl dgst -sha512 /work/data",
    "python3": "python3 -B -S /work/load.py",
    "perl": "perl /work/load.pl",
    "cjpeg": "cjpeg -quality 85 -optimize /work/image.ppm",
    "djpeg": "sh -c 'cjpeg /work/image.ppm | djpeg -ppm'",
    "pnmscale": "sh -c 'pamscale 0.4 /work/image.ppm 2>/dev/null || pnmscale 0.4 /work/image.ppm'",
    "lame": "lame --quiet -b 128 /work/sound.wav -",
    "flac": "flac -s -c /work/sound.wav",
    "gsm": "sh -c 'toast -l < /work/speech.raw'",
    "groff": "groff -Tascii -man /work/page.1",
    "grep": "grep -cE '(an|er)[a-z]*is.*(da|ge)' /work/data",
    "sort": "sh -c 'tr \" \" \"\\n\" < /work/text | LC_ALL=C sort | uniq -c | LC_ALL=C sort -rn | head -n 50'",
    "shell": "sh -c 'i=0; while [ $i -lt 300 ]; do /bin/true; i=$((i + 1)); done; echo $i'",
    "bc": "sh -c 'echo \"scale=400; 4*a(1)\" | bc -l'",
}


class Applications(RowsSection):
    name = "applications"
    programs = True

    def prepare(self):
        self.disk = guests.applications_disk(self.context.say)
        self.initrd = guests.make_initrd("applications", extra=tuple(
            (f"bench/apps/{name}", f"#!/bin/sh\nexec {command}\n".encode()) for name, command in COMMANDS.items()))

    def rows(self):
        return [Row(f"applications/{name}", "applications", "s", "applications", f"/bench/tools time chroot /mnt /work/{name}")
                for name in COMMANDS]

    def run(self, system):
        return guests.Run(self.initrd, "mount -t ext4 /dev/vda /mnt; mount -t proc proc /mnt/proc; mount -t tmpfs tmp /mnt/tmp;"
                          "cp /bench/apps/* /mnt/work; mount --bind /dev /mnt/dev; export LC_ALL=C PATH=/usr/bin:/bin:/usr/sbin:/sbin",
                          disk=self.disk)

    def part(self, results):
        chosen = self.rows()
        base = "qemu" if results.of(self.name, "rows", "qemu") else "armvisor"
        items, _ = ratio_table(results, self.name, "rows", chosen, base, [s.name for s in self.systems if s.name != base])
        results.problems += differing_checksums(results, self.name, "rows", chosen, [s.name for s in self.systems])
        return Part("Application loads", [
            "Programs of Debian's packages on a disk, run in a chroot, once per boot: with the reading of the program from the "
            "disk and the translation of its code, as a user meets it. Outputs are the same on all systems."], items)
