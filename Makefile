# Every target sets up what it needs in .venv; nothing of the system changes but by `make haproxies` and
# `make chromium`, which may install Debian's packages.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# No folder of this repository may hide a module of the standard library's (`operator`).
export PYTHONSAFEPATH := 1

.PHONY: help demo test coverage cluster-test unit lint format types imports haproxies prometheus chromium faketime otelcol packages fuzz soak bench clean
help:
	@echo "make demo        two traced HAProxies in front of a traced server; prints the traces"
	@echo "                 [PROFILE=Standard|Full|Stream] [HAPROXY=/path] [KEEP=1]"
	@echo "make test        all tests, with every HAProxy found  [HAPROXY=/path:/path] [PROCESSES=2] [ARGS=...]"
	@echo "make coverage    all tests, and which lines of the packages they reach"
	@echo "make cluster-test  the operator on the Kubernetes that KUBECONFIG names; 4 minutes  [AGENT_IMAGE=...] [ARGS=...]"
	@echo "make haproxies   fetch more HAProxy versions for the tests (Debian)"
	@echo "make prometheus  fetch a Prometheus for the tests (Debian)"
	@echo "make chromium    install a Chromium for the tests (Debian)"
	@echo "make faketime    fetch a library for the tests that sets clocks (Debian)"
	@echo "make otelcol     build an OpenTelemetry Collector for the tests (Go 1.25 or later)"
	@echo "make lint types imports format    ruff, mypy, import rules, ruff format"
	@echo "make packages    build wheel and source distribution in dist/, and try them"
	@echo "make fuzz        search for bytes that do harm  [TARGET=...] [SECONDS=60]"
	@echo "make soak        faults under load, one after the other; prints a table  [MINUTES=10] [FAULT_SECONDS=5] [RATE=200]"
	@echo "make bench       CPU, latency, memory, start-up; beside the SDK way  [ARGS='--quick exchange']"

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; say which with PYTHON=python3.X")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable '.[agent,grpc,operator]' --group dev
	@touch $@

demo: $(STAMP)
	@PYTHONPATH=tests:. $(BIN)/python -m demo $(if $(PROFILE),--profile $(PROFILE)) $(if $(HAPROXY),--haproxy $(HAPROXY)) $(if $(KEEP),--keep)

# A file's tests run in one process, in order: what they share is started once. 0: all of it in pytest's own, for a debugger.
PROCESSES ?= 2
SHARED_OUT := --numprocesses=$(PROCESSES) --dist=loadfile --no-loadscope-reorder

test: $(STAMP)
	PYTHONWARNINGS=default $(BIN)/pytest $(SHARED_OUT) $(ARGS)

# Half as much work again, for agents as well: not part of `make test`.
coverage: $(STAMP)
	PYTHONWARNINGS=default $(BIN)/pytest $(SHARED_OUT) --cov --cov-report=term:skip-covered $(ARGS)

# On the cluster of KUBECONFIG, which must run on this machine; AGENT_IMAGE must be on its nodes.
cluster-test: $(STAMP)
	CLUSTER_TEST=1 PYTHONWARNINGS=default $(BIN)/pytest tests/cluster $(ARGS)

unit: $(STAMP)
	$(BIN)/pytest tests/unit tests/test_repository.py $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/codespell agent operator tests demo benchmarks docs packaging README.md CHANGELOG.md Makefile pyproject.toml

format: $(STAMP)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: $(STAMP)
	$(BIN)/mypy

imports: $(STAMP)
	$(BIN)/lint-imports

haproxies: $(STAMP)
	PATH="$(CURDIR)/$(BIN):$$PATH" tests/support/fetch_haproxies.sh

prometheus:
	tests/support/fetch_prometheus.sh

chromium:
	tests/support/fetch_chromium.sh

faketime:
	tests/support/fetch_faketime.sh

# Go's modules are fetched, a toolchain never.
otelcol:
	cd tests/support/otelcol && GOTOOLCHAIN=local go build -trimpath -ldflags='-s -w' -o '$(CURDIR)/.cache/otelcol/otelcol' .

packages: $(STAMP)
	packaging/check.sh $(BIN)/python

MINUTES ?= 10
RATE ?= 200
FAULT_SECONDS ?= 5
PROCESSING_TIMEOUT ?= 300
soak: $(STAMP)
	@PYTHONPATH=tests $(BIN)/python -m soak --minutes $(MINUTES) --seconds $(FAULT_SECONDS) --rate $(RATE) --processing-timeout $(PROCESSING_TIMEOUT)

# In an environment of its own: atheris does not exist for every Python and every machine.
FUZZ := .cache/fuzz
SECONDS ?= 60
$(FUZZ)/.installed: pyproject.toml
	$(PYTHON) -m venv $(FUZZ)/venv
	$(FUZZ)/venv/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(FUZZ)/venv/bin/python -m pip install --quiet --editable '.[agent]' --group fuzz
	@touch $@

fuzz: $(FUZZ)/.installed
	@tests/fuzz/run.sh $(FUZZ) $(SECONDS) $(TARGET)

bench: $(STAMP)
	@PYTHONPATH=tests:. $(BIN)/python -m benchmarks $(ARGS)

clean:
	rm -rf .venv .cache build dist .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
