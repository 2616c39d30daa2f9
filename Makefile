# Two commands do everything on a fresh machine with Python 3.11 or later: make demo, make test.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
# Without byte code: only what is imported gets compiled, at the first import.
INSTALL := $(PIP) install --quiet --no-compile --constraint constraints.txt

PROMPT ?= a red circle above a blue square on a yellow background
export PROMPT

.PHONY: help demo test lint types house docs tests fmt bench load fuzz soak train wheel clean

help:
	@echo "make demo [PROMPT=…]  draw a picture through the real server, as an MCP client would"
	@echo "make test             every check: lint, types, architecture, docs, tests with coverage"
	@echo "make lint | fmt       check or mend the style"
	@echo "make docs             write the generated pages under docs/"
	@echo "make bench            measure against peers; writes docs/benchmarks.*"
	@echo "make load             2,000 jobs queued, 200 clients waiting, for half an hour"
	@echo "make chaos            kill servers at every moment of a job's life, CHAOS_RUNS times (300)"
	@echo "make fuzz             fuzz decoders and parsers for ten minutes, or FUZZ_SECONDS"
	@echo "make soak             kill servers under a mixed load for an hour, or SOAK_SECONDS"
	@echo "make train            train the embedded model from scratch"
	@echo "make wheel            build the wheel into dist/"

demo: $(VENV)/.local
	@$(BIN)/python scripts/demo.py

test: lint tests

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy scripts benchmarks docs/examples
	$(BIN)/lint-imports
	$(BIN)/python scripts/check_sizes.py
	$(BIN)/python scripts/generate_docs.py --check
	$(BIN)/python scripts/tool_tokens.py

tests: $(VENV)/.dev
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n auto --dist loadfile --max-worker-restart 0
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

fmt: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.dev
	$(BIN)/python scripts/generate_docs.py

bench: $(VENV)/.local
	$(BIN)/python benchmarks/run.py

load: $(VENV)/.local
	@$(BIN)/python benchmarks/load.py

# Kills servers and workers, fills the disk, locks the database, moves the clock, at every moment.
chaos: $(VENV)/.dev
	@CHAOS_RUNS=$${CHAOS_RUNS:-300} $(BIN)/pytest tests/chaos/test_kill_points.py

fuzz: $(VENV)/.dev
	@PYTHONPATH=tests $(BIN)/python tests/hostile/fuzz.py

soak: $(VENV)/.dev
	@PYTHONPATH=tests $(BIN)/python tests/soak/soak.py --docs

train: $(VENV)/.local
	$(MAKE) -C training PYTHON=$(abspath $(BIN)/python)

wheel: $(VENV)/.dev
	$(PIP) wheel --quiet --no-deps --wheel-dir dist .

clean:
	rm -rf $(VENV) .bench build dist htmlcov .coverage* .mypy_cache .ruff_cache .pytest_cache

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("error: Python %d.%d is too old.\nhint: Name a newer one: make PYTHON=python3.12" % v[:2])'
	@$(PYTHON) -m venv $(VENV) || { echo "hint: On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@touch $@

$(VENV)/.local: $(VENV)/.made pyproject.toml constraints.txt
	@echo "Installing into $(VENV) (a minute or two, once)…"
	@$(INSTALL) --editable '.[local]'
	@touch $@

# Dependency groups need a newer pip than some Pythons come with.
$(VENV)/.dev: $(VENV)/.local
	@$(PIP) install --quiet --upgrade 'pip>=25.1'
	@$(INSTALL) --group dev
	@touch $@
