# The two commands of the README, and what CI runs. PYTHON picks the interpreter of the environment.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python -m
READY := $(VENV)/.ready

# A misspelt variable would be left out without a word, and another kernel judged than was meant.
KNOWN := OPERATION PROBLEM CANDIDATE STAGE RULE ACCEPTED PLAN_SHARE FILE_SHARE ARGS PYTHON VENV
GIVEN := $(foreach name,$(.VARIABLES),$(if $(findstring command line,$(origin $(name))),$(name)))
UNKNOWN := $(filter-out $(KNOWN),$(GIVEN))
$(if $(UNKNOWN),$(error unknown variable $(UNKNOWN); known: $(KNOWN)))

# What to judge, for example: make gate OPERATION=matmul CANDIDATE=my_kernel.py STAGE=open
OPTIONS := $(if $(OPERATION),--operation $(OPERATION)) $(if $(CANDIDATE),--candidate $(CANDIDATE)) \
	$(if $(STAGE),--stage $(STAGE)) $(if $(RULE),--rule $(RULE)) $(if $(ACCEPTED),--accepted $(ACCEPTED)) \
	$(if $(PROBLEM),--problem $(PROBLEM))
# With an NVIDIA GPU at hand the verdict includes its speed.
MEASURE := $(if $(shell nvidia-smi -L 2>/dev/null | grep '^GPU '),-m "perf or not perf")

# An honest file is tried on one planned case in so many; with 1, as the nightly run has it, on all of them.
PLAN_SHARE ?= 4
# One file of the planted corpus in so many is judged, with the next commit others; .ci/run has no time for all.
FILE_SHARE ?= 1
TURN = $(shell git rev-list --count HEAD 2>/dev/null || echo 0)

.PHONY: gate help test test-all quick-test act docs lint types setup clean

gate: $(READY)
	$(RUN) pytest tests/gate $(MEASURE) $(OPTIONS)

# Before a push: every rule of the package, and a sample of what test-all runs in full.
test: $(READY)
	$(RUN) pytest tests/selftest -n auto -m "not perf and not act and not slow" \
		--fault-share 16 --honest-share 16 --plan-share 4 --durations 30

# The rest: the gate on the accepted kernel, all planted faults and honest files, bad kernels, act's runs.
test-all: $(READY)
	$(RUN) pytest tests/gate
	$(RUN) pytest tests/selftest -n auto -m "act or slow or corpus" --plan-share $(PLAN_SHARE) \
		--fault-share $(FILE_SHARE) --honest-share $(FILE_SHARE) --share-turn $(TURN) --durations 30

# What the workflow runs on every change: few planted faults and no honest file.
quick-test: $(READY)
	$(RUN) pytest tests/selftest -q -n auto -m "not perf and not act and not slow" --fault-share 48 \
		--deselect tests/selftest/corpus/test_planted.py::test_an_honest_file_is_not_refused

# The workflow itself, on this machine; ARGS go to .github/act/run.py, whose --help names them.
act: $(READY)
	$(VENV)/bin/python .github/act/run.py $(if $(CANDIDATE),--candidate $(CANDIDATE)) $(ARGS)

# The site of docs/, in the folder site; every link within it must lead somewhere.
docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(RUN) mkdocs build --strict --quiet
	@echo 'the site: site/index.html'

lint: $(READY)
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(VENV)/bin/lint-imports --no-cache

types: $(READY)
	$(RUN) mypy

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "kernelgate needs Python 3.11 or newer: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo 'Setting up $(VENV): PyTorch and the rest take 6 GB and some minutes.'
	$(PYTHON) -m venv $(VENV)
	$(RUN) pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(READY)

help:
	@echo 'make gate      judge the accepted kernel, or CANDIDATE=FILE, with what this machine has'
	@echo '               OPERATION=NAME or PROBLEM=FILE, STAGE=open, RULE=guard, ACCEPTED=FILE|REV'
	@echo 'make test      what must hold before a push; make test-all: the rest; make lint types'
	@echo 'make act       the workflow on this machine; CANDIDATE=FILE, ARGS=--help'
	@echo 'make docs      the documentation as a site, in the folder site'
	@echo 'make setup     the environment in $(VENV); make clean removes it'
	@echo 'kernelgate judge FILE: a file of your own, wherever it lies; kernelgate --help lists the rest'

clean:
	rm -rf $(VENV) site gate-report act-report .mypy_cache .pytest_cache .ruff_cache .hypothesis kernelgate.egg-info
