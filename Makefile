# Two commands matter: `make book` and `make test`. The rest are their parts; `make help` lists them.
#
# Everything lands in .venv/ and _build/; `make clean` takes both away again.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:

VENV  := .venv
BIN   := $(VENV)/bin
PY    := $(BIN)/python
PORT  ?= 8000
WORLD ?=
TESTS ?= tests
# How many notebooks, and then tests, run at a time. Half of them wait for servers, browsers and
# clocks, so two processors can do with more of them than two.
JOBS  ?= 4
# Which fault schedules `make chaos` runs, and how long each is.
SEEDS   ?= 1..100
MINUTES ?= 10

# The first of these that is Python 3.11 or newer makes .venv. Say `make PYTHON=... book` for another.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	if command -v $$p >/dev/null 2>&1 && \
	   $$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
	then echo $$p; break; fi; done)

PIP := $(PY) -m pip --disable-pip-version-check --quiet --require-virtualenv

.PHONY: help book site serve lab test lint format notebooks bench chaos venv venv-test clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  Settings: PORT=8000 (a free one if it is taken)  WORLD=sim|live|redis (for the notebooks)"
	@echo "            PYTHON=python3.12  TESTS=tests/wire  JOBS=4"

book: site ## run the notebooks, build the website, serve it and print its address
	@exec $(PY) -m book.tools.serve --port $(PORT)

site: venv ## run the notebooks and build the website into _build/html
	@$(PY) -m book.tools.build --jobs $(JOBS) $(if $(WORLD),--world $(WORLD))

serve: venv ## serve the website that was built last
	@exec $(PY) -m book.tools.serve --port $(PORT)

lab: venv ## open JupyterLab, at the first lesson
	@exec $(BIN)/jupyter lab --LabApp.default_url=/lab/tree/notebooks/01-measure/first-server.ipynb

test: lint site ## run every check and every test: the website, and every notebook in every world
	@echo "Running the tests"
	@$(PY) -m pytest -q -n $(JOBS) --dist loadgroup --no-loadscope-reorder \
		--durations=10 --durations-min=10 $(TESTS)

lint: venv-test ## ruff and mypy
	@echo "Checking the code"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy --no-error-summary

format: venv-test ## let ruff lay the code out
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format --quiet .

notebooks: venv-test ## run every notebook in full in every world, and build the website from that
	@$(PY) -m book.tools.build --jobs $(JOBS) --every-world

bench: venv-test ## measure ours against the real programs, in one run, and print the ratios
	@$(PY) -m benchmarks

chaos: venv ## harm labs at random on all cores: make chaos SEEDS=1..1000 MINUTES=10
	@$(BIN)/redislab chaos --jobs 0 --seeds $(SEEDS) --minutes $(MINUTES)

venv: $(VENV)/.book ## make .venv with what the book needs

venv-test: $(VENV)/.test

$(PY):
	@if [ -z "$(PYTHON)" ]; then \
		echo "redislab needs Python 3.11 or newer with the venv module, and found none." >&2; \
		echo "Install it (Debian and Ubuntu: apt install python3 python3-venv), or name it: make PYTHON=/path/to/python book" >&2; \
		exit 1; fi
	@echo "Making $(VENV) with $(PYTHON) ($$($(PYTHON) -c 'import platform; print(platform.python_version())'))"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.book: $(PY) pyproject.toml constraints.txt
	@echo "Installing what the book needs (half a minute to a few minutes, as the network is)"
	@$(PIP) install -c constraints.txt -e ".[book,fast,scripts]"
	@touch $@

$(VENV)/.test: $(VENV)/.book
	@echo "Installing what the tests need"
	@$(PIP) install -c constraints.txt -e ".[book,fast,scripts,test,dev]"
	@touch $@

clean: ## take away .venv, _build and every cache
	@rm -rf $(VENV) _build .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
