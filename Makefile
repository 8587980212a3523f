# pocket-encoder. `make help` lists what there is.
PRESET ?= balanced
ARGS   ?=
PYTHON ?=
VENV   := .venv
PY     := $(VENV)/bin/python
# Two processes, which take one file of tests after the other.
PYTEST := $(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=25
BUNDLE := dist/$(PRESET)

.DEFAULT_GOAL := help
.PHONY: help setup export test test-all lint check parity quality bench arm64 android compare matrix advise train fuzz calibration-data clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  PRESET=name picks a preset, ARGS='...' passes options on (ARGS=--help lists them)"

setup: install-export ## install the tested versions into .venv (every other target installs what it needs)

# PYTHON=python3.x picks an interpreter; else the newest from 3.11 to 3.13 that runs. Nothing to do takes no time.
install-%:
	@PYTHON="$(PYTHON)" sh tools/setup.sh $(VENV) $*

export: install-export ## turn a preset into dist/PRESET, verified
	$(PY) -m export $(PRESET) $(ARGS)

test: lint ## lint, and test all but what is slow and seldom breaks (ARGS: pytest's; -n0 in one process)
	$(PYTEST) $(ARGS)

test-all: lint ## lint, and test everything
	$(PYTEST) -m '' $(ARGS)

lint: install-test ## check style, and which package imports which
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(VENV)/bin/lint-imports --no-logo --no-cache

check: install-export $(BUNDLE)/manifest.json ## gate the budgets of a bundle; exits 1 if one fails
	$(PY) -m evaluation check $(BUNDLE) $(ARGS)

parity: install-export $(BUNDLE)/manifest.json ## compare every engine and precision with PyTorch's golden vectors
	$(PY) -m runtime parity $(BUNDLE) $(ARGS)

quality: install-export $(BUNDLE)/manifest.json ## what the encoder is worth on the test split; exits 1 if a limit fails
	$(PY) -m evaluation quality $(BUNDLE) $(ARGS)

bench: install-export $(BUNDLE)/manifest.json ## time and memory on this host
	$(PY) -m runtime bench $(BUNDLE) $(ARGS)

arm64: install-export $(BUNDLE)/manifest.json ## parity, cost and simulated latency on an emulated phone CPU
	$(PY) -m evaluation arm64 $(BUNDLE) $(ARGS)

android: install-export $(BUNDLE)/manifest.json ## compile, test and package the Android app, and compare it with Python
	$(PY) -m android_demo.check $(BUNDLE) $(ARGS)

compare: install-export $(BUNDLE)/manifest.json ## the shipped file beside what other tools make of the same weights
	$(PY) -m benchmarks compare $(BUNDLE) $(ARGS)

matrix: install-export ## every preset, and Option A with each slot exchanged, side by side (docs/decision_matrix.md)
	$(PY) -m evaluation setup-arm64
	$(PY) -m benchmarks ablation $(ARGS)

advise: install-export ## four questions, and the preset that answers them
	$(PY) -m benchmarks advise $(ARGS)

train: install-train ## train a preset on rendered screens (docs/training.md; ARGS=--smoke: does it run?)
	$(PY) -m encoder.train --preset $(PRESET) $(ARGS)

fuzz: install-test $(BUNDLE)/manifest.json ## seeded campaigns of damaged inputs, killed exports, full disks (ARGS=--help)
	$(PY) -m tests.fuzz --bundle $(BUNDLE) $(ARGS)

calibration-data: install-train ## render the calibration and parity screens again
	$(PY) -m calibration_data render $(ARGS)

clean: ## remove bundles and caches, keep .venv
	rm -rf dist build .pytest_cache .ruff_cache

$(BUNDLE)/manifest.json: | install-export
	$(PY) -m export $(PRESET)
