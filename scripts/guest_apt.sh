# For the scripts that make the guest's files, which set $out and fail(): packages for armhf by apt with a state directory of
# its own, so that neither the host's package lists nor its architectures change.
sources() { # Debian's own repositories among those that the host uses
  apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 2>/dev/null |
    awk '$1 ~ /debian/ && $3 == "main" && !seen[$0]++ {print "deb [arch=armhf] " $1 " " $2 " " $3}'
}
own_apt() { # command arguments...
  local command=$1
  shift
  "$command" -q -o Dir::State="$out/apt/state" -o Dir::State::status="$out/apt/status" -o Dir::Cache="$out/apt/cache" \
    -o Dir::Etc::sourcelist="$out/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
    -o APT::Architecture=armhf -o APT::Architectures=armhf -o APT::Sandbox::User="$(id -un)" \
    -o APT::Get::List-Cleanup=false -o Acquire::Languages=none -o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false "$@"
}
prepare_apt() {
  mkdir -p "$out/apt/state/lists/partial" "$out/apt/cache/archives/partial" "$out/debs"
  : > "$out/apt/status"
  sources > "$out/apt/sources.list"
  [ -s "$out/apt/sources.list" ] ||
    fail "expected a Debian repository in /etc/apt/sources.list or /etc/apt/sources.list.d, found none; add one"
  # One list that cannot be read (a mirror being updated) is no reason to stop while the others name the packages.
  own_apt apt-get update > "$out/apt/log" 2>&1 || echo "some package lists could not be read" >&2
}
fetch() { # package: its .deb in $out/debs
  local deb
  deb=$(find "$out/debs" -name "${1}_*.deb" | head -n 1)
  if [ -z "$deb" ]; then
    (cd "$out/debs" && own_apt apt-get download "$1") >> "$out/apt/log" 2>&1 ||
      fail "could not download $1; see $out/apt/log"
    deb=$(find "$out/debs" -name "${1}_*.deb" | head -n 1)
  fi
  echo "$deb"
}
