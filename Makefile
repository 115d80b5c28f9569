# Two commands on a bare machine (Python >= 3.11 and make): `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ENGINES := $(VENV)/.ready-engines
WORKSPACE ?= workspace
PORT ?= 8501
WORKERS ?= 2

.PHONY: help setup demo test test-engines check fmt bench study study-landing screenshots lock clean

help: ## list these targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(READY) ## create the environment from requirements.lock

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; $(PYTHON) is older. Run: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Setting up $(VENV) (once; a minute or two) ..."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY) ## simulate a company, ingest it, publish it, serve the pages
	$(BIN)/forecast-trust demo --workspace $(WORKSPACE)
	$(BIN)/forecast-trust dashboard --workspace $(WORKSPACE) --port $(PORT)

test: $(READY) ## every check: format, lint, types, arrows, tests in Python and in a browser
	$(MAKE) --no-print-directory check
	@command -v chromium >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 || \
		echo "Chromium is missing: the browser tests will be skipped. To run them too: apt-get install chromium" >&2
	$(BIN)/python -m pytest -n $(WORKERS)

test-engines: $(ENGINES) ## the same rows on DuckDB, PostgreSQL and Spark (Debian: postgresql, openjdk-17-jre-headless)
	FORECAST_TRUST_TEST_ENGINES=1 $(BIN)/python -m pytest tests/engines

$(ENGINES): $(READY) requirements-engines.lock
	@echo "Adding Spark to $(VENV) (once; a minute or two) ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-engines.lock
	@touch $@

check: $(READY) ## format, lint, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: $(READY) ## format and repair what can be repaired
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) ## performance: ratios within one run, peak memory
	$(BIN)/python -m tests.benchmarks.bench
	$(BIN)/python -m tests.benchmarks.bench_history
	$(BIN)/python -m tests.benchmarks.bench_pipeline
	$(BIN)/python -m tests.benchmarks.bench_load

study: $(READY) ## operating characteristics over simulated companies (long)
	$(BIN)/python -m tests.benchmarks.study
	$(BIN)/python -m tests.benchmarks.study_landing_files

study-landing: $(READY) ## the second of them alone: whether ranges hold, 200 companies, ten minutes or so
	$(BIN)/python -m tests.benchmarks.study_landing_files

screenshots: $(READY) ## the pictures in the README, from the real pages
	$(BIN)/python -m tests.browser.screenshots

lock: ## rewrite requirements.lock from pyproject.toml (needs uv)
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
		--group dev pyproject.toml -o requirements.lock
	sed -i '1i # Exact versions and hashes of everything the project needs, for every supported Python. Made by `make lock`.' requirements.lock
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
		--constraint requirements.lock --group engines -o requirements-engines.lock
	sed -i '1i # What `make test-engines` needs beside requirements.lock: Spark, in local mode and over Spark Connect. Made by `make lock`.' requirements-engines.lock

clean: ## remove what was generated
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
