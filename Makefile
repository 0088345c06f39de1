# Everything a newcomer needs: `make up`, then kubectl; `make down` when done.
SHELL := /bin/bash
# Where the cluster keeps everything.
DATA ?= /var/lib/impresario
# Further arguments for `impresario up`, such as --api-port 7443.
UP_FLAGS ?=
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
BINARY := target/release/impresario

# Property tests draw the same inputs every time here; `make soak` draws new ones.
test unit: export PROPTEST_RNG_SEED ?= 20261121

.DEFAULT_GOAL := help
.PHONY: help up down test unit e2e lint fuzz soak crashwalk bench release tools

help: ## Say what can be made.
	@grep -hE '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9]+):.*## /make \1\t/' | expand -t 14

up: release ## Start a single-node cluster with the quickstart application.
	@scripts/install.sh run
	$(SUDO) $(BINARY) up --data-dir $(DATA) --quickstart $(UP_FLAGS)

down: release ## Stop it. `make down PURGE=1` removes its pods, network and data too.
	$(SUDO) $(BINARY) down --data-dir $(DATA) $(if $(PURGE),--purge)

test: lint unit e2e ## Everything that must be green: format, lints, unit tests, end-to-end tests (needs root).

unit: ## The tests beside the code.
	@scripts/install.sh build run test
	cargo test --locked --workspace --lib --bins

e2e: tools ## The tests against the real binary, real containers and every stock kubectl and client found.
	@scripts/install.sh build run test
	cargo test --locked --test integration

lint: ## Format, clippy with warnings denied, licences when cargo-deny is there.
	@scripts/install.sh build
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	@if command -v cargo-deny >/dev/null; then cargo deny check licenses bans; else \
	  echo "cargo-deny is not installed: licences are checked by the tests, bans are not"; fi

fuzz: ## Ten million bad inputs: COUNT, SEED, FIRST and THREADS are variables, see docs/fuzzing.md.
	@scripts/install.sh build
	FUZZ_COUNT=$(or $(COUNT),10000000) FUZZ_SEED=$(or $(SEED),2) FUZZ_FIRST=$(or $(FIRST),0) FUZZ_THREADS=$(or $(THREADS),2) \
	  cargo test --locked --profile fuzz --workspace --lib fuzz::long_run -- --ignored --nocapture

soak: ## The property tests with CASES new inputs each (an hour or more). A failing input is shown at its smallest.
	@scripts/install.sh build
	PROPTEST_CASES=$(or $(CASES),20000) cargo test --locked --workspace --lib -- \
	  convergence property converge limits_hold updates_keep never_ no_rule_is nothing_is_given twice_is applying_twice text_round

crashwalk: ## End the server before every single write of every scene, one after the other (some minutes; needs root).
	@scripts/install.sh build run test
	IMPRESARIO_CRASH_WALK=all cargo test --locked --test integration crash_walk -- --nocapture

bench: release ## Measure the API of the running cluster.
	$(SUDO) $(BINARY) bench api --kubeconfig $(DATA)/admin.kubeconfig

release:
	@scripts/install.sh build
	cargo build --locked --release

tools:
	@scripts/kubectl.sh
	@scripts/clients.sh
