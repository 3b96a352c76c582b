#!/usr/bin/env bash
# Every test, once: the packages side by side, then the black-box tests, two packages at a time: each has servers,
# clients or a browser, which wait for one another for more than half of their time.
#
# A failure is a failure. A test that fails now and then, or on a busy machine alone, is a fault of the product
# or of the test, and is mended as such; test/loaded.sh finds them.
set -uo pipefail
cd "$(dirname "$0")/.."

go vet ./... || exit 1
status=0
go test -race -count=1 -timeout 15m $(go list ./... | grep -v /test/) || status=1
go test -race -count=1 -p 2 -timeout 20m ./test/... || status=1
# The simulation is a module of its own, and its seeds are no matter of luck: what fails fails again.
(cd test/sim && go vet ./... && go test -count=1 -timeout 20m ./...) || status=1
exit $status
