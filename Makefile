# `make test` sets up everything on a fresh machine with Python 3.11, pip and venv, and passes the tests.
# `make demo` shows an engine with a database on it that survives the death of a node; `make bench` measures.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Whoever has this set pays for it at every start of a process: thousands of them are started here.
unexport PYTHONDONTWRITEBYTECODE

# Tests with real processes mostly wait for them: two for each processor, and no more than six in all.
WORKERS ?= $(shell cpus=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1); echo $$(( cpus > 3 ? 6 : 2 * cpus )))

.PHONY: setup test check tests packages demo bench drills clean
.DEFAULT_GOAL := test

test: packages check tests

# Python compiles what it needs when it needs it: all that comes along takes half of the installation's time.
$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --editable '.[dev]'
	@touch $@

setup: packages $(INSTALLED)

packages: ## Debian packages that tests, demo and benchmarks want; without them those tests skip
	@bash .ci/packages

check: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

tests: $(INSTALLED)
	$(BIN)/pytest --numprocesses=$(WORKERS) --dist=loadfile --no-loadscope-reorder $(PYTEST_OPTIONS)

demo: packages $(INSTALLED)
	$(BIN)/python -m demo.story $(DEMO_OPTIONS)

bench: packages $(INSTALLED)
	$(BIN)/python -m bench $(BENCH_OPTIONS)

drills: $(INSTALLED) ## many more simulated drills: make drills SEEDS=1000 MONTHS=20
	PYTHONHASHSEED=0 $(BIN)/python -m tests.embedded.simulation --seeds $(or $(SEEDS),1000)
	$(BIN)/python -m tests.simulation --seeds $(or $(SEEDS),1000)
	$(BIN)/python -m tests.simulation --remedies --seeds $(or $(SEEDS),1000)
	$(BIN)/python -m tests.simulation --months 1 --seeds $(or $(MONTHS),20)

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
