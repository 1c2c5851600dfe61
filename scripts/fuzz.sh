#!/bin/sh
# Runs every fuzz target for some seconds each, from the seeds in fuzz/corpus.
#   scripts/fuzz.sh [SECONDS [TARGET...]]      (default: 20 seconds, all targets)
# New inputs are kept in build/fuzz/corpus; a crash leaves its input in build/fuzz/crashes and ends the script with 1.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
seconds=${1:-20}
[ $# -gt 0 ] && shift
cd "$root"
cmake --preset fuzz >/dev/null
if [ $# -eq 0 ]; then
  set -- $(ls fuzz/fuzz_*.cpp | sed 's|.*/||; s|\.cpp$||')
fi
cmake --build build/fuzz --target "$@"
mkdir -p build/fuzz/crashes
status=0
for target in "$@"; do
  mkdir -p "build/fuzz/corpus/$target" "fuzz/corpus/$target"
  echo "== $target, $seconds s"
  "build/fuzz/fuzz/$target" "build/fuzz/corpus/$target" "fuzz/corpus/$target" -max_total_time="$seconds" -timeout=10 \
    -rss_limit_mb=2048 -artifact_prefix="build/fuzz/crashes/$target-" -print_final_stats=1 2>"build/fuzz/$target.log" ||
    { status=1; tail -n 40 "build/fuzz/$target.log"; continue; }
  grep -E 'stat::number_of_executed_units|cov:' "build/fuzz/$target.log" | tail -n 2
done
exit $status
