# What a contributor runs. CI runs the same words.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)

.PHONY: demo test test-short lint chaos limits bench microbench fuzz schema build docker

demo: ## The main job on one machine, with nothing but Go.
	go run ./cmd/hookproxy demo

test: ## Everything, with the race detector; and what is built otherwise for it (internal/socket).
	go test -race ./...
	go test ./internal/socket ./internal/http1 ./proxy

test-short: ## What a save deserves.
	go test -short ./...

lint:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "gofmt these"; exit 1; }
	go vet ./...
	go mod tidy -diff

bench: ## Beside nginx, HAProxy, Caddy, asynq; writes bench/RESULTS.md, in under 15 min.
	sh bench/peers.sh
	go run ./bench

microbench: ## Figures with allocations; compare ratios within one run.
	go test -run '^$$' -bench . -benchmem ./...

SEED ?= 0
SEEDS ?= 10
CHAOSTIME ?= 60s
chaos: ## Everything killed while clients write; the account at the end. SEED=7 SEEDS=1 runs one again.
	go test -count 1 -v -timeout 60m -run TestNothingIsLostWhateverDies ./internal/chaos \
	  -args -chaos.for $(CHAOSTIME) -chaos.seed $(SEED) -chaos.seeds $(SEEDS)

limits: ## The figures of docs/limits.md.
	go test -count 1 -v -timeout 20m -run 'TestMemory' ./internal/chaos -args -chaos.limits 1

FUZZTIME ?= 30s
fuzz: ## Each fuzz target for a while.
	@set -e; for package in $$(go list ./...); do \
	  for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
	    echo "$$package $$target"; go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$package; \
	  done; \
	done

schema: ## The JSON Schema of rules.yaml, kept for editors.
	go run ./cmd/hookproxy schema > examples/rules.schema.json.new
	mv examples/rules.schema.json.new examples/rules.schema.json

build: ## One static binary in bin/.
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.release=$(VERSION)" -o bin/hookproxy ./cmd/hookproxy

docker:
	docker build --build-arg VERSION=$(VERSION) -t hookproxy:$(VERSION) .
