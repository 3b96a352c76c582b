#!/usr/bin/env bash
# Every test, once, two packages at a time: each has servers, clients or a browser, which wait for one another for more
# than half of their time. Those that take longest begin first, so that none is left alone at the end. What only computes,
# go vet and the simulation, gets the processor while the others wait, and is shown behind them.
#
# A failure is a failure. A test that fails now and then, or on a busy machine alone, is a fault of the product
# or of the test, and is mended as such; test/loaded.sh finds them.
set -uo pipefail
cd "$(dirname "$0")/.."

longest="./test/browser ./adapter/redis ./test/e2e ./test/clients ./test/protocol ./server ./cmd/beanpole/..."

beside=$(mktemp)
set -m # a group of its own, which ends with this script
(
  status=0
  nice -n 5 go vet ./... || status=1
  # Where an int has 32 bits: what is no int there does not compile.
  for arch in 386 arm; do GOARCH=$arch nice -n 5 go vet ./... || status=1; done
  # Modules of their own. The simulation's seeds are no matter of luck: what fails fails again.
  (cd test/routers && nice -n 5 go vet ./... && nice -n 5 go test -race -vet=off -count=1 -timeout 10m ./...) || status=1
  { cd test/sim && nice -n 5 go vet ./... && nice -n 5 go test -vet=off -count=1 -timeout 40m ./...; } || status=1
  exit $status
) >"$beside" 2>&1 &
computing=$!
set +m
trap 'kill -- -"$computing" 2>/dev/null; rm -f "$beside"' EXIT

status=0
# shellcheck disable=SC2086 # a list
go test -race -vet=off -count=1 -p 2 -timeout 20m $longest ./... || status=1
wait $computing || status=1
cat "$beside"
exit $status
