# Everything a contributor runs. `make` alone lists it.

PYTHON ?= python3
PORT   ?= 8000
ARGS   ?=
VENV   := .venv
BIN    := $(VENV)/bin

# The demo model: where its corpus and checkpoints are kept, how many million tokens it is trained on, how it starts.
WORK     ?= $(HOME)/.cache/oruel/demo-model
TOKENS   ?= 919
START    ?=
DEMO     := src/oruel/models/oruel-demo.gguf
FINISH    = $(WORK)/finish-$(TOKENS)
TRAINING := .venv-training
# Worth 47% in one measurement: training frees and takes large blocks all the time.
MALLOC   := GLIBC_TUNABLES=glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=17179869184:glibc.malloc.top_pad=268435456:glibc.malloc.arena_max=1
TRAIN    := PYTHONPATH=src $(TRAINING)/bin/python -m training

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

fuzz: $(VENV)/dev.done ## 5 minutes of mutated requests over raw sockets, its seed printed (ARGS="--minutes 1 --seed 7")
	@$(BIN)/python -m tests.fuzz $(ARGS)

attack: $(VENV)/dev.done ## how long another client waits while one attacks at full speed, a minute
	@$(BIN)/python -m tests.attack.waiting $(ARGS)

openapi: $(VENV)/dev.done ## a minute of requests made from the OpenAPI document, which has to be true (ARGS="--seconds 20")
	@$(BIN)/python -m tests.openapi $(ARGS)

bench: $(VENV)/dev.done ## measure beside llama.cpp's own server, 20 minutes (ARGS="--only sampling", "--model …")
	@$(BIN)/python -m bench $(ARGS)

gpu-check: $(VENV)/dev.done ## check and measure a GPU build of libllama, 5 minutes (LIBLLAMA=…, ARGS="--gpu-layers 0")
	@$(BIN)/python -m bench.gpu_check $(ARGS)

model: $(TRAINING)/done $(WORK)/tokenizer.json ## make the demo model from nothing, minutes on a GPU, days without; goes on where it was stopped (TOKENS=919, in millions)
	@$(MALLOC) $(TRAIN).train --work $(WORK) --tokens $(TOKENS) $(if $(START),--start $(START))
	@$(TRAIN).export --work $(WORK) --target $(DEMO)
	@$(TRAIN).check --work $(WORK) --model $(DEMO)
	@$(if $(START),,$(MAKE) --no-print-directory model-finish)

# As the bundled file was finished: in small batches, so without a GPU.
model-finish: $(TRAINING)/done $(WORK)/tokenizer.json
	@$(TRAIN).corpus --work $(FINISH) --conversations 100000 --finishing --seed 12
	@cp $(WORK)/tokenizer.json $(FINISH)
	@CUDA_VISIBLE_DEVICES= $(MALLOC) $(TRAIN).train --work $(FINISH) --tokens 4 --start $(DEMO) --peak 0.1
	@$(TRAIN).export --work $(FINISH) --target $(DEMO)
	@$(TRAIN).check --work $(FINISH) --model $(DEMO)

model-more: TOKENS := $(if $(filter file,$(origin TOKENS)),5,$(TOKENS))
model-more: ## train the bundled demo model further, from its own weights where there is no checkpoint (TOKENS=5)
	@$(MAKE) --no-print-directory model WORK=$(WORK)-more START=$(DEMO) TOKENS=$(TOKENS)

model-eval: $(TRAINING)/done ## evaluate the demo model on what its corpus leaves out, minutes (ARGS="--wrong 5", "--only sums")
	@$(TRAIN).evaluation --model $(DEMO) $(ARGS)

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

$(TRAINING)/done: training/requirements.txt
	@$(PYTHON) -m venv $(TRAINING)
	@$(TRAINING)/bin/python -m pip install --quiet --disable-pip-version-check -r training/requirements.txt
	@touch $@

$(WORK)/tokenizer.json: | $(TRAINING)/done
	@$(TRAIN).corpus --work $(WORK)
	@$(TRAIN).tokenizer --work $(WORK)

.PHONY: help serve test unit soak fuzz attack openapi bench gpu-check model model-finish model-more model-eval lint format clean
