# `make demo` and `make test` work on a fresh machine with Python 3.10 or newer; `make help` lists all targets.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help demo test check docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "%-6s %s\n", $$1, $$2}' Makefile

.venv/light: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -e .
	touch $@

.venv/dev: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -e '.[cpu,train,ray,docs,dev]'
	touch $@ .venv/light .venv/docs

.venv/docs: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -e '.[docs]'
	touch $@ .venv/light

demo: .venv/light ## read the example photographs and say which answers are right
	$(BIN)/python examples/demo.py out/demo

test: .venv/dev ## run the tests
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -n 2 --cov --cov-report=term --cov-fail-under=90

check: .venv/dev ## check style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

docs: .venv/docs ## build the documentation site into out/site
	$(BIN)/zensical build --clean --strict
	@echo "Open out/site/index.html in a browser."

clean: ## remove everything that the targets made
	rm -rf .venv out build dist *.egg-info
