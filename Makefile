# `make test` sets up everything on a fresh machine with Python 3.11, pip and venv, and passes the tests.
# `make demo` shows an engine with a database on it that survives the death of a node; `make bench` measures.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: test check tests packages demo bench clean
.DEFAULT_GOAL := test

test: packages check tests

$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

packages: ## Debian packages that tests, demo and benchmarks want; without them those tests skip
	@bash .ci/packages

check: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

tests: $(INSTALLED)
	$(BIN)/pytest $(PYTEST_OPTIONS)

demo: packages $(INSTALLED)
	$(BIN)/python -m demo.story $(DEMO_OPTIONS)

bench: packages $(INSTALLED)
	$(BIN)/python -m bench $(BENCH_OPTIONS)

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
