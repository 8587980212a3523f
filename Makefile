# pocket-encoder. `make help` lists what there is.
PRESET ?= balanced
ARGS   ?=
PYTHON ?=
VENV   := .venv
PY     := $(VENV)/bin/python
# Two processes, which take one file of tests after the other.
PYTEST := $(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=25
BUNDLE := dist/$(PRESET)

# Many images set it; then each process compiles all that it imports again, for seconds where that is PyTorch.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup export test test-all lint check parity quality bench arm64 android compare ablation breadth advise train fuzz calibration-data clean

# `## use:` and `## measure:` put a target into a group of the help, the others develop.
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { group = $$2 ~ /^use: / ? 1 : $$2 ~ /^measure: / ? 2 : 3; \
	  sub(/^(use|measure): /, "", $$2); lines[group] = lines[group] sprintf("  make %-18s %s\n", $$1, $$2) } \
	  END { printf "use it\n%s\nmeasure it\n%s\ndevelop it\n%s\n", lines[1], lines[2], lines[3] }' $(MAKEFILE_LIST)
	@echo "PRESET=name picks a preset, ARGS='...' passes options on (ARGS=--help lists them)"

setup: install-export ## use: install the tested versions into .venv (other targets do it themselves)

# PYTHON=python3.x picks an interpreter; else the newest from 3.11 to 3.13 that runs. Nothing to do takes no time.
install-%:
	@PYTHON="$(PYTHON)" sh tools/setup.sh $(VENV) $*

export: install-export ## use: turn a preset into a verified bundle, dist/PRESET
	$(PY) -m export $(PRESET) $(ARGS)

test: lint ## lint, and test all but what is slow and seldom breaks (ARGS: pytest's; -n0 in one process)
	$(PYTEST) $(ARGS)

test-all: lint ## lint, and test everything
	$(PYTEST) -m '' $(ARGS)

lint: install-test ## check style, and which package imports which
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(VENV)/bin/lint-imports --no-logo --no-cache

check: install-export $(BUNDLE)/manifest.json ## measure: every limit of a bundle; exits 1 if one fails
	$(PY) -m evaluation check $(BUNDLE) $(ARGS)

parity: install-export $(BUNDLE)/manifest.json ## measure: every engine and precision against PyTorch's golden vectors
	$(PY) -m runtime parity $(BUNDLE) $(ARGS)

quality: install-export $(BUNDLE)/manifest.json ## measure: accuracy on the test split; exits 1 if a limit fails
	$(PY) -m evaluation quality $(BUNDLE) $(ARGS)

bench: install-export $(BUNDLE)/manifest.json ## measure: latency and memory on this host
	$(PY) -m runtime bench $(BUNDLE) $(ARGS)

arm64: install-export $(BUNDLE)/manifest.json ## measure: parity, instructions and simulated latency on emulated phone CPUs
	$(PY) -m evaluation arm64 $(BUNDLE) $(ARGS)

android: install-export $(BUNDLE)/manifest.json ## use: compile, test and package the Android library and app, compared with Python
	$(PY) -m android_demo.check $(BUNDLE) $(ARGS)

compare: install-export $(BUNDLE)/manifest.json ## measure: the shipped file against what other tools make of the same weights
	$(PY) -m benchmarks compare $(BUNDLE) $(ARGS)

ablation: install-export ## measure: every preset, and balanced with each slot exchanged (docs/ablation.md)
	$(PY) -m evaluation setup-arm64
	$(PY) -m benchmarks ablation $(ARGS)

breadth: install-export ## measure: one timm backbone after the other, no recipe of its own (docs/breadth.md)
	$(PY) -m evaluation setup-arm64
	$(PY) -m benchmarks breadth $(ARGS)

advise: install-export ## use: ask four questions and name a preset
	$(PY) -m benchmarks advise $(ARGS)

train: install-train ## use: train a preset on rendered screens (docs/training.md; ARGS=--smoke: does it run?)
	$(PY) -m encoder.train --preset $(PRESET) $(ARGS)

fuzz: install-test $(BUNDLE)/manifest.json ## seeded fuzz campaigns: damaged inputs, killed exports, full disks
	$(PY) -m tests.fuzz --bundle $(BUNDLE) $(ARGS)

calibration-data: install-train ## render the calibration and parity screens again
	$(PY) -m calibration_data render $(ARGS)

clean: ## remove bundles and caches, keep .venv
	rm -rf dist build .pytest_cache .ruff_cache

$(BUNDLE)/manifest.json: | install-export
	$(PY) -m export $(PRESET)
