# The commands for contributors. `make` lists them.

PYTHON ?= python3
PORT   ?= 8000
ARGS   ?=
VENV   := .venv
BIN    := $(VENV)/bin

# The demo model: the folder for its corpus and checkpoints, its training tokens in millions, and its initial weights.
WORK     ?= $(HOME)/.cache/oruel/demo-model
TOKENS   ?= 919
START    ?=
DEMO     := src/oruel/models/oruel-demo.gguf
FINISH    = $(WORK)/finish-$(TOKENS)
FORMS     = $(WORK)/forms-$(TOKENS)
TRAINING := .venv-training
# 47% faster in one measurement: training allocates and frees large blocks all the time.
MALLOC   := GLIBC_TUNABLES=glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=17179869184:glibc.malloc.top_pad=268435456:glibc.malloc.arena_max=1
TRAIN    := PYTHONPATH=src $(TRAINING)/bin/python -m training

# vLLM's virtual environment.
VLLM := .venv-vllm

help: ## list these targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

serve: $(VENV)/serve.done ## serve the demo model on http://127.0.0.1:8000 (PORT=…, ARGS="--model …")
	@$(BIN)/oruel serve --port $(PORT) $(ARGS)

# With PYTHONDONTWRITEBYTECODE, each run would compile the tests, and each of the 200 processes that they start the package.
test slow-test unit: export PYTHONDONTWRITEBYTECODE :=

# Without Node, the tests that need it are skipped.
test: $(VENV)/dev.done $(if $(shell command -v npm),node_modules/.done) ## run all tests but the slow ones, 12 minutes (ARGS="-k …" selects some)
	@$(BIN)/pytest -m "not slow" $(ARGS)

slow-test: $(VENV)/dev.done $(if $(shell command -v npm),node_modules/.done) ## run the playground in a browser, outages and 40 kills, and oruel verify 20 times, 9 minutes
	@$(BIN)/pytest -m slow $(ARGS)

unit: $(VENV)/dev.done ## run the tests that need no model, 1 minute
	@$(BIN)/pytest -m "not model and not slow" $(ARGS)

soak: $(VENV)/dev.done ## send random requests, cancellations and kills, 20 minutes (ARGS="--minutes 2")
	@$(BIN)/python -m tests.soak $(ARGS)

fuzz: $(VENV)/dev.done ## send mutated requests over raw sockets, 5 minutes; prints its seed (ARGS="--minutes 1 --seed 7")
	@$(BIN)/python -m tests.fuzz $(ARGS)

attack: $(VENV)/dev.done ## measure how long a client waits while another attacks the server, 1 minute
	@$(BIN)/python -m tests.attack.waiting $(ARGS)

openapi: $(VENV)/dev.done ## check the server against its OpenAPI document, 1 minute (ARGS="--seconds 20")
	@$(BIN)/python -m tests.openapi $(ARGS)

bench: $(VENV)/dev.done ## benchmark against llama.cpp's own server, 20 minutes (ARGS="--only sampling", "--model …")
	@TEST_VLLM=$(VLLM) $(BIN)/python -m bench $(ARGS)

gpu-check: $(VENV)/dev.done ## check and benchmark a GPU build of libllama, 5 minutes (LIBLLAMA=…, ARGS="--gpu-layers 0")
	@$(BIN)/python -m bench.gpu_check $(ARGS)

model: $(TRAINING)/done $(WORK)/tokenizer.json ## train the demo model from scratch, minutes on a GPU, days without; resumes if interrupted (TOKENS=919, in millions)
	@$(MALLOC) $(TRAIN).train --work $(WORK) --tokens $(TOKENS) $(if $(START),--start $(START))
	@$(TRAIN).export --work $(WORK) --target $(DEMO)
	@$(TRAIN).check --work $(WORK) --model $(DEMO)
	@$(if $(START),,$(MAKE) --no-print-directory model-finish)

# The finishing steps of the bundled file, which need no GPU because their batches are small.
model-finish: $(TRAINING)/done $(WORK)/tokenizer.json
	@$(TRAIN).corpus --work $(FINISH) --conversations 100000 --mix finishing --seed 12
	@cp $(WORK)/tokenizer.json $(FINISH)
	@CUDA_VISIBLE_DEVICES= $(MALLOC) $(TRAIN).train --work $(FINISH) --tokens 4 --start $(DEMO) --peak 0.1
	@$(TRAIN).export --work $(FINISH) --target $(DEMO)
	@$(TRAIN).check --work $(FINISH) --model $(DEMO)

model-more: TOKENS := $(if $(filter file,$(origin TOKENS)),5,$(TOKENS))
model-more: ## train the bundled demo model further, from its checkpoint or else its weights (TOKENS=5, in millions)
	@$(MAKE) --no-print-directory model WORK=$(WORK)-more START=$(DEMO) TOKENS=$(TOKENS)

model-forms: TOKENS := $(if $(filter file,$(origin TOKENS)),20,$(TOKENS))
model-forms: $(TRAINING)/done ## train the bundled demo model further on documents and calls under forms (TOKENS=20, in millions)
	@$(TRAIN).corpus --work $(FORMS) --mix forms --conversations 200000 --seed 23
	@$(TRAIN).tokenizer --work $(FORMS) --model $(DEMO)
	@$(MALLOC) $(TRAIN).train --work $(FORMS) --tokens $(TOKENS) --start $(DEMO) --peak 0.4
	@$(TRAIN).export --work $(FORMS) --target $(DEMO)
	@$(TRAIN).check --work $(FORMS) --model $(DEMO)

model-eval: $(TRAINING)/done ## evaluate the demo model on held-out data, minutes (ARGS="--wrong 5", "--only sums")
	@$(TRAIN).evaluation --model $(DEMO) $(ARGS)

vllm: PORT := $(if $(filter file,$(origin PORT)),8100,$(PORT))
vllm: $(VENV)/dev.done $(VLLM)/plugin.done ## serve the demo model with vLLM and the plugin on http://127.0.0.1:8100, after installing 3.4 GB (PORT=…, ARGS="--max-num-seqs 8")
	@$(BIN)/python -m tests.vllm.serve --environment $(VLLM) --port $(PORT) $(ARGS)

test-vllm: $(VENV)/dev.done $(VLLM)/plugin.done ## run the tests that need a real vLLM, 10 minutes (ARGS="-k …" selects some)
	@# With vLLM's torch and its own types, and everything else from the contributors' environment.
	@PYTHONPATH=src:$(wildcard $(VENV)/lib/python*/site-packages) $(VLLM)/bin/python -m pytest tests/vllm_plugin tests/sampling $(ARGS)
	@TEST_VLLM=$(VLLM) $(BIN)/pytest tests/vllm $(ARGS)

screenshots: $(VENV)/dev.done ## photograph the playground in light, dark and phone width, into build/screenshots/
	@$(BIN)/python -m tests.web.screenshots $(ARGS)

lint: $(VENV)/dev.done node_modules/.done ## check formatting, style and types
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy
	@node_modules/.bin/tsc --project .
	@node_modules/.bin/tsc --project tests/web/unit

format: $(VENV)/dev.done ## format the code and fix what ruff can fix
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

clean: ## remove the virtual environment and the Node packages
	@rm -rf $(VENV) node_modules

$(VENV)/python.done:
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else "Oru'"'"'el needs Python 3.11 to 3.13, but this is " + sys.version.split()[0] + ". Choose another: make PYTHON=python3.12")'
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/serve.done: $(VENV)/python.done requirements.txt pyproject.toml
	@echo "Installing into $(VENV), about a minute"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)/dev.done: $(VENV)/serve.done requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: -r requirements-dev.txt
	@# Without their dependencies: instructor's bounds on rich and jiter, which only its command line needs, conflict with
	@# ours, and LangChain's tests bring six plugins for pytest, which none of the tests that we run needs.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --no-deps instructor==1.17.0 langchain-tests==1.1.9
	@touch $@

node_modules/.done: package-lock.json
	@npm ci
	@touch $@

$(TRAINING)/done: training/requirements.txt
	@$(PYTHON) -m venv $(TRAINING)
	@$(TRAINING)/bin/python -m pip install --quiet --disable-pip-version-check -r training/requirements.txt
	@touch $@

$(VLLM)/vllm.done: tests/vllm/environment.py
	@$(PYTHON) tests/vllm/environment.py $(VLLM)
	@touch $@

$(VLLM)/plugin.done: $(VLLM)/vllm.done vllm_plugin/pyproject.toml $(shell find vllm_plugin src/oruel -name '*.py')
	@$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall ./vllm_plugin
	@touch $@

$(WORK)/tokenizer.json: | $(TRAINING)/done
	@$(TRAIN).corpus --work $(WORK)
	@$(TRAIN).tokenizer --work $(WORK)

.PHONY: help serve test slow-test unit soak fuzz attack openapi bench gpu-check screenshots model model-finish model-forms model-more model-eval vllm test-vllm lint format clean
