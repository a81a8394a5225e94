# One command for each habit. Each does its own set-up: a fresh machine needs Python 3.11 to 3.13, make and npm.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test test-evidently soak check format lock bench bench-scorer bench-rollback bench-serving bench-servers bench-rollout bench-replay bench-shifts bench-monitoring bench-day bench-diagnosis bench-pages bench-reproduce bench-exploration bench-renewal bench-weeks reproduce-elsewhere clean

help: ## show this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

$(READY): requirements-dev.lock pyproject.toml web/package-lock.json hatch_build.py
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "Leadgate needs Python 3.11 to 3.13; name one with PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: $(READY) ## the whole path on generated leads, over real HTTP
	$(BIN)/leadgate demo demo --again

test: $(READY) ## all tests
	$(BIN)/pytest -n 2 --dist loadfile

EVIDENTLY := .venv-evidently
test-evidently: ## the Evidently report, in an environment of its own (1.8 GB): it needs an older pandas
	$(PYTHON) -m venv $(EVIDENTLY)
	$(EVIDENTLY)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-evidently.lock
	$(EVIDENTLY)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	LEADGATE_EVIDENTLY=1 $(EVIDENTLY)/bin/pytest tests/app/test_report_cli.py

MINUTES ?= 15
soak: $(READY) ## the tests of faults for MINUTES=15, with as many more faults
	LEADGATE_SOAK=$(MINUTES) $(BIN)/pytest tests/faults tests/app/test_retraining.py::test_killed_at_every_moment_it_goes_on_and_does_everything_once

check: $(READY) ## format, lint, types, floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## put the code in its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: bench-scorer bench-rollback bench-serving bench-rollout bench-replay bench-shifts bench-monitoring bench-diagnosis bench-exploration bench-renewal bench-weeks ## every figure in docs/benchmarks; QUICK=1 for a short form

bench-scorer: $(READY) ## one lead in process: compiled against the library
	$(BIN)/python benchmarks/scorer.py

bench-rollback: $(READY) ## route changes under load
	$(BIN)/python benchmarks/rollback.py

bench-serving: $(READY) ## requests a second of one worker, against servers and frameworks (needs wrk)
	$(BIN)/python benchmarks/serving.py

bench-rollout: $(READY) ## what a rollout decides of challengers whose truth is known
	$(BIN)/python benchmarks/rollout.py

bench-replay: $(READY) ## the bank's leads month by month: which checks alarm, and when (BANK=FILE)
	$(BIN)/python benchmarks/replay.py $(BANK)

bench-renewal: $(READY) ## the bank's leads with retraining on: against a model left alone and one renewed by hand (BANK=FILE)
	$(BIN)/python benchmarks/renewal.py $(BANK)

bench-weeks: $(READY) ## 100 simulated weeks with retraining on: drift, a silent CRM, wrong outcomes (a quarter of an hour)
	$(BIN)/python benchmarks/weeks.py

bench-shifts: $(READY) ## known shifts: how often and how soon they are told
	$(BIN)/python benchmarks/shifts.py

bench-monitoring: $(READY) ## drift of a million leads from rows and from profiles, and what profiles cost
	$(BIN)/python benchmarks/monitoring.py

bench-day: $(READY) ## a day of 10 million predictions: all checks (a quarter of an hour, 20 GB of disk)
	$(BIN)/python benchmarks/day.py

bench-pages: $(READY) ## the dashboard with 10 million predictions in the log (10 GB of disk)
	$(BIN)/python benchmarks/pages.py

bench-diagnosis: $(READY) ## which cause `diagnose` names first when one is provoked
	$(BIN)/python benchmarks/diagnosis.py

bench-exploration: $(READY) ## feedback bias where the truth is known, and what explored leads make of it
	$(BIN)/python benchmarks/exploration.py

bench-reproduce: $(READY) ## versions made again in a new environment, by another user, to the bit (some minutes)
	$(BIN)/python benchmarks/reproduce.py

reproduce-elsewhere: bench-reproduce ## the same

bench-servers: $(READY) ## which server, and which way through it (needs wrk)
	$(BIN)/python benchmarks/servers.py

screenshots: $(READY) ## the pictures of docs/guide and README, from a demo of its own (needs Chromium)
	PYTHONPATH=tests $(BIN)/python tests/browser/screenshots.py build/demo docs/guide/images

lock: ## resolve the pinned files anew (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --group dev pyproject.toml -o requirements-dev.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --extra evidently --group dev pyproject.toml -o requirements-evidently.lock

clean: ## remove what the commands above made
	rm -rf $(VENV) $(EVIDENTLY) demo build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
