# The commands of Sluice. Only Go is needed, but for `generate` (protoc) and `test-all` (see .ci/run).

GO ?= go
TESTS ?= ./...
# Servers (and the clients of mosquitto) that test-all must find; with node the public npm clients must run too.
REQUIRE ?= redis,postgres,nats,mosquitto

# How long one package may take on a machine that has other things to do.
PATIENCE ?= 14m

.PHONY: run build test test-all race race-engine generate verify fmt bench

run: build ## build and run everything in one process, with real recordings
	./bin/sluice serve --demo

build:
	$(GO) build -o bin/sluice ./cmd/sluice

test: ## every test that needs nothing but Go; says SKIP where a server is missing
	$(GO) test -timeout $(PATIENCE) $(TESTS)
	@$(MAKE) --no-print-directory race-engine

# The race detector needs a C compiler, and nothing else here does.
race-engine:
	@if [ "$$($(GO) env CGO_ENABLED)" = 1 ]; then $(GO) test -race -short ./graph/plan; else echo "SKIP the engine under -race: no C compiler"; fi

test-all: ## the same; a missing server is a failure
	SLUICE_TEST_REQUIRE=$(REQUIRE) $(GO) test -timeout $(PATIENCE) $(TESTS)
	@$(MAKE) --no-print-directory race-engine

race:
	$(GO) test -race $(TESTS)

generate: ## make all generated code anew; needs protoc
	./scripts/generate

verify: ## fail when generated code is stale, or the tree is not formatted, linted, tidy or layered
	./scripts/verify

bench: ## what the gateway costs, as ratios to limits measured in the same run; fails where a bar is missed by far
	$(GO) test -run '^$$' -bench . -benchtime 1x -timeout 20m -p 1 ./bench/...

fmt:
	gofmt -w $$(git ls-files '*.go')
