# Everything a contributor runs. `make` alone lists it.

PYTHON ?= python3
PORT   ?= 8000
ARGS   ?=
VENV   := .venv
BIN    := $(VENV)/bin

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

serve: $(VENV)/serve.done ## serve the demo model on http://127.0.0.1:8000 (PORT=…, ARGS="--model …")
	@$(BIN)/oruel serve --port $(PORT) $(ARGS)

test: $(VENV)/dev.done ## run every test (ARGS="-k …" for some)
	@$(BIN)/pytest $(ARGS)

unit: $(VENV)/dev.done ## run the tests that need no model, in a minute
	@$(BIN)/pytest -m "not model" $(ARGS)

soak: $(VENV)/dev.done ## 20 minutes of random requests, cancellations and kills (ARGS="--minutes 2")
	@$(BIN)/python -m tests.soak $(ARGS)

bench: $(VENV)/dev.done ## measure beside llama.cpp's own server, 20 minutes (ARGS="--only sampling", "--model …")
	@$(BIN)/python -m bench $(ARGS)

lint: $(VENV)/dev.done ## check format, style and types
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy

format: $(VENV)/dev.done ## rewrite the code in the project's format
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

clean: ## remove the environment
	@rm -rf $(VENV)

$(VENV)/python.done:
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else "Oru'"'"'el needs Python 3.11 to 3.13; this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12")'
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/serve.done: $(VENV)/python.done requirements.txt pyproject.toml
	@echo "Installing into $(VENV), about a minute"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)/dev.done: $(VENV)/serve.done requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: -r requirements-dev.txt
	@# Its bounds on rich and jiter, which only its own command line needs, contradict what the server installs.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --no-deps instructor==1.17.0
	@touch $@

.PHONY: help serve test unit soak bench lint format clean
