#!/bin/bash
# Installs the packages of scripts/packages.txt that are missing. Does nothing, quickly, when all are there.
# usage: scripts/install_packages.sh [--tests]
set -euo pipefail
cd "$(dirname "$0")/.."

last='/^# to test/Q;'
[ "${1:-}" = --tests ] && last=
mapfile -t wanted < <(sed "$last s/#.*//" scripts/packages.txt | awk 'NF {print $1}')
missing=()
for package in "${wanted[@]}"; do
  dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^.i' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo > /dev/null; then
    echo "install_packages: expected root or sudo to install: ${missing[*]}; run as root: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
echo "Installing: ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get -q update >&2
"${as_root[@]}" apt-get -q -y --no-install-recommends install "${missing[@]}" >&2
