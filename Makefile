# Tong. `make run` on a fresh clone needs Python 3.11 or newer and nothing else; see README.md.
.DEFAULT_GOAL := help
.PHONY: help run test test-unit coverage check bench bench-growth bench-overload bench-listeners load drills pages clean lock
SHELL := /bin/bash
MAKEFLAGS += --no-print-directory --no-builtin-rules

VENV := .venv
BIN := $(VENV)/bin
PACKAGES_READY := $(VENV)/.packages-ready
PROJECT_READY := $(VENV)/.project-ready

help:
	@echo 'make run     starts everything on this machine: Valkey, PostgreSQL, ledger writer, gateway (Ctrl-C stops it)'
	@echo 'make test    the tests, on real servers'
	@echo 'make test-unit   the tests that need no server'
	@echo 'make coverage    which lines the tests run, into var/coverage/html (TIER=unit: of the unit tier)'
	@echo 'make check   ruff, mypy, import-linter, bandit, vulture, truth checks'
	@echo 'make pages   builds the pages that people use, when their sources changed (run, test and check do so too)'
	@echo 'make bench   how fast one scan is, against a no-op, in one table (ARGS=--quick: a minute and a half)'
	@echo 'make bench-growth     how its cost grows with members, lots, legs, records, workers; about 18 minutes (ARGS=--small: 4)'
	@echo 'make bench-overload   what a worker does at three times its maximum rate'
	@echo 'make bench-listeners  what a thousand open live pages cost a scan'
	@echo 'make load    a load test as users are, by Locust, on a stack of its own (ARGS=--web: its pages)'
	@echo 'make drills  fault drills on whole stacks, one line each, about 20 minutes (ARGS="--list", "--only NAME --seed N", "--mutations")'
	@echo 'make lock    writes requirements.lock, requirements-dev.lock and requirements-clients.lock anew'
	@echo 'make clean   removes the environment, caches and the development data in ./var'

run: $(PROJECT_READY)
	@$(BIN)/python -m gateway.pages.build || echo 'tong: going on without the pages; everything else works' >&2
	@exec $(BIN)/tong up

pages: $(PROJECT_READY)
	@exec $(BIN)/python -m gateway.pages.build

test: pages
	@$(BIN)/python -m tests.support.pages.chromium
	@$(BIN)/python -m tests.support.api.guide_clients
	@exec $(BIN)/python -m tests.run_suite

test-unit: $(PROJECT_READY)
	@exec $(BIN)/pytest -q -n 2 --dist worksteal -m unit tests/unit tests/truth

# Tests that measure time fail under the tracer, so the exit status is that of the report; `make test` judges the tests.
coverage: pages
	@rm -rf var/coverage; mkdir -p var/coverage
	@$(BIN)/coverage run -m tests.run_suite $(if $(TIER),--tier $(TIER)) \
	    || echo 'tong: tests failed under the tracer; make test judges them' >&2
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage html --quiet
	@$(BIN)/coverage report > var/coverage/report.txt
	@grep ^TOTAL var/coverage/report.txt
	@echo 'tong: var/coverage/report.txt, var/coverage/html/index.html'

check: pages
	$(BIN)/python -m tests.support.pages.page_types
	$(BIN)/python -m gateway.pages.build check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit -q -c pyproject.toml -r gateway membership redemption tokens loadtest
	$(BIN)/pytest tests/truth -q

bench: $(PROJECT_READY)
	@exec $(BIN)/python -m loadtest.bench $(ARGS)

bench-growth bench-overload bench-listeners: $(PROJECT_READY)
	@exec $(BIN)/python -m loadtest.bench.$(@:bench-%=%) $(ARGS)

drills: $(PROJECT_READY)
	@exec $(BIN)/python -m tests.drills $(ARGS)

load: $(PROJECT_READY)
	@exec $(BIN)/python -m loadtest $(ARGS)

# The packages, by hash. Made anew when the lock changed.
$(PACKAGES_READY): requirements-dev.lock
	@python=$$(for name in $(PYTHON) python3.11 python3.12 python3.13 python3.14 python3 python; do \
	    if command -v "$$name" >/dev/null \
	        && "$$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	    then command -v "$$name"; break; fi; done); \
	if [ -z "$$python" ]; then \
	    echo 'tong: no Python 3.11 or newer with venv was found. Install one (Debian: apt install python3 python3-venv)' >&2; \
	    echo '      or name one: make run PYTHON=/path/to/python3' >&2; exit 1; fi; \
	if ! $(BIN)/python -c '' 2>/dev/null; then \
	    echo "tong: making $(VENV) with $$python"; "$$python" -m venv --clear $(VENV); fi
	@echo 'tong: installing packages from requirements-dev.lock (a minute or two at the first time)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes -r requirements-dev.lock
	@touch $@

# The project itself, editable: what is edited runs.
$(PROJECT_READY): $(PACKAGES_READY) pyproject.toml
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --no-build-isolation -e .
	@touch $@

lock:
	@set -e; folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	python3 -m venv "$$folder/venv"; \
	"$$folder/venv/bin/pip" install --quiet --disable-pip-version-check uv; \
	compile() { "$$folder/venv/bin/uv" pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	    --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command 'make lock' "$$@"; }; \
	compile -o requirements.lock; \
	compile --all-extras -c requirements.lock -o requirements-dev.lock; \
	echo openapi-python-client | "$$folder/venv/bin/uv" pip compile - --quiet --universal --python-version 3.11 \
	    --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command 'make lock' -o requirements-clients.lock

clean:
	@if [ -e var/lock ] && command -v flock >/dev/null && ! flock --nonblock var/lock true; then \
	    echo 'tong: the stack is running on ./var; stop it first' >&2; exit 1; fi
	rm -rf $(VENV) .node .clients tests/clients/node_modules gateway/pages/built gateway/pages/web/node_modules var build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
