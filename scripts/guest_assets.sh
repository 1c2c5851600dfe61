#!/bin/bash
# Makes build/guest/: unmodified Debian armhf kernels, U-Boot and UEFI, an initramfs around busybox, and an ext4 disk.
# Uses apt with a state directory of its own, so neither the host's package lists nor its architectures change.
#   zImage-armmp zImage-armmp-lpae   kernels of linux-image-armmp and linux-image-armmp-lpae
#   u-boot.bin                       firmware of u-boot-qemu (qemu_arm)
#   uefi.fd                          firmware of qemu-efi-arm, to its full 64 MiB, most of it a hole
#   initrd.img                       busybox, guest/init, and the modules it loads, for both kernels
#   initrd-pci.img                  the same with modules for SCSI, the e1000 and the balloon, which nothing loads by itself
#   disk.img                         a small ext4 file system
# usage: scripts/guest_assets.sh [--refresh]
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
out=$root/build/guest
stamp=$out/.packages
pci_modules=(virtio_scsi sd_mod sr_mod e1000 virtio_balloon)
modules=(virtio_mmio virtio_pci virtio_blk virtio_net virtio_rng virtio_console af_packet crc32c_generic ext4 9p 9pnet_virtio)

fail() {
  echo "guest_assets: $*" >&2
  exit 1
}

. scripts/guest_apt.sh
image_package() { # metapackage: the versioned image that it depends on
  own_apt apt-cache show "$1" | sed -n 's/^Depends: *\([^ ,]*\).*/\1/p' | head -n 1
}

# --- initramfs
copy_modules() { # unpacked-kernel-directory: the modules we load and what they need, into the initramfs tree
  local version dir name path
  version=$(basename "$1"/lib/modules/*)
  dir=lib/modules/$version
  depmod -b "$1" "$version"
  for name in "${modules[@]}"; do
    # --show-depends prints "insmod PATH" lines in the order of loading, and "builtin NAME".
    modprobe -d "$1" -S "$version" --show-depends "$name" 2>/dev/null | awk '$1 == "insmod" {print $2}'
  done | sort -u | while read -r path; do
    path=${path#"$1"/}
    install -D -m 644 "$1/$path" "$tree/$path"
  done
  cp "$1/$dir/modules.order" "$1/$dir/modules.builtin" "$tree/$dir/"
  depmod -b "$tree" "$version" 2> /dev/null # it warns of lists that we leave out
}
make_initrd() { # name
  install -D -m 755 "$out/busybox/bin/busybox" "$tree/bin/busybox"
  install -D -m 755 guest/udhcpc.script "$tree/etc/udhcpc.script"
  install -m 755 guest/init "$tree/init"
  ln -sf busybox "$tree/bin/sh"
  (cd "$tree" && find . -print0 | LC_ALL=C sort -z |
    cpio --null --quiet --create --format=newc --owner=0:0 | gzip -9 -n > "$out/$1.new")
  mv "$out/$1.new" "$out/$1"
}
make_disk() {
  rm -rf "$out/disk"
  mkdir -p "$out/disk"
  echo "This file came with the disk." > "$out/disk/readme"
  rm -f "$out/disk.img.new" && truncate -s 64M "$out/disk.img.new"
  /sbin/mke2fs -q -t ext4 -L armvisor -d "$out/disk" "$out/disk.img.new"
  mv "$out/disk.img.new" "$out/disk.img"
}

unpack_uefi() { # and no more of the package, which has 128 MiB
  dpkg-deb --fsys-tarfile "$(fetch qemu-efi-arm)" | tar -xO ./usr/share/AAVMF/AAVMF32_CODE.fd |
    dd conv=sparse bs=64K iflag=fullblock status=none of="$out/uefi.fd.new"
  mv "$out/uefi.fd.new" "$out/uefi.fd"
}
unpack_packages() {
  local flavour package dir
  prepare_apt
  : > "$stamp.new"
  for flavour in armmp armmp-lpae; do
    package=$(image_package "linux-image-$flavour")
    [ -n "$package" ] || fail "expected the package linux-image-$flavour in Debian's armhf lists, found none; see $out/apt/log and check the network"
    dir=$out/linux-$flavour
    rm -rf "$dir"
    dpkg-deb -x "$(fetch "$package")" "$dir"
    cp "$dir"/boot/vmlinuz-* "$out/zImage-$flavour"
    echo "$package" >> "$stamp.new"
  done
  rm -rf "$out/busybox" "$out/u-boot"
  dpkg-deb -x "$(fetch busybox-static)" "$out/busybox"
  dpkg-deb -x "$(fetch u-boot-qemu)" "$out/u-boot"
  cp "$out/u-boot/usr/lib/u-boot/qemu_arm/u-boot.bin" "$out/u-boot.bin"
  unpack_uefi
  mv "$stamp.new" "$stamp"
}

[ "${1:-}" = --refresh ] && rm -rf "$stamp" "$out/debs"
mkdir -p "$out"
[ -e "$stamp" ] && [ -e "$out/uefi.fd" ] || unpack_packages
if [ ! -e "$out/initrd.img" ] || [ ! -e "$out/initrd-pci.img" ] || [ guest/init -nt "$out/initrd.img" ] || [ guest/udhcpc.script -nt "$out/initrd.img" ] ||
  [ "$stamp" -nt "$out/initrd.img" ] || [ scripts/guest_assets.sh -nt "$out/initrd.img" ]; then
  tree=$out/initramfs
  rm -rf "$tree"
  mkdir -p "$tree"
  PATH=$PATH:/sbin:/usr/sbin
  for flavour in armmp armmp-lpae; do copy_modules "$out/linux-$flavour"; done
  make_initrd initrd.img
  modules+=("${pci_modules[@]}")
  for flavour in armmp armmp-lpae; do copy_modules "$out/linux-$flavour"; done
  make_initrd initrd-pci.img
fi
[ -e "$out/disk.img" ] || make_disk
