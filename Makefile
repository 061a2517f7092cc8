# Everything a newcomer needs: `make demo` shows Sealgate end to end, `make test` passes every test.
# Both set up what they need: the Python environment, a Docker engine and the runtime image.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
HOME_DIR ?= var/local

export PYTHONDONTWRITEBYTECODE := 1
unexport PYTHONPATH

.DEFAULT_GOAL := help
.PHONY: help setup engine image tools demo up down test lint bench lock examples clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

$(VENV)/.ready: requirements-dev.lock pyproject.toml
	@deploy/python.sh "$(PYTHON)" "$(VENV)"
	@touch $@

setup: $(VENV)/.ready ## create the Python environment from the hashed lock file

engine: ## make sure that a Docker engine answers (installs one as root on Debian)
	@deploy/engine.sh up

image: setup engine ## build the runtime image that plugins run in, once
	@$(BIN)/sealgate image build

tools: ## make sure of what only the tests need: Chromium, Node.js
	@deploy/test-tools.sh

demo: image ## run the main job end to end, and show what is refused
	@$(BIN)/python -m sealgate.demo

up: image ## start a local deployment to use by hand, and print addresses and logins
	@test -f $(HOME_DIR)/sealgate.json || $(BIN)/sealgate --home $(HOME_DIR) init
	@$(BIN)/sealgate --home $(HOME_DIR) up

down: ## stop what `make up` started
	@$(BIN)/sealgate --home $(HOME_DIR) down

lint: setup ## style, types, import arrows, licences
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python deploy/licences.py

test: lint image tools ## every check and every test (about ten minutes on two cores)
	@$(BIN)/python -m pytest -n 2 --dist loadfile

bench: image examples ## measure, and write benchmarks/results/*.json
	@for b in benchmarks/[a-z]*.py; do echo "== $$b"; $(BIN)/python $$b || exit 1; done

examples: setup ## build the example plugins into examples/dist/
	@for e in markdown-render table-query limit-probe; do \
	  $(BIN)/python -m build --wheel --no-isolation --outdir examples/dist examples/$$e >/dev/null && echo "built $$e"; done

lock: setup ## renew the hashed lock files from pyproject.toml
	@deploy/lock.sh

clean: ## remove the environment and local state (stops nothing)
	rm -rf $(VENV) var examples/dist
