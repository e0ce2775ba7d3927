# Every target sets up what it needs, on a fresh Debian or Ubuntu with Python 3.11 to 3.13, git and make.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# Without bytecode every start of Airflow takes three times as long; some machines switch it off.
unexport PYTHONDONTWRITEBYTECODE

PREPARE := scripts/prepare
AIRLOCK := $(PREPARE) .venv requirements.lock
MODELS := $(PREPARE) .venv-models include/models/environment/requirements.lock
HOST := $(PREPARE) .venv-host include/host/requirements-test.lock

LOCK := .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --no-header
EXTRAS := --extra postgres --extra docker --extra kubernetes --extra s3 --extra gateway --extra kafka

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-21s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Real models through DEV, SIT, UAT and PROD in real Airflow (DEMO_EXIT=1 ends after the story)
	@$(AIRLOCK)
	@$(MODELS)
	@DEMO_MODELS_PYTHON=$(CURDIR)/.venv-models/bin/python exec .venv/bin/python -m demo

.PHONY: test
test: ## All tests: host and measurements in their environments, then everything else with real parts
	@scripts/prepare-test-machine
	@$(AIRLOCK)
	@$(MODELS)
	@$(HOST)
	@scripts/run-tests

.PHONY: unit
unit: ## The tests that take seconds
	@$(AIRLOCK)
	.venv/bin/pytest -q -m "not airflow and not browser and not docker and not kubernetes"

.PHONY: test-kubernetes
test-kubernetes: ## The kind kubernetes on the cluster of KUBECONFIG, with the image AIRLOCK_TEST_IMAGE
	@$(AIRLOCK)
	.venv/bin/pytest tests/e2e/kubernetes -v

.PHONY: kubernetes-test-image
kubernetes-test-image: ## An image with host and model for test-kubernetes (OPTIONS="--save image.tar")
	@$(AIRLOCK)
	.venv/bin/python -m tests.e2e.kubernetes.image $(OPTIONS)

.PHONY: lint
lint: ## ruff, mypy --strict and the layers
	@$(AIRLOCK)
	@$(HOST)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy plugins/airlock plugins/airlock_plugin.py demo
	.venv/bin/mypy --config-file include/host/pyproject.toml --python-executable .venv-host/bin/python \
		include/host/airlock_host
	.venv/bin/lint-imports

.PHONY: bench
bench: ## Benchmarks, as a table in docs/benchmarks.md
	@scripts/prepare-test-machine
	@$(AIRLOCK)
	@$(MODELS)
	.venv/bin/python -m benchmarks

.PHONY: lock
lock: ## Renew requirements.lock from pyproject.toml, and the stack's deploy/requirements.lock with the same versions
	@$(AIRLOCK)
	$(LOCK) --upgrade --group dev $(EXTRAS) pyproject.toml --output-file requirements.lock
	$(LOCK) --constraint requirements.lock $(EXTRAS) pyproject.toml deploy/requirements.in \
		--output-file deploy/requirements.lock

.PHONY: clean
clean: ## Remove what the other targets made
	rm -rf .venv .venv-host .venv-models .venv-bench* .demo data
