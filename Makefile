# Every task in one line of shell; what is longer has a file of its own. Bare `make` prints them all.
.DEFAULT_GOAL := help
.PHONY: collected manifests compose-check monitoring-check images chart help run setup model test check audit fix proto lock unit integration e2e long quality bench bench-large bench-quick bench-scale bench-stages chaos rolling upgrade load soak fuzz clean
SHELL := /bin/bash
# Python keeps what it has compiled, whatever the shell says: without it a service takes twice as long to start, and the
# tests start several hundred.
unexport PYTHONDONTWRITEBYTECODE

# Any Python from 3.11 on; looked for only by targets that use it.
PYTHON = $(or $(shell for python in python3.11 python3 python3.12 python3.13; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done), \
	$(error Python 3.11 or newer is needed and neither python3.11 nor python3 is one))
BIN := .venv/bin
SERVICES := embedding gateway knowledge retrieval
PACKAGES := $(addprefix context-,client common local ops $(SERVICES))
SOURCES := deploy libs protos services tests
COMPILE := $(BIN)/pip-compile --quiet --generate-hashes --strip-extras --no-annotate --no-header --no-emit-index-url \
	--no-emit-find-links --no-emit-options $(addprefix --unsafe-package ,$(PACKAGES) pip)
PYTEST := $(BIN)/pytest
RULES := tests/unit/test_architecture.py tests/unit/test_protos.py
UPGRADE := --upgrade
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' services/gateway/pyproject.toml)

help: ## Print what there is to make
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

run: ## Start everything on this machine; PORT=4000 CONTEXT_DATA_DIR=.data DATABASE_URL=…
	@$(PYTHON) deploy/local/install.py run && exec $(BIN)/python -m context_local

setup: ## Install what is needed to develop, and the model
	@$(PYTHON) deploy/local/install.py dev

model: ## Export the embedding model where it is absent; SOURCE=directory or hub id
	cd services/embedding && $(PYTHON) -m context_embedding.export $(if $(SOURCE),--source $(SOURCE))

test: setup ## Everything: check, then unit, integration, end to end, quality, what is deployed
	$(MAKE) --no-print-directory -j 2 check collected
	@# Longest files first; three at once, since they wait for a sixth of their time; without those that check has run.
	$(PYTEST) tests/e2e tests/deploy tests/quality tests/integration tests/unit $(RULES:%=--ignore=%) -m "not long" -n 3 --dist loadfile --no-loadscope-reorder

check: ## Lint, format, types, import law, stubs, audit of the locks; changes nothing
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy $(SOURCES)
	$(BIN)/python protos/generate.py --check
	$(BIN)/python deploy/audit/audit.py
	$(PYTEST) -q $(RULES)

# Imports all tests, and so compiles them beside the check: each worker would do all of that for itself.
collected:
	@found=$$($(PYTEST) tests --collect-only -q 2>&1) || { echo "$$found"; exit 1; }

audit: ## Ask the advisory database about every locked version; needs one that the package index serves
	$(PYTHON) -m venv .venv/audit && .venv/audit/bin/pip install --quiet pip-audit
	set -e; for lock in requirements.lock requirements-dev.lock $(SERVICES:%=services/%/requirements.lock); do \
	  .venv/audit/bin/pip-audit --strict --disable-pip --require-hashes -r $$lock; done

fix: ## Format, and repair what the linter can
	$(BIN)/ruff check --fix-only $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

proto: ## Regenerate the stubs and the wire snapshot from protos/
	$(BIN)/python protos/generate.py

lock: ## Choose third-party versions anew, with their hashes; UPGRADE= keeps those that are there
	$(COMPILE) $(UPGRADE) requirements.txt -o requirements.lock
	$(COMPILE) $(UPGRADE) requirements-dev.txt -o requirements-dev.lock
	@set -e; for name in $(SERVICES); do \
	  printf -- '-e $(CURDIR)/libs/common\n-e $(CURDIR)/services/%s\n' $$name | \
	  $(COMPILE) $(UPGRADE) --constraint requirements.lock - -o services/$$name/requirements.lock; done
	printf -- '-e $(CURDIR)/libs/common\n-e $(CURDIR)/libs/client\n-e $(CURDIR)/deploy/local\n-e $(CURDIR)/deploy/ops\n' | \
	  $(COMPILE) $(UPGRADE) --constraint requirements.lock - -o deploy/ops/requirements.lock
	printf 'hatchling\n' | $(COMPILE) $(UPGRADE) --constraint requirements.lock - -o deploy/images/build.lock
	printf 'pip\n' | $(COMPILE) $(UPGRADE) --allow-unsafe - -o deploy/local/pip.lock
	sed -i '/^# /d' deploy/images/build.lock deploy/local/pip.lock deploy/ops/requirements.lock requirements.lock requirements-dev.lock $(SERVICES:%=services/%/requirements.lock)

unit: ## Tests of one piece
	$(PYTEST) tests/unit

integration: ## Tests on real Postgres, gRPC and model
	$(PYTEST) tests/integration

e2e: ## Tests over the four real processes
	$(PYTEST) tests/e2e

long: ## Tests of more than a minute: every container of the chart booted, a rolling restart
	$(PYTEST) tests -m long

quality: ## Do questions find their records? A table, set by set and technique by technique, and what has to hold
	$(BIN)/python -m tests.quality.table --ablation
	$(PYTEST) tests/quality

bench: ## Ours, the bare limit, Chroma, txtai and mem0 on the same documents; RUN="--documents 500 --peers chroma"
	$(BIN)/python -m tests.bench.compare $(RUN)

bench-quick: ## Three minutes: ratios to the bare limit beside those that were kept; RUN=--save keeps these
	$(BIN)/python -m tests.bench.quick $(RUN)

bench-large: ## Search among 20,000 documents beside the bare limit; RUN="--documents 50000"
	$(BIN)/python -m tests.bench.large $(RUN)

bench-scale: ## Ten thousand chunks, a hundred thousand, a million; RUN="--sizes 10000,100000"
	$(BIN)/python -m tests.bench.scale $(RUN)

bench-stages: ## Where the time of one warm question goes
	$(BIN)/python -m tests.bench.query

chaos: ## Faults under load, and what was lost; RUN="--seconds 60 --faults 10 --seed 5"
	$(BIN)/python -m tests.chaos.run storm $(RUN)

rolling: ## Every process restarted under load, at two replicas
	$(BIN)/python -m tests.chaos.run rolling $(RUN)

upgrade: ## From an earlier commit to this one and back, under load; RUN="--previous v0.1.0"
	$(BIN)/python -m tests.chaos.run upgrade $(RUN)

load: ## The highest rate held, then twice that; wants a quiet machine
	$(BIN)/python -m tests.chaos.run load $(RUN)

soak: ## Mixed work for an hour, and what grows; RUN="--seconds 7200 --rate 40"
	$(BIN)/python -m tests.chaos.run soak $(RUN)

fuzz: ## What nobody should send, to every address and method; RUN="--examples 5"
	$(BIN)/python -m tests.fuzz.run $(RUN)

images: ## Build every container image; REGISTRY= BASE_IMAGE= PIP_INDEX_URL= MODEL=given, or ONLY="gateway cli"
	VERSION=$(VERSION) REVISION=$$(git describe --always --abbrev=40 --dirty --exclude '*') \
	  docker buildx bake --file deploy/images/docker-bake.hcl $(ONLY)

sbom: ## What is in each image, as CycloneDX documents in dist/sbom; after make images
	$(BIN)/python deploy/images/sbom.py dist/sbom $(foreach name,$(SERVICES) cli engine,$(REGISTRY)context-$(name):$(VERSION))

images-check: ## Every image started under strict flags and used: size, cold start, memory; after make images
	$(BIN)/python -m tests.deploy.images.check $(RUN)

monitoring-check: ## Our Prometheus and Alertmanager files beside a stack: all scraped, a killed service told of
	$(BIN)/python -m tests.deploy.monitoring.check

chart: ## Write what the Helm chart has from elsewhere, then lint it, render it over many values, boot its containers
	$(BIN)/python deploy/helm/generate.py
	$(PYTEST) tests/unit/deploy/test_chart_files.py tests/deploy/helm

manifests: ## Write k8s/, the chart as plain manifests for clusters without Helm
	$(BIN)/python deploy/helm/manifests.py

compose-check: ## The production installation by Compose, used, scaled, broken and taken down; RUN=--build
	$(BIN)/python -m tests.deploy.compose.check $(RUN)

clean: ## Remove caches and the environment; never data
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
