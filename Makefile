# pocket-encoder. `make help` lists what there is.
PRESET ?= balanced
ARGS   ?=
PYTHON ?= python3.11
VENV   := .venv
PY     := $(VENV)/bin/python
STAMP  := $(VENV)/.installed
BUNDLE := dist/$(PRESET)

.DEFAULT_GOAL := help
.PHONY: help setup export test lint check parity quality bench arm64 android compare matrix advise train fuzz calibration-data clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  PRESET=name picks a preset, ARGS='...' passes options on (ARGS=--help lists them)"

setup: $(STAMP) ## install the tested versions into .venv (every other target does it when needed)

$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) not found: install Python 3.11, or say make PYTHON=..." >&2; exit 2; }
	@echo "installing the tested versions into $(VENV): about 7 GB, some minutes, once"
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --upgrade pip==26.3
	$(PY) -m pip install --constraint constraints.txt --editable '.[onnx,export,train,cluster,dev]'
	@touch $@

export: $(STAMP) ## turn a preset into dist/PRESET, verified
	$(PY) -m export $(PRESET) $(ARGS)

test: $(STAMP) ## lint and test everything
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m pytest $(ARGS)

lint: $(STAMP) ## only the linters
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

check: $(STAMP) $(BUNDLE)/manifest.json ## gate the budgets of a bundle; exits 1 if one fails
	$(PY) -m export check $(PRESET) $(ARGS)

parity: $(STAMP) $(BUNDLE)/manifest.json ## compare every engine and precision with PyTorch's golden vectors
	$(PY) -m runtime parity $(BUNDLE) $(ARGS)

quality: $(STAMP) $(BUNDLE)/manifest.json ## what the encoder is worth on the test split; exits 1 if a limit fails
	$(PY) -m export.quality $(BUNDLE) $(ARGS)

bench: $(STAMP) $(BUNDLE)/manifest.json ## time and memory on this host
	$(PY) -m runtime bench $(BUNDLE) $(ARGS)

arm64: $(STAMP) $(BUNDLE)/manifest.json ## parity, cost and simulated latency on an emulated phone CPU
	$(PY) -m export.arm64 $(BUNDLE) $(ARGS)

android: $(STAMP) $(BUNDLE)/manifest.json ## compile, test and package the Android app, and compare it with Python
	$(PY) -m android_demo.check $(BUNDLE) $(ARGS)

compare: $(STAMP) $(BUNDLE)/manifest.json ## the shipped file beside what other tools make of the same weights
	$(PY) -m benchmarks compare $(BUNDLE) $(ARGS)

matrix: $(STAMP) ## every preset, and Option A with each slot exchanged, side by side (docs/decision_matrix.md)
	$(PY) -m export.arm64 setup
	$(PY) -m export.matrix $(ARGS)

advise: $(STAMP) ## four questions, and the preset that answers them
	$(PY) -m export advise $(ARGS)

train: $(STAMP) ## train a preset on rendered screens (docs/training.md; ARGS=--smoke: does it run?)
	$(PY) -m encoder.train --preset $(PRESET) $(ARGS)

fuzz: $(STAMP) $(BUNDLE)/manifest.json ## seeded campaigns of damaged inputs, killed exports, full disks (ARGS=--help)
	$(PY) -m tests.fuzz --bundle $(BUNDLE) $(ARGS)

calibration-data: $(STAMP) ## render the calibration and parity screens again
	$(PY) -m calibration_data render $(ARGS)

clean: ## remove bundles and caches, keep .venv
	rm -rf dist build .pytest_cache .ruff_cache

$(BUNDLE)/manifest.json: | $(STAMP)
	$(PY) -m export $(PRESET)
