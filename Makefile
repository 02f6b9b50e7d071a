# Two commands for a fresh machine: `make test` and `make demo`. Each sets up .venv by itself.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help

.PHONY: help setup style test heavy check demo docs notebooks bench-data bench-registration bench-generators tables format clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

.venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else f"expected Python 3.11 or newer; came {v.major}.{v.minor}; run make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

setup: .venv/.ready ## Make .venv with the tested versions

# A worker of one thread for each core: small networks gain little from a second thread. Tests of one file share
# fixtures, and the longest files begin (tests/conftest.py).
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder

style: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: style ## Style, types and the quick tests (two to three minutes on 2 cores)
	$(PYTEST) -m "not slow and not heavy"

test: style ## Style, types and all tests that need nothing but Python (fifteen minutes on 2 cores)
	$(PYTEST) -m "not heavy" --durations=12

heavy: setup ## Tests with servers, clusters, browsers, notebooks, real scans, pages of commands (10 minutes on 2 cores)
	$(PYTEST) -m "heavy" --durations=12

demo: setup ## The whole chain on simulated patients; no data needed (about three minutes on 2 cores)
	$(BIN)/synthoma demo --output demo --force

.venv/.docs: .venv/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,docs]'
	@touch $@

docs: .venv/.docs ## Write the documentation as a site: open site/index.html
	$(BIN)/mkdocs build --strict --quiet

notebooks: .venv/.docs ## Run the notebooks of docs/notebooks and keep what they show (five minutes)
	$(BIN)/python tools/notebooks.py

bench-data: setup ## Measure reading, duplicate search and phantom; writes benchmarks/results
	$(BIN)/python benchmarks/preparation.py
	$(BIN)/python benchmarks/duplicates.py
	$(BIN)/python benchmarks/phantom_speed.py

bench-registration: setup ## Measure rigid registration on simulated studies with known poses (20 minutes)
	$(BIN)/python benchmarks/registration.py

bench-generators: setup ## Train every generator for ten minutes on real scans and judge them alike
	$(BIN)/python benchmarks/generators.py --minutes 10

tables: setup ## Write the tables of the README and docs/results.md from benchmarks/results
	$(BIN)/python benchmarks/tables.py

format: setup ## Bring the code into its standard form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove the environment and the demo
	rm -rf .venv demo
