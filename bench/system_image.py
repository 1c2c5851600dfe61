"""A disk with Debian armhf and systemd, made without root: the packages' files are unpacked on the host, and a guest of
armvisor installs and configures the packages, as debootstrap's second stage would."""
import os
import shutil

import assets
import machines

MULTI_USER = "BENCH multi-user"
PACKAGES = ["?essential", "systemd-sysv", "libpam-systemd", "dbus", "udev", "kmod", "iproute2", "cron", "openssh-server"]
SIZE_MIB = 1024
INSTALLED = "BENCH installed"

# Says when multi-user.target is reached, and powers off.
UNIT = f"""[Unit]
Description=Tell the bench
After=multi-user.target

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo {MULTI_USER} > /dev/console; systemctl --no-block poweroff'

[Install]
WantedBy=multi-user.target
"""

# Runs as root in the new system. Some packages' scripts expect others that are not configured yet, hence the second try.
INSTALL = f"""#!/bin/sh
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mkdir -p /var/lib/dpkg/info /var/lib/dpkg/updates; : > /var/lib/dpkg/status; : > /var/lib/dpkg/available
printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d
options="--force-depends --force-confold --force-overwrite --force-unsafe-io --no-triggers"
cd /packages
dpkg $options --install base-passwd_*.deb base-files_*.deb dpkg_*.deb
dpkg $options --unpack *.deb
dpkg $options --configure -a || dpkg $options --configure -a
dpkg --force-unsafe-io --triggers-only -a
dpkg --configure -a && dpkg --audit && ok=1
rm -rf /packages /usr/sbin/policy-rc.d
echo armvisor > /etc/hostname
printf '/dev/vda / ext4 defaults 0 1\\n' > /etc/fstab
: > /etc/machine-id; systemd-machine-id-setup
systemctl enable bench.service
[ -n "$ok" ] && echo {INSTALLED}
"""


def fetch_packages():
    apt = assets.Apt("system", "armhf")
    return apt.fetch_missing(*PACKAGES)


def unpack(tree, debs):
    assets.unpack_system(debs, tree)
    packages = tree / "packages"
    packages.mkdir()
    for deb in debs:
        shutil.copy(deb, packages / deb.name.replace("%3a", ":"))
    (tree / "install").write_text(INSTALL)
    (tree / "install").chmod(0o755)
    (tree / "etc/systemd/system").mkdir(parents=True, exist_ok=True)
    (tree / "etc/systemd/system/bench.service").write_text(UNIT)


def install(machine, image, timeout=1800):
    commands = ("mount -t ext4 /dev/vda /mnt; chown -hR 0:0 /mnt; chroot /mnt /install; rm -f /mnt/install; "
                "umount /mnt/dev /mnt/sys /mnt/proc")
    guest = machines.Guest(assets.GUEST / "zImage-armmp", assets.GUEST / "initrd.img",
                           machines.append_running(commands), image)
    outcome = machines.boot(machine, guest, timeout)
    (image.parent / "install.log").write_text("\n".join(outcome.text()))
    if outcome.status != 0 or INSTALLED not in outcome.text():
        raise assets.Missing(f"Debian could not be installed in the guest; see {image.parent / 'install.log'}")


def make(machine, say):
    """The image, made by `machine` if it is not there yet."""
    image = assets.BENCH / "system" / "disk.img"
    with assets.locked("system"):
        if not image.exists():
            say("making a disk with Debian and systemd; this takes some minutes, once")
            tree = image.parent / "tree"
            unpack(tree, fetch_packages())
            unconfigured = image.with_suffix(".unconfigured")
            assets.make_disk(tree, unconfigured, SIZE_MIB)
            install(machine, unconfigured)
            os.replace(unconfigured, image)
    return image


def commands():
    """What the initial RAM disk's shell does to start the system on the disk."""
    return ("mount -t ext4 /dev/vda /mnt; umount /dev/pts; for d in dev proc sys; do mount --move /$d /mnt/$d; done; "
            "exec switch_root /mnt /sbin/init")
