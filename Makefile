# make demo, make test and make check set themselves up: they need Python 3.11 or later and make, nothing else.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup demo page test check docs wheel-check bench gpu-check clean

setup: $(READY)

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "justzoomin needs Python 3.11 or later; set PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

demo: $(READY)
	$(BIN)/jzi demo --out demo

# The page on the demo's unseen town, in the browser.
page: $(READY)
	test -d demo/unseen-town || $(BIN)/jzi demo --out demo
	$(BIN)/jzi serve --map demo/unseen-town --examples demo/photos/unseen-town --open

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_layers.py

# The documentation site, in build/docs; a warning, such as a link that leads nowhere, is an error.
docs: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.txt -r docs/requirements.txt
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going -b html docs build/docs
	@echo build/docs/index.html

# Builds the wheel, installs it into an environment of its own and locates a photo there. Needs a package index.
wheel-check: $(READY)
	$(BIN)/python scripts/check_wheel.py --install --also torch==2.13.0

bench: $(READY)
	$(BIN)/python benchmarks/run.py

# Needs a GPU and a torch wheel with CUDA; see docs/gpu.md.
gpu-check: $(READY)
	$(BIN)/python benchmarks/gpu_check.py

clean:
	rm -rf $(VENV) demo build dist docs/reference
