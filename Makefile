# The commands of Sluice. They need only Go, except generate (protoc) and test-all (see .ci/run).

GO ?= go
TESTS ?= ./...
# The servers and clients that test-all must find. With node, the public npm clients must run too.
REQUIRE ?= redis,postgres,nats,mosquitto

# The time limit for the tests of one package on a busy machine.
TEST_TIMEOUT ?= 14m

.PHONY: run build test test-all race race-engine generate verify fmt bench chaos fuzz-devices

run: build ## build and run everything in one process, with real recordings
	./bin/sluice serve --demo

build:
	$(GO) build -o bin/sluice ./cmd/sluice

test: ## every test that needs only Go; says SKIP where a server is missing
	$(GO) test -timeout $(TEST_TIMEOUT) $(TESTS)
	@$(MAKE) --no-print-directory race-engine

# The race detector needs a C compiler. The other commands do not.
race-engine:
	@if [ "$$($(GO) env CGO_ENABLED)" = 1 ]; then $(GO) test -race -short ./graph/plan; else echo "SKIP the engine under -race: no C compiler"; fi

test-all: ## the same; a missing server is a failure
	SLUICE_TEST_REQUIRE=$(REQUIRE) $(GO) test -timeout $(TEST_TIMEOUT) $(TESTS)
	@$(MAKE) --no-print-directory race-engine

race: ## all tests under the race detector
	$(GO) test -race -timeout 30m $(TESTS)

generate: ## regenerate all generated code; needs protoc
	./scripts/generate

verify: ## fail when generated code is stale, or the tree is not tidy, formatted, vetted, linted or layered
	./scripts/verify

bench: ## ratios to limits of the same run; fails where a bar is missed by more than half
	$(GO) test -run '^$$' -bench . -benchtime 1x -timeout 20m -p 1 ./bench/...

chaos: ## devices under abuse, a killed process, an outage of the database, an upgrade, at full size
	SLUICE_CHAOS=whole $(GO) test -count 1 -v -timeout 30m ./e2e/chaos

FUZZ_TIME ?= 4m
fuzz-devices: ## packets and payloads of devices, over a socket
	for f in FuzzConnect FuzzPublish FuzzSubscribe FuzzProperties; do $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZ_TIME) ./services/device/ingress || exit 1; done

fmt:
	gofmt -w $$(git ls-files '*.go')
