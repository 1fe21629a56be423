# make test: does it work? make check: is it in order? CI runs both. make help lists the rest.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

# Every module but the linter's. Each is tested with the versions that its own go.mod asks for, as its users get them.
MODULES  := $(sort $(patsubst ./%,%,$(patsubst %/go.mod,%,$(shell find . -name go.mod -not -path './tools/*' -not -path '*/node_modules/*'))))
export GOWORK := off
# Otherwise each process that was built with the race detector waits a second before it ends, for races of its last moment. The tests start hundreds.
export GORACE ?= atexit_sleep_ms=50
FUZZTIME ?= 3s
NEWEST_GIN ?= v1.12.0

.PHONY: help test check build vet cross unit setup fmt lint alloc gin-newest fuzz bench-short short e2e screenshots kill bench cover $(addprefix unit@,$(MODULES))

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

test: ## build, vet and test every module with the race detector
	@echo "make test: builds, vets and tests $(words $(MODULES)) modules with the race detector, which takes some minutes;"
	@echo "installs gcc and PostgreSQL first if they are missing (Debian, as root)"
	@begin=$$SECONDS; $(MAKE) --no-print-directory setup build vet unit; echo "make test: all passed in $$((SECONDS - begin)) s"

check: ## linter, formatting, allocations, the newest Gin, the status page in a browser, each fuzz target and benchmark for a moment
	@begin=$$SECONDS; $(MAKE) --no-print-directory fmt lint alloc gin-newest e2e fuzz bench-short; echo "make check: all passed in $$((SECONDS - begin)) s"

setup: ## install a C compiler (for the race detector) and PostgreSQL, if they are missing (Debian, as root)
	@scripts/setup.sh

# With the race detector too, as the tests are: so all is compiled once. Without the commit: git tells it only to the owner of the clone.
build: ## build every module
	@for m in $(MODULES); do echo "== build $$m"; go -C $$m build -race -buildvcs=false -o /dev/null ./...; done

vet: ## go vet every module
	@for m in $(MODULES); do echo "== vet $$m"; go -C $$m vet -race ./...; done

# Not in make check: without a cache it compiles everything three times, which takes minutes.
cross: ## go vet every module for Windows, macOS, FreeBSD and 32 bits, as before a release
	@for t in windows/amd64 darwin/arm64 freebsd/amd64 linux/386; do for m in $(MODULES); do echo "== vet $$m for $$t"; GOOS=$${t%/*} GOARCH=$${t#*/} go -C $$m vet ./...; done; done

# Without the few checks of go vet that go test makes by itself: make vet has made all.
unit: ## the tests of every module, with the race detector; riverqueue's wait for a database most of the time
	@echo "== test two modules at a time; what a module prints comes when it has ended"
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target $(addprefix unit@,riverqueue $(filter-out riverqueue,$(MODULES)))

$(addprefix unit@,$(MODULES)): unit@%:
	@echo "== test $*"; go -C $* test -race -vet=off -timeout 30m ./...

fmt: ## fail if gofmt would change a file
	@files=$$(gofmt -l .); if [ -n "$$files" ]; then echo "gofmt would change:"; echo "$$files"; exit 1; fi

lint: ## golangci-lint (the first run builds it: some minutes)
	@mkdir -p bin; echo "== build golangci-lint"
	@go -C tools build -o ../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@for m in $(MODULES); do echo "== lint $$m"; (cd $$m && $(CURDIR)/bin/golangci-lint run --config $(CURDIR)/.golangci.yml ./...); done

alloc: ## the allocations of a request and the memory of a backfill, which are exact only without the race detector
	@echo "== allocations"; go test -count=1 -run Alloc . ./nethttpadapter ./ginadapter
	@echo "== memory of a backfill"; go test -count=1 -run AMillionRows ./backfill; go -C cmd/fprom test -count=1 -run AMillionRows .

gin-newest: ## test the Gin adapter with the newest Gin as well
	@scripts/gin-newest.sh $(NEWEST_GIN)

fuzz: ## each fuzz target for FUZZTIME
	@scripts/fuzz.sh $(FUZZTIME)

bench-short: ## run every benchmark of bench once and small, so that none rots; the figures mean nothing
	@echo "== benchmarks, short"; go -C bench test -run '^$$' -bench . -short -timeout 10m . >/dev/null

short: ## the quick tests of the root module, about a minute
	go test -short ./...

e2e: ## the status page in Debian's Chromium, which is installed if it is missing (as root)
	@scripts/setup.sh chromium
	@echo "== the status page in a browser"; go -C e2e test -tags e2e -count=1 -timeout 10m ./...

screenshots: ## take the pictures of docs/operations.md anew
	@scripts/setup.sh chromium
	FPROM_SCREENSHOTS=$(CURDIR)/docs/images go -C e2e test -tags e2e -count=1 -run Screenshots ./...

kill: setup ## the long tests: 500 times SIGKILL of a shop, three replicas and their PostgreSQL, 240 bad events before the others
	FPROM_KILLS=500 go test -timeout 60m -run Kill -v ./boltqueue
	FPROM_KILL_LIMIT=400 FPROM_KILL_SALES=1024 go -C riverqueue test -timeout 15m -run TestKill -v .
	FPROM_BAD_EVENTS=long go -C riverqueue test -timeout 15m -run TestBadEvents -v .

bench: ## the benchmarks against peers and floors, side by side (quiet machine, about a quarter of an hour)
	go -C bench test -run '^$$' -bench . -timeout 30m .
	go -C riverqueue test -run '^$$' -bench . -benchtime=1x -timeout 30m .

cover: ## coverage of the root module
	go test -coverpkg=./... -coverprofile=cover.out ./... && go tool cover -func=cover.out | tail -1
