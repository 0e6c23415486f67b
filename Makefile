# Everything sets itself up: Python 3.11 to 3.13, pip and make are enough.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/
WORKERS ?= -n 2 --dist loadfile --no-loadscope-reorder
STAMP := $(VENV)/.installed
WANTED := -c constraints.txt pip -e '.[examples,dev]'

# A thousand modules come with torch: compiled at every import they would cost more than the tests.
unexport PYTHONDONTWRITEBYTECODE
export OMP_NUM_THREADS := 1

.PHONY: setup test test-full test-seeds check demo docs clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv --without-pip $(VENV)
	$(PYTHON) -m pip --python $(RUN)python install --quiet --no-compile uv
	UV_FIND_LINKS="$$($(PYTHON) -m pip config get global.find-links 2>/dev/null)" \
	$(RUN)uv pip install --python $(RUN)python --quiet $(WANTED) || \
	$(PYTHON) -m pip --python $(RUN)python install --quiet --no-compile $(WANTED)
	touch $@

# The checks that need no board, then the suite; long sweeps sample their cases.
test: $(STAMP)
	$(RUN)python -m pytest -q $(WORKERS) -m "not full and not hardware"

test-full: $(STAMP)
	EDGEQ_EXAMPLES=25 $(RUN)python -m pytest -q $(WORKERS) -m "full and not hardware"

# The properties alone, SEEDS times with fresh seeds, which are printed: pytest --hypothesis-seed=N.
SEEDS ?= 5
test-seeds: $(STAMP)
	@for run in $$(seq $(SEEDS)); do \
	    seed=$$(od -An -N4 -tu4 /dev/urandom | tr -d ' '); echo "run $$run of $(SEEDS): seed $$seed"; \
	    EDGEQ_EXAMPLES=$${EDGEQ_EXAMPLES:-40} $(RUN)python -m pytest -q $(WORKERS) \
	        -m "hypothesis and not hardware" --hypothesis-seed=$$seed || exit 1; \
	done

check: $(STAMP)
	$(RUN)ruff check .
	$(RUN)ruff format --check .
	find firmware_templates tests -name '*.[ch]' -not -path 'tests/golden/*' | xargs $(RUN)clang-format --dry-run -Werror
	$(RUN)mypy --strict edgeq
	$(RUN)lint-imports
	$(RUN)python tests/commit_subjects.py

demo: $(STAMP)
	$(RUN)python examples/digits/demo.py --out build/demo

# The pages as a site with a search, in an environment of its own.
docs: $(STAMP)
	$(RUN)uv tool run --from mkdocs --with mkdocs-material mkdocs build --strict --quiet
	@echo build/site/index.html

clean:
	rm -rf build .pytest_cache .mypy_cache .ruff_cache
