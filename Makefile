# `make` lists what can be made. Each target makes .venv and installs what it needs, once; what works is quiet.
# Without make: the README has the same as plain pip lines.

PYTHON ?= python3
BIN := .venv/bin
STAMPS := .venv/.installed
# Extra arguments: make test ARGS="tests/test_cli.py -x"
ARGS ?=
# Processes that share the tests, a file each at a time; make test WORKERS=0 runs them one after the other, as -x wants.
WORKERS ?= auto

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test lint docs notebooks bench parity clean

help:
	@echo "make demo       a GPT trained on two MPI processes, and the staleness picture; about three minutes"
	@echo "make test       all tests: unit, doctest, simulated, and under mpirun on 2, 3 and 4 ranks"
	@echo "make lint       ruff, and mypy --strict on both packages"
	@echo "make docs       the documentation, into docs/_build/html"
	@echo "make notebooks  run every notebook from top to bottom"
	@echo "make bench      the benchmarks (they measure; they never fail a build)"
	@echo "make parity     compare with PyTorch, which only this and bench install"
	@echo "make clean      remove what the others made, but keep .venv"
	@echo "Options: PYTHON=python3.12 (the Python that makes .venv), ARGS=... (more arguments for test),"
	@echo "WORKERS=0 (tests one after the other; otherwise as many processes as there are cores)."

demo: $(STAMPS)/base
	@$(BIN)/minigrad demo

test: $(STAMPS)/test
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

lint: $(STAMPS)/test $(STAMPS)/dev
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy

docs: $(STAMPS)/docs
	@$(BIN)/python -m sphinx -W --keep-going -q docs docs/_build/html
	@$(BIN)/python docs/check_links.py docs/_build/html
	@echo "docs/_build/html/index.html"

# A notebook is one test: the limit is for all of it.
notebooks: $(STAMPS)/test $(STAMPS)/dev
	@$(BIN)/python -m pytest --nbmake --nbmake-timeout=300 -o timeout=600 notebooks

bench: $(STAMPS)/test
	@for script in tests/benchmarks/*/run.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

# PyTorch lives in an environment of its own: nothing else may come to depend on it.
parity: .venv-parity/.installed
	@.venv-parity/bin/python -m pytest tests/parity --parity-table docs/parity.md

.venv-parity/.installed: setup.cfg pyproject.toml
	@echo "making .venv-parity with PyTorch"
	@$(PYTHON) -m venv .venv-parity
	@.venv-parity/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[test,bench]'
	@touch $@

clean:
	@rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage htmlcov
	@rm -rf docs/_build docs/api/generated jupyter_execute demo runs staleness
	@find minigrad parallel tests notebooks -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMPS)/venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "minigrad needs Python 3.11 or newer, and $(PYTHON) is" \
	    "$$($(PYTHON) --version 2>/dev/null || echo 'not installed'): make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "making .venv"
	@$(PYTHON) -m venv .venv
	@mkdir -p $(STAMPS)
	@touch $@

# A stamp for each extra; a change of the requirements installs it again.
$(STAMPS)/base: setup.cfg pyproject.toml | $(STAMPS)/venv
	@echo "installing minigrad into .venv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(STAMPS)/%: setup.cfg pyproject.toml | $(STAMPS)/base
	@echo "installing what '$*' needs into .venv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@
