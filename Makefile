.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
LOWEST := .venv-lowest

# The tests start couponctl hundreds of times; compiled anew each time they would take half as long again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install tui drill check lint types quick test coverage lowest soak drills bench mutation screenshots \
	dist release-check clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

install: $(INSTALLED) ## make .venv with couponctl and its development tools

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "couponctl needs Python 3.11 or newer; try: make PYTHON=python3.13 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "this Python has no venv module; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

tui: $(INSTALLED) ## the console, on a private PostgreSQL
	@$(BIN)/couponctl tui

drill: $(INSTALLED) ## 500 users race for 50 coupons on a private PostgreSQL
	$(BIN)/couponctl drill scale --n 500

check: lint types ## every quality gate that needs no database

lint: $(INSTALLED) ## ruff: style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED) ## mypy --strict
	$(BIN)/mypy

quick: $(INSTALLED) ## the tests that need neither a server nor the console, in seconds
	$(BIN)/pytest -m quick --numprocesses=auto --dist=loadgroup

test: $(INSTALLED) ## all tests but the drills, on a private PostgreSQL
	$(BIN)/pytest --numprocesses=auto --dist=loadgroup

coverage: $(INSTALLED) ## all tests and each drill once a strategy, and which branches of couponctl they take; 90 % must be
	@$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --numprocesses=auto --dist=loadgroup
	$(BIN)/coverage run -m pytest -m ci tests/drills/test_catalog.py -k 'test_drill and not broken_off'
	@$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

lowest: $(LOWEST)/installed ## the same tests with the oldest version of everything that pyproject.toml allows
	$(LOWEST)/bin/pytest --numprocesses=auto --dist=loadgroup

$(LOWEST)/installed: pyproject.toml
	$(PYTHON) -m venv --clear $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(LOWEST)/bin/uv pip install --python $(LOWEST)/bin/python --resolution lowest-direct --editable '.[dev]'
	@touch $@

soak: $(INSTALLED) ## 300 storms a strategy, connections breaking and claims cancelled; SEED=7 is one of them
	$(BIN)/pytest -m soak -s tests/test_soak.py $(if $(SEED),--storm=$(SEED))

drills: $(INSTALLED) ## the drills as tests, as CI runs them: four at once, for a drill waits more than it works
	$(BIN)/pytest -m ci --numprocesses=4 --dist=worksteal
	@mkdir -p reports
	$(BIN)/couponctl drill all --junit reports/drills.xml --markdown reports/drills.md

bench: $(INSTALLED) ## ratios measured side by side
	$(BIN)/pytest -m benchmark -s

mutation: $(VENV)/mutation ## mutants of the claims, the audit and the checkers: which of them no test kills; takes an hour
	$(BIN)/python -m tests.support.mutation

$(VENV)/mutation: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[mutation]'
	@touch $@

screenshots: $(INSTALLED) ## the README's pictures, from a session on real data
	$(BIN)/python -m tests.support.tui.screenshots .github/assets

dist: $(INSTALLED) ## the source distribution and the wheel, in dist/
	rm -rf dist
	$(BIN)/python -m build --no-isolation

release-check: $(INSTALLED) ## whether tag (TAG=v1.2.3), __version__, changelog and links agree, so that it may be published
	@$(BIN)/python -m tests.support.release $(TAG)

clean: ## remove what make built
	rm -rf $(VENV) $(LOWEST) build dist mutants reports .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.*
	find couponctl tests -name __pycache__ -prune -exec rm -rf {} +
