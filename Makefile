# `make demo` and `make test` do all the set-up they need; it runs again only when pyproject.toml changes.
VENV := .venv
BIN  := $(VENV)/bin
# The first Python on the path that is new enough; `make PYTHON=… demo` chooses another.
PYTHON ?= $(firstword $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p; done) python3)

GL_PACKAGES := libegl1 libgles2 libgl1 libegl-mesa0 libgl1-mesa-dri libglib2.0-0
GL_LIBRARIES := libEGL.so.1 libGLESv2.so.2 libGL.so.1 libEGL_mesa.so.0 libglib-2.0.so.0
# Twice quiet: the build backend warns at length about a root folder that is the package.
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check --no-input
APT := DEBIAN_FRONTEND=noninteractive apt-get -qq

.PHONY: help setup demo test lint clean
.DELETE_ON_ERROR:

help:
	@echo "make demo    set up, then let a robot smile with a simulated person, into out/demo"
	@echo "make test    set up, then run ruff, pyright and the tests"
	@echo "make setup   only set up: $(VENV), packages, OpenGL libraries, the face model"
	@echo "make clean   remove $(VENV), out and all caches"

demo: $(VENV)/.ready
	$(BIN)/duchenne coexpress --out out/demo

test: lint
	$(BIN)/python -m pytest

lint: $(VENV)/.ready-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright

setup: $(VENV)/.ready

clean:
	rm -rf $(VENV) out build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The link is for type checkers: they cannot follow the import hook that pip's editable install sets.
$(VENV)/.ready: pyproject.toml | $(BIN)/python
	@$(BIN)/python -c 'import ctypes; [ctypes.CDLL(n) for n in "$(GL_LIBRARIES)".split()]' 2>/dev/null \
	  || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	       && echo "installing OpenGL libraries: $(GL_PACKAGES)" && $(APT) update \
	       && $(APT) install -y --no-install-recommends $(GL_PACKAGES) >/dev/null; } \
	  || echo "OpenGL libraries are missing; install them: sudo apt-get install -y $(GL_PACKAGES)" >&2
	@echo "installing Python packages into $(VENV)"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	@$(PIP) install --upgrade "pip>=25.1"
	@$(PIP) install --editable .
	@mkdir -p $(VENV)/import && ln -sfn ../.. $(VENV)/import/duchenne
	@$(BIN)/duchenne doctor --mend
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	@echo "installing the tools that test it"
	@$(PIP) install --group dev
	@touch $@

# Debian keeps the venv module in a package of its own; a half-made environment must not look ready.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "duchenne needs Python 3.11 or newer, found: $$($(PYTHON) --version 2>&1);" \
	       "install one, then: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 \
	  || { rm -rf $(VENV); [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && $(APT) update \
	       && { $(APT) install -y $$(basename $$(readlink -f $$(command -v $(PYTHON))))-venv >/dev/null \
	            || $(APT) install -y python3-venv >/dev/null; } && $(PYTHON) -m venv $(VENV); } \
	  || { rm -rf $(VENV); \
	       echo "Python cannot make a virtual environment; install: sudo apt-get install python3-venv" >&2; exit 1; }
