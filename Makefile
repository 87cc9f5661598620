# `make demo` and `make test` work on a fresh machine with Python 3.10 or newer; `make help` lists all targets.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help demo test slow check docs wheel wheels clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "%-6s %s\n", $$1, $$2}' Makefile

.venv/light: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -e .
	touch $@

.venv/dev: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -e '.[cpu,train,ray,serve,docs,dev]'
	touch $@ .venv/light .venv/docs

.venv/docs: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -e '.[docs]'
	touch $@ .venv/light

demo: .venv/light ## read the example photographs and say which answers are right
	$(BIN)/python examples/demo.py out/demo

test: .venv/dev ## run the tests
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -n 2 --cov --cov-report=term --cov-fail-under=90

slow: .venv/dev ## run the tests that take minutes
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -m slow

check: .venv/dev ## check style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

docs: .venv/docs ## build the documentation site into out/site
	$(BIN)/zensical build --clean --strict
	@echo "Open out/site/index.html in a browser."

wheel: .venv/light ## build the wheel, install it in an empty environment and read a photograph
	rm -rf build dist .venv/wheel
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .
	$(PYTHON) -m venv .venv/wheel
	.venv/wheel/bin/pip install --quiet dist/deadpan-*.whl
	cd dist && ../.venv/wheel/bin/deadpan predict ../examples/photos/girl_happiness.png --panel .

wheels: wheel ## prove that wheels exist for every supported Python and system (downloads about 2 GB)
	$(BIN)/python scripts/check_wheels.py dist/deadpan-*.whl

clean: ## remove everything that the targets made
	rm -rf .venv out build dist *.egg-info
