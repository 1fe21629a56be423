# make test is everything that CI runs; make help lists the rest.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

MODULES  := . riverqueue bench examples/acmepay examples/replicas
FUZZTIME ?= 5s
NEWEST_GIN ?= v1.12.0
# Each module is tested with the versions that its own go.mod asks for, as its users get them.
export GOWORK := off

.PHONY: help test build vet fmt lint unit setup gin-newest fuzz short kill bench-short bench cover

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

test: build vet fmt lint unit gin-newest fuzz bench-short ## all checks and tests; what CI runs
	@echo "make test: all passed"

build: ## build every module
	@for m in $(MODULES); do echo "== build $$m"; go -C $$m build ./...; done

vet: ## go vet every module
	@for m in $(MODULES); do echo "== vet $$m"; go -C $$m vet ./...; done

fmt: ## fail if gofmt would change a file
	@files=$$(git ls-files '*.go' | xargs -r gofmt -l); if [ -n "$$files" ]; then echo "gofmt would change:"; echo "$$files"; exit 1; fi

lint: ## golangci-lint (the first run builds it: some minutes)
	@mkdir -p bin; echo "== build golangci-lint"
	@go -C tools build -o ../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@for m in $(MODULES); do echo "== lint $$m"; (cd $$m && $(CURDIR)/bin/golangci-lint run --config $(CURDIR)/.golangci.yml ./...); done

unit: setup ## the tests of every module, with the race detector, in random order
	@for m in $(MODULES); do echo "== test $$m"; go -C $$m test -race -shuffle=on -timeout 15m ./...; done
	@echo "== allocations (exact only without the race detector)"; go test -count=1 -run Alloc . ./nethttpadapter ./ginadapter

setup: ## install a C compiler (for the race detector) and PostgreSQL, if they are missing (Debian)
	@scripts/setup.sh

gin-newest: ## test the Gin adapter with the newest Gin as well
	@scripts/gin-newest.sh $(NEWEST_GIN)

short: ## the quick tests, under a minute
	go test -short ./...

fuzz: ## each fuzz target for FUZZTIME
	@scripts/fuzz.sh $(FUZZTIME)

kill: setup ## the long crash tests: 500 times SIGKILL of a shop, three replicas and their PostgreSQL
	FPROM_KILLS=500 go test -timeout 60m -run Kill -v ./boltqueue
	FPROM_KILL_LIMIT=400 FPROM_KILL_SALES=1024 go -C riverqueue test -timeout 15m -run TestKill -v .

bench-short: ## run every benchmark once and small, so that none rots; the figures mean nothing
	@echo "== benchmarks, short"; go -C bench test -run '^$$' -bench . -short -timeout 10m . >/dev/null

bench: ## the benchmarks against peers and floors, side by side (quiet machine, about 10 minutes)
	go -C bench test -run '^$$' -bench . -timeout 30m .
	go -C riverqueue test -run '^$$' -bench . -benchtime=1x -timeout 30m .

cover: ## coverage of the root module
	go test -coverpkg=./... -coverprofile=cover.out ./... && go tool cover -func=cover.out | tail -1
