# `make demo` and `make test` work on a fresh machine with Python 3.10 or newer; `make check` is what CI adds to the tests.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check clean

.venv/light: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -e .
	touch $@

.venv/dev: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -e '.[cpu,train,ray,dev]'
	touch $@ .venv/light

demo: .venv/light
	$(BIN)/deadpan predict examples/photos/*.png examples/photos/*.jpg --panel out/demo
	@echo "The panels with the generated neutral faces are in out/demo."

test: .venv/dev
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -n 2 --cov --cov-report=term --cov-fail-under=90

check: .venv/dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

clean:
	rm -rf .venv out build dist *.egg-info
