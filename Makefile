# The two commands of the README, and what CI runs. PYTHON picks the interpreter of the environment.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python -m
READY := $(VENV)/.ready

# What to judge, for example: make gate CANDIDATE=my_kernel.py STAGE=open
OPTIONS := $(if $(CANDIDATE),--candidate $(CANDIDATE)) $(if $(STAGE),--stage $(STAGE)) \
	$(if $(RULE),--rule $(RULE)) $(if $(ACCEPTED),--accepted $(ACCEPTED))
# With an NVIDIA GPU at hand the verdict includes its speed.
MEASURE := $(if $(shell nvidia-smi -L 2>/dev/null | grep '^GPU '),-m "perf or not perf")

.PHONY: gate test quick-test corpus act lint types setup clean

gate: $(READY)
	$(RUN) pytest tests/gate $(MEASURE) $(OPTIONS)

test: $(READY)
	$(RUN) pytest tests/selftest -n auto --honest-share 8
	$(RUN) pytest tests/gate

# What the workflow runs on every change: neither act in itself nor every bad kernel, and few planted faults.
quick-test: $(READY)
	$(RUN) pytest tests/selftest -q -n auto -m "not perf and not act and not slow" --fault-share 48 \
		--deselect tests/selftest/corpus/test_planted.py::test_an_honest_file_is_not_refused

# The workflow itself, on this machine; ARGS go to .github/act/run.py, whose --help names them.
act: $(READY)
	$(VENV)/bin/python .github/act/run.py $(if $(CANDIDATE),--candidate $(CANDIDATE)) $(ARGS)

corpus: $(READY)
	$(RUN) pytest tests/selftest/corpus/test_planted.py -n auto

lint: $(READY)
	$(RUN) ruff check
	$(RUN) ruff format --check

types: $(READY)
	$(RUN) mypy

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "kernelgate needs Python 3.11 or newer: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(RUN) pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(READY)

clean:
	rm -rf $(VENV) gate-report act-report .mypy_cache .pytest_cache .ruff_cache .hypothesis kernelgate.egg-info
