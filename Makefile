# `make help` lists the targets. Each makes the environment that it needs, in $(VENV).
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# How long `make fuzz` runs.
MINUTES ?= 10
# Processes that share the tests, file by file: a file's tests share their runs.
WORKERS ?= 2
SHARED = -n $(WORKERS) --dist loadfile
# What `make coverage` compares with.
BASE ?= main
PYTHONS = 3.10 3.11 3.12 3.13

.PHONY: help demo test kernels lint format coverage docs matrix fuzz robustness audit

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/ready ## measure two networks, with and without batch norm, and explain the difference
	$(BIN)/tftrace demo

test: $(VENV)/ready $(VENV)/browser ## run the tests
	$(BIN)/python -m pytest $(SHARED)

kernels: $(VENV)/ready ## run the tests that depend on which kernels run, without and with oneDNN
	TF_ENABLE_ONEDNN_OPTS=0 $(BIN)/python -m pytest $(SHARED) -m kernels
	TF_ENABLE_ONEDNN_OPTS=1 $(BIN)/python -m pytest $(SHARED) -m kernels

lint: $(VENV)/ready ## ruff, mypy, the direction of imports, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/codespell

format: $(VENV)/ready ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

coverage: $(VENV)/ready ## print the lines changed since $(BASE) that no test runs
	$(BIN)/python -m pytest --cov=tftrace --cov-report=xml
	$(BIN)/diff-cover coverage.xml --compare-branch=$(BASE) --show-uncovered

fuzz: $(VENV)/ready ## read mutated traces for MINUTES, with guard pages around what is read and written
	$(BIN)/python tests/robustness/fuzz_reader.py --minutes $(MINUTES)

robustness: $(VENV)/ready ## try to break it: bad inputs, signals, full disks, an interrupt at every line (an hour)
	TFTRACE_SLOW=1 $(BIN)/python -m pytest tests/tracer/test_interrupts.py
	TFTRACE_ROBUSTNESS=1 $(BIN)/python -m pytest tests/robustness
	$(BIN)/python tests/robustness/signals.py --times 40

audit: $(VENV)/ready ## print known weaknesses of what is installed; never fails
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check pip-audit \
	  && $(BIN)/pip-audit --progress-spinner off --timeout 15 --skip-editable \
	  || echo "pip-audit: not clean, or its service cannot be reached (report only)"

docs: $(VENV)/ready ## build the documentation's site into site/
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[docs]"
	$(BIN)/python -m typer tftrace.cli utils docs --name tftrace --output docs/cli.md
	$(BIN)/mkdocs build --strict

matrix: ## run the tests under every supported Python of this machine, each in a .venv-X.Y
	@for version in $(PYTHONS); do \
	  if python$$version --version >/dev/null 2>&1; then \
	    echo "== Python $$version"; \
	    $(MAKE) test PYTHON=python$$version VENV=.venv-$$version || exit 1; \
	  else echo "== no Python $$version here"; fi; \
	done

# The page's tests skip, and say so, where there is no Chromium and none can be had.
$(VENV)/browser: $(VENV)/ready
	@command -v chromium-headless-shell chromium chromium-browser google-chrome >/dev/null \
	  || timeout 120 $(BIN)/playwright install chromium-headless-shell >/dev/null 2>&1 \
	  || { [ "$$(id -u)" = 0 ] && timeout 240 apt-get install -qq -y --no-install-recommends \
	       chromium-headless-shell >/dev/null 2>&1; } \
	  || echo "no Chromium: the page is not tested in a browser"
	@touch $@

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[test]"
	touch $@
