# Everything sets itself up: Python 3.11 to 3.13, pip and make are enough.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/
WORKERS ?= -n 2 --dist loadfile
STAMP := $(VENV)/.installed

.PHONY: setup test test-full check demo clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN)python -m pip install --quiet --no-compile -c constraints.txt -e '.[examples,dev]'
	touch $@

# The checks that need no board, then the suite; long sweeps sample their cases.
test: $(STAMP)
	OMP_NUM_THREADS=1 $(RUN)python -m pytest -q $(WORKERS) -m "not full and not hardware"

test-full: $(STAMP)
	OMP_NUM_THREADS=1 $(RUN)python -m pytest -q $(WORKERS) -m "full and not hardware"

check: $(STAMP)
	$(RUN)ruff check .
	$(RUN)ruff format --check .
	find firmware_templates tests -name '*.[ch]' -not -path 'tests/golden/*' | xargs $(RUN)clang-format --dry-run -Werror
	$(RUN)mypy --strict edgeq
	$(RUN)lint-imports

demo: $(STAMP)
	OMP_NUM_THREADS=1 $(RUN)python examples/digits/demo.py --out build/demo

clean:
	rm -rf build .pytest_cache .mypy_cache .ruff_cache
