# make test   sets everything up and passes the tests, on a machine that has Python 3.11 and nothing else
# make demo   sets everything up and shows the engine on real parts
# make bench  measures it beside its yardstick
# make drills SEEDS=1000   many more simulated drills

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SEEDS ?= 1000

.PHONY: setup system check test demo bench drills clean

setup: $(VENV)/.installed system

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed (PYTHON=...)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

system:
	@sh tools/system-packages.sh

check: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: setup check
	PYTHONHASHSEED=0 $(BIN)/python -m pytest -q

demo: setup
	$(BIN)/python -m demo.story

bench: setup
	$(BIN)/python -m bench

drills: $(VENV)/.installed
	PYTHONHASHSEED=0 $(BIN)/python -m tests.embedded.simulation --seeds $(SEEDS)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
