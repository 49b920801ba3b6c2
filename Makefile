# A machine with python3.11, pip and make needs nothing else.
PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: setup lock demo test check bench clean

setup: .venv/ready  ## make .venv with everything locked

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch .venv/ready

demo: setup  ## see it work
	$(BIN)/bartizan demo $(ARGS)

test: setup  ## every test
	$(BIN)/python -m pytest $(ARGS)

check: setup  ## formatting, lint, types, architecture; exactly what CI runs besides the tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup  ## timings against peers in the same run, and detection figures
	$(BIN)/python -m benchmarks.latency $(ARGS)
	$(BIN)/python -m benchmarks.detection $(ARGS)
	$(BIN)/python -m benchmarks.monitoring $(ARGS)

# Every extra but `classifier`: PyTorch would be most of the download, and no test needs it.
LOCKED := demo dev parquet test training

lock:  ## renew requirements.lock; no address of a package index is written
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install --quiet pip-tools
	.venv-lock/bin/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url \
	  --no-emit-find-links --no-emit-trusted-host --no-header $(LOCKED:%=--extra %) --output-file requirements.lock pyproject.toml
	rm -rf .venv-lock

clean:
	rm -rf .venv build src/*.egg-info
