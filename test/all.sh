#!/usr/bin/env bash
# Every test: the packages side by side, then the black-box tests one package at a time, since each has
# servers, clients or a browser that want the processor for themselves.
#
# A package that fails is run once more when all else is done, alone, and fails for good if it fails then.
# Several tests drive a browser, nginx, HAProxy and Redis in real time, and on a machine of two busy cores
# one of them now and then waits longer than its patience. What failed the first time stays in the output,
# and its name is printed at the end, so that a test which needs this often is seen and mended.
set -uo pipefail
cd "$(dirname "$0")/.."
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT

go vet ./... || exit 1
packages=$(go list ./... | grep -v /test/)
go test -race -timeout 15m $packages 2>&1 | tee "$log/unit"
go test -race -count=1 -p 1 -timeout 20m ./test/... 2>&1 | tee "$log/box"
# The simulation is a module of its own, and its seeds are no matter of luck: what fails fails again.
(cd test/sim && go vet ./... && go test -count=1 -timeout 20m ./...) || exit 1

failed=$(sed -nE 's/^FAIL[[:space:]]+(github\.com[^[:space:]]+).*/\1/p' "$log/unit" "$log/box" | sort -u)
if [ -z "$failed" ]; then
  # No package failed; did both runs run?
  grep -q '^ok' "$log/unit" && grep -q '^ok' "$log/box" && exit 0
  echo "no tests were run" >&2
  exit 1
fi
echo "once more, alone:" $failed
go test -race -count=1 -p 1 -timeout 20m $failed
status=$?
echo "failed when run with the others:" $failed
exit $status
