# On a fresh Debian or macOS with Python 3.11 and make: `make run` shows what Avowal does, `make test` shows that it does.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SAMPLE := build/sample
SERVERS := nginx-light apache2-bin haproxy caddy chromium
FUZZ_SECONDS ?= 10
unexport PYTHONDONTWRITEBYTECODE  # where it is set, each command compiles Avowal anew: 0.2 s, which nobody pays who installed it

.PHONY: run test test-quick test-thorough fuzz check bench clean

run: $(READY)  ## A sample site's log, collected under its policy, and what it says.
	@$(BIN)/python examples/sample.py $(SAMPLE)

test: $(READY)  ## All tests, shared among the cores; those of real servers run where these are, or can be installed.
	-@tools/need $(SERVERS)
	$(BIN)/python -m pytest -n auto

test-quick: $(READY)  ## Most tests, with few examples, without kills, real servers and browsers: while one writes.
	$(BIN)/python -m pytest -n auto --hypothesis-profile quick

test-thorough: $(READY)  ## All tests, with every kill and many examples. Takes long.
	-@tools/need $(SERVERS)
	$(BIN)/python -m pytest -n auto --hypothesis-profile thorough

fuzz: $(READY)  ## What reads input of strangers, on made-up input: FUZZ_SECONDS for each target.
	$(BIN)/python fuzz/run.py --seconds $(FUZZ_SECONDS)

check: $(READY)  ## What CI runs beside the tests.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/audit.py

bench: $(READY)  ## Speed and memory, beside GoAccess, on this machine. Takes some minutes.
	$(BIN)/python benchmarks/goaccess.py
	$(BIN)/python benchmarks/ledger.py
	$(BIN)/python benchmarks/readings.py
	$(BIN)/python benchmarks/busy_visitor.py
	$(BIN)/python benchmarks/proof.py
	$(BIN)/python benchmarks/gdprbench.py
	-@tools/need wrk
	$(BIN)/python benchmarks/serving.py
	-@tools/need chromium
	$(BIN)/python benchmarks/visitor.py
	$(BIN)/python benchmarks/wrapped.py

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Avowal needs Python 3.11 or later; name one: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { tools/need python3-venv && $(PYTHON) -m venv --clear $(VENV); }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

clean:
	rm -rf $(VENV) build dist
