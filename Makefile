# Two commands on a fresh clone do everything, set-up included: `make train` and `make test`.
# The README says the same without make.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

# The bundled digits, about a minute of training on two processor cores.
RUN    ?= runs/first
BUDGET ?= 1m

.PHONY: train test test-all soak check format clean

train: $(READY)
	@if [ -e $(RUN)/run.json ]; then $(BIN)/ganvas resume $(RUN); \
	else $(BIN)/ganvas train --data mnist-5k --budget $(BUDGET) --out $(RUN); fi
	@$(BIN)/ganvas sample $(RUN) --count 64 --out $(RUN)/sample.png
	@echo "images: $(RUN)/sample.png  $(RUN)/animation.gif  $(RUN)/samples/"

# A process for each core, each with one thread: two with two threads would wait for each other.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

test: $(READY)
	$(PYTEST)

test-all: $(READY)
	$(PYTEST) -m ""

# Disturbs training at random for so many minutes; see docs/reliability.md.
MINUTES ?= 30

soak: $(READY)
	$(BIN)/python scripts/soak.py --minutes $(MINUTES)

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) build src/*.egg-info .mypy_cache .pytest_cache .ruff_cache
