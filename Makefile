# Towline: `make demo` shows it, `make test` proves it, `make help` names the rest.
.DEFAULT_GOAL := help
SHELL := bash
VENV ?= .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell deploy/newest-python)
UV_VERSION := 0.13.9
# Programs are started hundreds of times: they keep what they compiled.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test test-slow test-long test-cluster control-plane helm-tools check fmt lock bench

help: ## Name the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

setup: $(VENV)/.ready ## Make .venv with every extra and the command .venv/bin/towline

$(VENV)/.ready: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Towline needs Python 3.11 or newer: install one, or name it with PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes --compile-bytecode -r requirements.lock
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

demo: setup ## Show the whole line on this machine with simulated clusters
	@$(BIN)/towline demo

test: setup ## Run the fast tests
	@$(BIN)/python -m pytest -m "not slow and not long and not cluster" -n auto

test-slow: setup ## Run whole user stories, kill programs, lose buses
	@$(BIN)/python -m pytest -m slow -n auto --dist worksteal

test-long: setup ## Deliver every commit of every real history, to a real Kubernetes too where it is built
	@$(BIN)/python -m pytest -m long -rs -n auto --dist worksteal

test-cluster: setup ## Run the tests against a real Kubernetes; CLUSTER=context takes one of your kubeconfig
	@$(if $(CLUSTER),,! command -v go >/dev/null || $(MAKE) --no-print-directory control-plane)
	@TOWLINE_TEST_CLUSTER="$(CLUSTER)" $(BIN)/python -m pytest -m "cluster and not long" -rs

control-plane: setup ## Build the Kubernetes that those tests run on: minutes, once a machine; needs Go
	@$(BIN)/python -m tests.support.control_plane_build

helm-tools: setup ## Build Helm's command and a registry, which charts are compared with: minutes, once a machine; needs Go
	@$(BIN)/python -m tests.support.helm_tools

check: setup ## Format, lint, types, architecture
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

fmt: setup ## Format the code, apply safe fixes, write the table of rules
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@$(BIN)/python -m tests.rules

bench: setup ## Measure: ratios, side by side in one run
	@$(BIN)/python -m tests.bench

lock: setup ## Renew requirements.lock from pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--all-extras --group dev pyproject.toml -o requirements.lock
