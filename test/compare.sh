#!/usr/bin/env bash
# The Go benchmarks of another commit and of this tree, in turn, since what else the machine does would be taken
# for a difference otherwise. Arguments: the commit. Leaves build/before.txt and build/after.txt for benchstat.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=6
rm -rf build/compare && mkdir -p build/compare/before build/compare/bin
git archive "$1" | tar -x -C build/compare/before
: > build/before.txt
: > build/after.txt
packages=(server server/packet transport)
for p in "${packages[@]}"; do
  go test -c -o "build/compare/bin/after-${p//\//-}" "./$p"
  (cd build/compare/before && go test -c -o "../bin/before-${p//\//-}" "./$p") || echo "no $p in $1" >&2
done
bin=$PWD/build/compare/bin
for ((i = 0; i < rounds; i++)); do
  for p in "${packages[@]}"; do
    for side in before after; do
      dir=$p
      [ "$side" = before ] && dir=build/compare/before/$p
      [ -x "$bin/$side-${p//\//-}" ] || continue
      (cd "$dir" && "$bin/$side-${p//\//-}" -test.run '^$' -test.bench . -test.benchmem -test.benchtime 0.2s) >> "build/$side.txt" || echo "$side of $p failed" >&2 # a panic of an old benchmark
    done
  done
done
