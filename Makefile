# oneshelf: "make" alone lists what there is.
.DEFAULT_GOAL := help
SHELL := /bin/sh
BIN := .venv/bin
ARGS ?=
# One more than cores: many tests wait for engines that run as programs.
WORKERS ?= 3
EXAMPLES ?= 100
SEEDS ?= 1-8
STEPS ?= 1000000

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ready-to-run ## the engine on its own database, with simulated channels and shoppers (ARGS="--seconds 60")
	@$(BIN)/oneshelf demo $(ARGS)

.PHONY: test
test: check ## format, lint, types, import contracts, and all tests but the long ones (ARGS="-k mug")
	$(BIN)/pytest -n $(WORKERS) --dist worksteal --leave-out long $(ARGS)

.PHONY: test-long
test-long: ready-to-test ## the tests that "make test" leaves out (ARGS="tests/storage")
	$(BIN)/pytest -n $(WORKERS) --dist worksteal --leave-out short $(ARGS)

.PHONY: test-all
test-all: check ## "make test" with the long tests (ARGS="tests/simulation/cluster")
	$(BIN)/pytest -n $(WORKERS) --dist worksteal $(ARGS)

.PHONY: check
check: ready-to-test ## format, lint and types only
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

.PHONY: format
format: ready-to-test ## lay out the code and mend what lint can mend
	$(BIN)/ruff check --fix --select I
	$(BIN)/ruff format

.PHONY: bench
bench: ready-to-run ## measure the hot paths (ARGS="--help")
	@$(BIN)/python -m benchmarks $(ARGS)

.PHONY: demos
demos: ready-to-run ## the demo with ten seeds, one after the other; what came of it is in benchmarks/README.md (ARGS="--seeds 1-3")
	@$(BIN)/python -m benchmarks.demos $(ARGS)

.PHONY: simulate
simulate: ready-to-test ## the long proofs: ledgers, kills, races, days under faults (SEEDS=1-8 STEPS=1000000 ARGS="--help")
	@PYTHONPATH=tests:. $(BIN)/python -m simulation --seeds $(SEEDS) --steps $(STEPS) --workers $(WORKERS) $(ARGS)

.PHONY: schema
schema: ready-to-test ## draw many more requests from /openapi.json than "make test" does (EXAMPLES=100 for each route and kind)
	ONESHELF_SCHEMA_EXAMPLES=$(EXAMPLES) $(BIN)/pytest -n $(WORKERS) --dist worksteal tests/web/bad_input/test_schema.py $(ARGS)

.PHONY: evidence
evidence: ready-to-test ## write docs/explanation/evidence.md from the reports of the last simulations
	@PYTHONPATH=tests:. $(BIN)/python -m simulation.evidence

.PHONY: lock
lock: ready-to-test ## write requirements/*.txt from the .in files (ARGS="--upgrade" for the newest of all)
	@requirements/lock $(ARGS)

.PHONY: clean
clean: ## remove .venv and the caches; data in .oneshelf stays
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist

.PHONY: ready-to-run ready-to-test
ready-to-run:
	@requirements/set-up run
ready-to-test:
	@requirements/set-up dev
