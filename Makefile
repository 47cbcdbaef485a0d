# make run and make test do all their set-up themselves, in .venv, and nothing again when nothing changed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LINKS := $(VENV)/links/cvdebug
ARGS ?=
PYTEST_ARGS ?=
# Where compiled files may not be kept, each start of a program would compile all of it again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run demo test test-all check soak screenshots bench setup clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: $(VENV)/.installed ## set everything up and run the pipeline on embedded defaults (ARGS="..." adds options)
	$(BIN)/cvdebug run $(ARGS)

demo: $(VENV)/.installed ## the real deadlock, proven, then fixed
	$(BIN)/cvdebug run --parallelism on --fix $(ARGS)

test: $(VENV)/.installed-dev ## set everything up and run the tests
	$(BIN)/python -m pytest -n auto -m "not slow" $(PYTEST_ARGS) tests

test-all: $(VENV)/.installed-dev ## the tests that make test leaves out as well
	$(BIN)/python -m pytest -n auto $(PYTEST_ARGS) tests

check: $(VENV)/.installed-dev ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	MYPYPATH=$(VENV)/links $(BIN)/mypy -p cvdebug.core -p cvdebug.tui -p cvdebug.scenarios
	MYPYPATH=$(VENV)/links $(BIN)/mypy tests
	PYTHONPATH=$(VENV)/links $(BIN)/lint-imports --no-logo

soak: $(VENV)/.installed-dev ## 10,000 looks at a healthy program: not one false alarm (about a quarter of an hour)
	CVDEBUG_SOAK_LOOKS=10000 $(BIN)/python -m pytest -n 0 --timeout 3600 tests/integration/test_soak.py

screenshots: $(VENV)/.installed-dev ## the pictures of the README and the snapshots of tests, from the recorded runs in tests/data
	$(BIN)/python -m tests.pictures

bench: $(VENV)/.installed-dev ## each figure beside its baseline (minutes; BENCH="store index" chooses)
	$(BIN)/python -m tests.bench $(BENCH)

setup: $(VENV)/.installed-dev ## only the set-up

clean: ## remove the set-up
	rm -rf $(VENV) build dist *.egg-info

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "cvdebug needs Python 3.11 or newer; this is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

# The checkers do not follow an editable install's import hook: they read the same folders through links.
$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@mkdir -p $(LINKS)
	@for wing in core tui scenarios; do ln -sfn ../../../$$wing $(LINKS)/$$wing; done
	@touch $@
