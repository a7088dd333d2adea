# make run    set up and serve on http://localhost:8000
# make test   set up and run every test that can run on this machine
# make unit   the unit tests alone: a minute of one core
# make check  format, lint, types, import contracts and unit tests
# make bench  the benchmarks of tests/bench
# make clean  remove what these have made
#
# Variables: PYTHON (3.11 or newer), VENV, TORCH_INDEX_URL (where torch comes from; for
# machines without an NVIDIA card https://download.pytorch.org/whl/cpu saves 3 GB), ARGS
# (more options for `assistant serve`), PYTEST_ARGS.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test unit check bench clean chromium npm

VENV ?= .venv
TORCH_INDEX_URL ?=
TORCH := torch==2.13.0
ARGS ?=
PYTEST_ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
CONSTRAINTS := configs/constraints.txt
UNIT := not parity and not service and not browser and not clients and not gpu and not weights
CHROMIUM_NAMES := chromium chromium-browser google-chrome google-chrome-stable

help:
	@sed -n '/^#/!q;s/^# \{0,1\}//p' $(firstword $(MAKEFILE_LIST))

run: $(VENV)/.run
	@exec $(BIN)/assistant serve $(ARGS)

test: $(VENV)/.dev chromium npm
	@selection='not gpu and not weights'; \
	if command -v nvidia-smi >/dev/null && nvidia-smi >/dev/null 2>&1; then \
	    selection='not weights'; fi; \
	if ! $(BIN)/python -c 'from assistant.cli.doctor import check_chromium as c; raise SystemExit(c().status != "ok")'; then \
	    selection="$$selection and not browser"; fi; \
	$(BIN)/python -m pytest -m "$$selection" $(PYTEST_ARGS)
	@programs=$$(find web tests -name '*.test.mjs'); \
	if [ -z "$$programs" ]; then :; \
	elif command -v node >/dev/null; then node --test $$programs; \
	else echo 'The tests of the web page in JavaScript were skipped: node is not installed'; fi

unit: $(VENV)/.dev
	$(BIN)/python -m pytest -q -m '$(UNIT)' $(PYTEST_ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q -m '$(UNIT)'

bench: $(VENV)/.dev
	@for script in tests/bench/*.py; do \
	    case $$script in *'*'*|*/__init__.py|*/test_*|*/conftest.py) continue;; esac; \
	    name=$$(basename "$$script" .py); echo "== $$name"; $(BIN)/python -m "tests.bench.$$name"; done

clean:
	rm -rf $(VENV) $(addsuffix /node_modules,$(NPM)) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find assistant tests -name __pycache__ -prune -exec rm -rf {} +

# --- set-up: one stamp file per step, so that a repeated run does nothing ---------------

# The first of these that exists and is new enough; `python3` wins if it is.
FIND_PYTHON = for name in $(if $(PYTHON),'$(PYTHON)',python3 python3.13 python3.12 python3.11); do \
	if $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	    echo $$name; exit; fi; done

# Root may install packages; other people only where sudo asks nothing.
AS_ROOT = if [ "$$(id -u)" = 0 ]; then echo env; \
	elif sudo -n true 2>/dev/null; then echo 'sudo -n'; fi

$(VENV)/.created:
	@python=$$($(FIND_PYTHON)); \
	if [ -z "$$python" ]; then \
	    echo 'Python 3.11 or newer is needed: apt-get install python3 python3-venv, or make PYTHON=…' >&2; exit 1; fi; \
	if ! $$python -c 'import ensurepip, venv' 2>/dev/null; then \
	    package=$$($$python -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
	    if [ "$$(id -u)" = 0 ] && [ -n "$${CI:-}" ] && command -v apt-get >/dev/null; then \
	        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$package </dev/null; \
	    else \
	        echo "$$python cannot make virtual environments: sudo apt-get install $$package" >&2; exit 1; fi; fi; \
	echo "Making $(VENV) with $$($$python --version)"; \
	$$python -m venv --clear $(VENV)
	@touch $@

$(VENV)/.torch: $(VENV)/.created Makefile
	@if [ -e $@ ]; then \
	    echo 'Checking the version of torch'; \
	elif [ -n '$(TORCH_INDEX_URL)' ]; then \
	    echo 'Downloading $(TORCH) from $(TORCH_INDEX_URL)'; \
	else \
	    echo 'Downloading $(TORCH): about 3 GB with CUDA, 0.2 GB for a CPU alone'; \
	    if ! command -v nvidia-smi >/dev/null; then \
	        echo 'No NVIDIA driver here: TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu gets the small one'; fi; fi
	@$(PIP) $(if $(TORCH_INDEX_URL),--index-url '$(TORCH_INDEX_URL)') $(TORCH)
	@touch $@

$(VENV)/.run: $(VENV)/.torch pyproject.toml $(CONSTRAINTS)
	@if [ ! -e $@ ]; then echo 'Downloading the other packages: about 0.15 GB'; fi
	@$(PIP) -c $(CONSTRAINTS) -e '.[engine]'
	@touch $@

$(VENV)/.dev: $(VENV)/.torch pyproject.toml $(CONSTRAINTS)
	@if [ ! -e $@ ]; then echo 'Downloading the other packages and what the tests need: about 0.35 GB'; fi
	@$(PIP) -c $(CONSTRAINTS) -e '.[engine,dev]'
	@touch $@ $(VENV)/.run

chromium:
	@for name in $(CHROMIUM_NAMES); do if command -v $$name >/dev/null; then exit 0; fi; done; \
	as_root=$$($(AS_ROOT)); \
	if [ -n "$$as_root" ] && command -v apt-get >/dev/null; then \
	    echo 'Installing Chromium for the browser tests: about 0.1 GB'; \
	    $$as_root apt-get update -qq && $$as_root env DEBIAN_FRONTEND=noninteractive \
	        apt-get install -y -qq --no-install-recommends chromium </dev/null >/dev/null || true; fi; \
	if ! command -v chromium >/dev/null; then \
	    echo 'Browser tests are skipped: no Chromium, and it could not be installed (apt-get install chromium)'; fi

# The clients in JavaScript that tests/clients drives, in the versions of their lock files.
NPM := tests/clients/node tests/clients/peers
npm:
	@if ! command -v node >/dev/null || ! command -v npm >/dev/null; then \
	    echo 'Clients in JavaScript are skipped: node and npm are not installed'; exit 0; fi; \
	for folder in $(NPM); do \
	    if [ ! $$folder/node_modules/.package-lock.json -nt $$folder/package-lock.json ]; then \
	        echo "Installing the clients in JavaScript of $$folder"; \
	        npm ci --prefix $$folder --no-audit --no-fund --loglevel=error </dev/null >/dev/null \
	            || echo "The clients of $$folder are skipped: they could not be installed"; fi; done
