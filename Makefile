# Beanpole. `make help` lists what there is.

PORT     ?= 5000
FUZZTIME ?= 20s
EXAMPLE  ?= chat
GOLANGCI  = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

# The programs that the tests run, as Debian names them: command:package.
TOOLS = gcc:gcc node:nodejs npm:npm chromium:chromium redis-server:redis-server nginx:nginx haproxy:haproxy ip:iproute2 \
        javac:default-jdk-headless pip3:python3-pip iptables:iptables shellcheck:shellcheck

.DEFAULT_GOAL := help
.PHONY: help run test unit e2e clients browser lint fuzz tidy tools screenshots

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## run the chat at http://localhost:5000/ (PORT=…)
	PORT=$(PORT) BEANPOLE_DEVELOPMENT=true go run ./examples/chat

.PHONY: cluster
cluster: tools ## EXAMPLE (chat) as three servers behind HAProxy and Redis (PORT=…)
	PORT=$(PORT) go run ./examples/cluster $(EXAMPLE)

test: tools client venv ## everything: vet, unit, protocol, real clients, browser
	@test/all.sh

unit: ## the tests of the packages alone, in a minute
	go vet ./...
	go test -race $$(go list ./... | grep -v /test/)

.PHONY: loaded
loaded: tools client ## all tests beside busy programs, and with half a core: hours
	@test/loaded.sh

.PHONY: million
MODE ?= all
million: tools ## a million events between servers through each fault of Redis, in MODE (all, two hours): none lost, doubled or out of order
	BEANPOLE_EVENTS=1000000 go test -count=1 -timeout 5h -parallel 1 -run 'TestNothingIsMissed.*/^($(if $(filter all,$(MODE)),.*,$(MODE)))$$' -v ./adapter/redis/

.PHONY: rolling
FROM ?= ab88b8f
rolling: tools ## servers of the commit FROM (ab88b8f) replaced by those of this one, under traffic, in every mode: four minutes
	go test -count=1 -timeout 20m -v ./test/rolling/ -from $(FROM)

# One package at a time: each has servers, clients or a browser that want the processor for themselves.
e2e: tools ## the black-box tests: protocol, clients, Chromium
	go test -race -count=1 -p 1 -timeout 20m ./test/...

.PHONY: direct
direct: tools ## the Beanstalk variant without nginx in the path: what it saves (half a minute), and all tests of the emulated environment on it
	go test -count=1 -timeout 20m -v -run 'TestCompareDirect' ./test/e2e -compare
	go test -count=1 -timeout 20m ./test/e2e -direct

# The Rust client takes minutes to compile, and Debian's compiler is too old for it: the test fetches one then.
clients: TOOLS += pkg-config:pkg-config xz:xz-utils
clients: tools ## the clients of every language, and a table of what works where
	@pkg-config --exists openssl || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq libssl-dev; } >/dev/null
	@rm -f build/clients/*.txt; status=0; go test -count=1 -timeout 30m ./test/clients/ -rust || status=$$?; \
	  cat build/clients/*.txt; exit $$status

.PHONY: sim sim-sweep chaos sim-defects
SEED  ?= 1
N     ?= 1
SEEDS ?= 1-100
SIM   ?=
sim: ## a cluster simulated: SEED (1), N of them (1), SIM='-mode streams -faults cut -shrink'
	@cd test/sim && nice -n 15 go run . -seed "$(SEED)" -n "$(N)" $(SIM)

sim-sweep: ## the same with the seeds SEEDS (1-100), and what they contained: SIM='-mode all' each in each mode
	@cd test/sim && nice -n 15 go run . -seeds "$(SEEDS)" $(SIM)

chaos: ## the same with real connections, a real Redis, real time and the race detector: a minute for six seeds
	@cd test/sim && go run . -chaos -seed "$(SEED)" -n "$(N)" -jobs 6 -history ../../build/sim/history $(SIM)

sim-defects: ## plant faults in Beanpole, and see that the simulation finds each
	@cd test/sim && nice -n 15 go run . -defects -n 20

browser: ## the examples in Chromium alone
	go test -count=1 -timeout 20m -v ./test/browser/

lint: ## golangci-lint at the pinned version
	go run $(GOLANGCI) run

fuzz: ## every fuzz target for FUZZTIME (20s)
	@set -e; for pkg in $$(go list ./...); do \
	  for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$target"; \
	    go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; \
	done

.PHONY: release vulnerabilities
release: ## the command for six systems into build/release, with checksums and SBOMs; built twice and compared
	cd test/release && go run .

.PHONY: image docker-hosts nightly
image: TOOLS += buildah:buildah debootstrap:debootstrap
image: tools ## the image of the Dockerfile built by buildah, run as its user, asked for its health and stopped (APPLICATION=…)
	@APPLICATION=$(APPLICATION) test/image.sh

docker-hosts: tools ## two hosts whose containers have one address, and sessions forwarded between them, then all tests of the emulated environment on such hosts; fails where networks may not be made
	@mkdir -p build && go test -count=1 -v -run '^TestTwoDockerHosts$$' ./test/e2e | tee build/docker-hosts.txt; grep -q '^--- PASS' build/docker-hosts.txt
	go test -count=1 -timeout 20m ./test/e2e -hosts

APPLICATION ?= ./examples/chat
NIGHT ?=
nightly: ## environments in an account of AWS, made, changed, watched and deleted: hours, and dollars (docs/nightly.md)
	@mkdir -p build/bin && go build -o build/bin/beanpole ./cmd/beanpole
	@PATH="$$PWD/build/bin:$$PATH" test/account/nightly.sh $(NIGHT)

VULNCHECK = golang.org/x/vuln/cmd/govulncheck@v1.9.0
VULNDB   ?= https://vuln.go.dev
vulnerabilities: ## advisories that hold for what the code calls, by govulncheck (VULNDB=file:///… for a copy of the database)
	go run $(VULNCHECK) -db $(VULNDB) ./...

tidy: ## format the code, tidy go.mod
	gofmt -w $$(git ls-files '*.go')
	go mod tidy

screenshots: ## take the pictures of the README anew
	cd test/browser && npm ci --no-audit --no-fund
	go build -o build/examples/ ./examples/...
	cd test/browser && PROGRAMS=../../build/examples node screenshots.mjs ../../docs/images

# The client that tests run in Node.
.PHONY: client bundle
client:
	@[ -d node_modules/socket.io-client ] || npm ci --no-audit --no-fund --loglevel=error

bundle: client ## the client bundle that server/host has in itself, of the version that package.json names
	for f in socket.io.js socket.io.min.js socket.io.esm.min.js socket.io.msgpack.min.js; do \
	  gzip -9n <node_modules/socket.io-client/dist/$$f >server/host/client/$$f.gz; done
	cp node_modules/socket.io-client/LICENSE server/host/client/LICENSE

# The EB CLI and cfn-lint, against which tests of cmd/beanpole hold the bundle. Offline they do without; CI does not.
VENV_NEEDS = cmd/beanpole/internal/ebcli/requirements.txt
.PHONY: venv
venv: tools ## the EB CLI and cfn-lint into build/venv, for the tests that ask them
	@cmp -s $(VENV_NEEDS) build/venv/requirements.txt || { \
	  python3 -m venv --clear build/venv >/dev/null 2>&1 || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null && \
	    python3 -m venv --clear build/venv; }; \
	  build/venv/bin/pip install -q --disable-pip-version-check -r $(VENV_NEEDS) && cp $(VENV_NEEDS) build/venv/requirements.txt; } || \
	  { [ -z "$$CI" ] && echo "no EB CLI and no cfn-lint from PyPI: their tests are skipped"; }

# Installs what is missing of TOOLS, where apt-get is.
tools:
	@missing=""; for t in $(TOOLS); do command -v $${t%%:*} >/dev/null || missing="$$missing $${t##*:}"; done; \
	if [ -n "$$missing" ] && command -v apt-get >/dev/null; then \
	  echo "installing$$missing"; apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing >/dev/null; fi

# What bench-compare compares with: the last tag, or without one the first commit.
REF ?= $(shell git describe --tags --abbrev=0 2>/dev/null || git rev-list --max-parents=0 HEAD)
BENCHSTAT = golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da

.PHONY: bench bench-quick bench-compare bench-pgo
bench: tools ## Beanpole, Node, its strongest peers, the bare limit and zishang side by side: some 20 minutes, writes docs/performance.md
	cd test/bench && go run . -write

bench-quick: tools ## the same in short, some 5 minutes, writes nothing
	cd test/bench && go run . -quick

bench-pgo: tools ## the profile that the benchmark's server is built with
	rm -rf build/pgo && mkdir -p build/pgo
	cd test/bench && go run . -quick -servers beanpole -profile ../../build/pgo -only '^(echo|broadcast|websocket|polling|polling-echo|cycles)$$'
	go tool pprof -proto build/pgo/*.cpu > test/bench/servers/beanpole/default.pgo

bench-compare: ## the Go benchmarks in turn with those of REF, by benchstat: 3 minutes
	test/compare.sh $(REF)
	go run $(BENCHSTAT) build/before.txt build/after.txt
