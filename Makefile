# `make demo` and `make test` need Python 3.11+, pip and make, and write to $(VENV) and demo-output/
# only. PYTHON=... picks the interpreter, VENV=... the folder.

VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check
# setuptools warns that folders of the working directory may hide an editable install. Modules are compiled
# when they are first imported: of 22,000 files of the packages most never are.
INSTALL = PYTHONWARNINGS='ignore:Editable installation' $(PIP) install --quiet --no-compile --constraint constraints.txt

TESTS = tests --pyargs rankloom

# Each name is tried by running it: shims of version managers are on the path and may fail.
CANDIDATES = $(if $(PYTHON),$(PYTHON),python3.13 python3.12 python3.11 python3)
MODERN = import sys; sys.exit(sys.version_info < (3, 11))

# Tests start processes and several workers: each would compile all of the library and the tests anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-slow check docs notebooks clean

help:
	@echo "make demo       simulate interactions, measure their bias, train rankers, learn weights"
	@echo "make test       the tests that are not slow (ARGS='-k name' picks some)"
	@echo "make test-slow  the slow tests"
	@echo "make check      lint, format, import layers and types"
	@echo "make docs       the documentation site, in docs/_build/html"
	@echo "make notebooks  run the notebooks and store their outputs (NAMES='position_bias' picks some)"
	@echo "make clean      remove $(VENV), demo-output and what the site was built from and to"

demo: $(VENV)/.installed-run
	@$(BIN)/rankloom demo demo-output

test: $(VENV)/.installed-test
	$(BIN)/pytest -q -m "not slow" -n auto --dist loadfile --no-loadscope-reorder --doctest-modules $(TESTS) $(ARGS)

test-slow: $(VENV)/.installed-test
	$(BIN)/pytest -q -m slow -n auto --dist loadfile --no-loadscope-reorder tests $(ARGS)

check: $(VENV)/.installed-check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/pyright

# Two pages at a time: each cell uses one thread. Cells that ran before are not run again.
docs: $(VENV)/.installed-docs
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --jobs 2 --builder html \
	  --doctree-dir docs/_build/doctrees docs docs/_build/html
	@echo "docs/_build/html/index.html"

notebooks: $(VENV)/.installed-test
	$(BIN)/python tests/docs/notebook_runs.py $(NAMES)

clean:
	rm -rf $(VENV) demo-output docs/_build docs/reference/generated

$(VENV)/.installed-run: $(VENV)/.created
	@$(INSTALL) --editable '.[report]'
	@touch $@

$(VENV)/.installed-test: $(VENV)/.created
	@$(INSTALL) --editable '.[all]' --group test
	@touch $@ $(VENV)/.installed-run

$(VENV)/.installed-check: $(VENV)/.installed-test
	@$(INSTALL) --group check
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.created
	@$(INSTALL) --editable '.[all]' --group docs
	@touch $@ $(VENV)/.installed-run

# A venv that works is used again. Debian packages ensurepip apart: there the outer pip installs pip.
# pip 25.1 is the first with --group.
$(VENV)/.created: pyproject.toml constraints.txt
	@set -e; python=; \
	if ! $(BIN)/python -c '$(MODERN)' 2>/dev/null; then \
	  for name in $(CANDIDATES); do \
	    if "$$name" -c '$(MODERN)' 2>/dev/null; then python="$$name"; break; fi; \
	  done; \
	  if [ -z "$$python" ]; then \
	    echo "error: none of these runs as Python 3.11 or newer: $(CANDIDATES); set PYTHON=/path/to/python" >&2; \
	    exit 2; \
	  fi; \
	  echo "creating $(VENV) with $$("$$python" --version)"; \
	  "$$python" -m venv --clear $(VENV) >/dev/null 2>&1 || { \
	    "$$python" -m venv --clear --without-pip $(VENV); \
	    "$$python" -m pip --python $(BIN)/python install --quiet pip; \
	  }; \
	fi
	@$(PIP) install --quiet --upgrade 'pip>=25.1'
	@touch $@
