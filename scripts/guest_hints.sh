#!/bin/bash
# Builds guest/hints, the Linux module with armvisor's hypercalls, for the kernels that scripts/guest_assets.sh fetched,
# and an initial RAM disk with it: build/guest/hints/initrd.img. The kernels' headers and the build tools come from
# Debian's archive and are unpacked in build/guest/hints; nothing is installed.
# usage: scripts/guest_hints.sh
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
out=$root/build/guest
hints=$out/hints

fail() {
  echo "guest_hints: $*" >&2
  exit 1
}
. scripts/guest_apt.sh

for tool in make arm-linux-gnueabihf-gcc; do
  command -v $tool > /dev/null || fail "expected $tool, found none; scripts/install_packages.sh --tests installs it"
done
scripts/guest_assets.sh
mkdir -p "$hints"
exec 9> "$hints/.lock"
flock 9
PATH=$PATH:/sbin:/usr/sbin

unpack_headers() { # image-package: its headers, as a tree that needs no root and no fixed place
  local headers=${1/image/headers} tree=$hints/headers package
  mkdir -p "$tree"
  [ -e "$tree/.$headers" ] && return
  [ -s "$out/apt/sources.list" ] || prepare_apt
  for package in "$headers" "$(echo "$headers" | sed 's/-armmp.*/-common/')"; do
    dpkg-deb -x "$(fetch "$package")" "$tree"
  done
  sed -i "s#include /usr/src/#include $tree/usr/src/#" "$tree/usr/src/$headers/Makefile"
  touch "$tree/.$headers"
}
unpack_kbuild() { # image-package: the programs of the host's architecture that a module's build runs
  local tree=$hints/headers package deb
  package=linux-kbuild-$(echo "${1#linux-image-}" | cut -d. -f1-2)
  [ -e "$tree/usr/lib/$package" ] && return
  (cd "$out/debs" && apt-get -q download "$package") >> "$out/apt/log" 2>&1 ||
    fail "could not download $package; see $out/apt/log"
  deb=$(find "$out/debs" -name "${package}_*_$(dpkg --print-architecture).deb" | head -n 1)
  dpkg-deb -x "$deb" "$tree"
}
build_module() { # image-package: the module in the tree of the initial RAM disk
  local version=${1#linux-image-} work
  work=$hints/build-$version
  mkdir -p "$work"
  cp guest/hints/* "$work/"
  make -s -C "$hints/headers/usr/src/linux-headers-$version" M="$work" ARCH=arm CROSS_COMPILE=arm-linux-gnueabihf- \
    CC=arm-linux-gnueabihf-gcc modules
  install -D -m 644 "$work/armvisor_hints.ko" "$hints/initramfs/lib/modules/$version/extra/armvisor_hints.ko"
  depmod -b "$hints/initramfs" "$version" 2> /dev/null # it warns of lists that we leave out
}

if [ -e "$hints/initrd.img" ] && [ "$hints/initrd.img" -nt "$out/initrd.img" ] &&
  [ -z "$(find guest/hints scripts/guest_hints.sh -newer "$hints/initrd.img")" ]; then
  exit 0
fi
rm -rf "$hints/initramfs"
cp -a "$out/initramfs" "$hints/initramfs"
while read -r image; do
  unpack_kbuild "$image"
  unpack_headers "$image"
  build_module "$image"
done < "$out/.packages"
(cd "$hints/initramfs" && find . -print0 | LC_ALL=C sort -z |
  cpio --null --quiet --create --format=newc --owner=0:0 | gzip -9 -n > "$hints/initrd.img.new")
mv "$hints/initrd.img.new" "$hints/initrd.img"
