# `make demo` and `make test` work on a fresh machine with Python 3.10 or newer; `make check` is what CI adds to the tests.
PYTHON ?= python3
LIGHT := .venv-light
DEV := .venv

.PHONY: demo test check clean

$(LIGHT)/installed: pyproject.toml
	$(PYTHON) -m venv $(LIGHT)
	$(LIGHT)/bin/pip install --quiet --upgrade pip
	$(LIGHT)/bin/pip install --quiet -e .
	touch $@

$(DEV)/installed: pyproject.toml
	$(PYTHON) -m venv $(DEV)
	$(DEV)/bin/pip install --quiet --upgrade pip
	$(DEV)/bin/pip install --quiet -e '.[cpu,train,dev]'
	touch $@

demo: $(LIGHT)/installed
	$(LIGHT)/bin/deadpan predict examples/photos/*.png examples/photos/*.jpg --panel out/demo
	@echo "The panels with the generated neutral faces are in out/demo."

test: $(DEV)/installed
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(DEV)/bin/python -m pytest -n 2 --cov --cov-report=term --cov-fail-under=90

check: $(DEV)/installed
	$(DEV)/bin/ruff check
	$(DEV)/bin/ruff format --check
	$(DEV)/bin/mypy

clean:
	rm -rf $(LIGHT) $(DEV) out build dist *.egg-info
