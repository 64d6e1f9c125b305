# `make help` lists what there is. Everything works on a fresh machine with Python 3.11 or newer.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
RUNTIME := $(VENV)/.runtime-installed
DEVELOPMENT := $(VENV)/.development-installed
# Tests of one file stay together: they share servers. The slow files begin (tests/file_order.py). Many of them only wait.
SIDE_BY_SIDE := -n 4 --dist loadfile --no-loadscope-reorder
NEWEST_FIRST := python3.13 python3.12 python3.11 python3 python python3.14

.DEFAULT_GOAL := help
.PHONY: help install run demo test soak check lint format bench wheels screenshots clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(DEVELOPMENT) ## create .venv and install everything, tests and tools too

run: $(RUNTIME) ## the server as in production; PORT, HOST, WEB_CONCURRENCY and TIDEMARK_* are honoured
	@$(BIN)/python -m settings
	@exec $(BIN)/gunicorn app:app

demo: $(RUNTIME) ## the server and the simulator together; ARGS="--rate 500" goes to the simulator
	@exec $(BIN)/python -m simulator.demo $(ARGS)

test: $(DEVELOPMENT) browser redis_binary nginx prometheus alertmanager ## the whole test suite, with real servers and a real browser
	@$(BIN)/python -m pytest -q $(SIDE_BY_SIDE) $(ARGS)

soak: $(DEVELOPMENT) redis_binary nginx alertmanager ## what the tests repeat for certainty, at full length: before a change of what it is about is done
	@$(BIN)/python -m tests.soak $(ARGS)

check: lint browser redis_binary nginx prometheus alertmanager ## lint, format, types, and the tests with at least 95 % branch coverage
	@$(BIN)/python -m pytest -q $(SIDE_BY_SIDE) --cov --cov-report=term $(ARGS)

lint: $(DEVELOPMENT)
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

format: $(DEVELOPMENT) ## put the code into its usual form
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

bench: $(DEVELOPMENT) ## every benchmark of the README, as tables
	@$(BIN)/python -m benchmarks $(ARGS)

wheels: $(DEVELOPMENT) ## ask PyPI for a wheel of each requirement, for every Python and platform promised
	@$(BIN)/python -m tests.wheels

screenshots: $(DEVELOPMENT) browser ## take the pictures of the dashboard for the README
	@$(BIN)/python -m tests.dashboard.screenshots

clean: ## remove what tools and tests left behind; keeps .venv and the events under instance/
	@rm -rf .coverage .coverage.* htmlcov .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

TOOLS := alertmanager browser nginx prometheus redis_binary
.PHONY: $(TOOLS)
$(TOOLS): $(DEVELOPMENT)
	@$(BIN)/python -m tests.$@

$(RUNTIME): requirements.txt | $(BIN)/python
	@echo "installing requirements.txt"
	@$(PIP) --no-deps -r requirements.txt
	@touch $@

$(DEVELOPMENT): requirements-dev.txt $(RUNTIME)
	@echo "installing requirements-dev.txt"
	@$(PIP) -r requirements-dev.txt
	@touch $@

$(BIN)/python:
	@for candidate in $(PYTHON) $(NEWEST_FIRST); do \
	    "$$candidate" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	    echo "creating $(VENV) with $$("$$candidate" --version)"; \
	    "$$candidate" -m venv $(VENV) && exit 0; \
	done; \
	echo "Tidemark needs Python 3.11 or newer with venv; none of these is: $(PYTHON) $(NEWEST_FIRST)." >&2; \
	echo "On Debian or Ubuntu: apt install python3-venv. Elsewhere: https://www.python.org/downloads/" >&2; \
	echo "If yours has another name: make install PYTHON=/path/to/python" >&2; \
	rm -rf $(VENV); \
	exit 1
