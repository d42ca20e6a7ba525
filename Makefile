# Two commands do everything on a machine with only Python 3.11 or later: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO_STATE := $(VENV)/demo-state

HARNESS := $(BIN)/python -m tests.cluster_harness

.PHONY: demo test lint types unit figures clean cluster-up cluster-exec cluster-down cluster-test

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later must be on the path; try PYTHON=python3.12 make")'
	@echo "making the environment in $(VENV) (a minute or two, once)"
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip
	@$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

demo: $(READY)  ## a real problem on a quantum simulator, then the same under a budget that is too small for it
	@rm -rf $(DEMO_STATE)
	@echo "== 1. Feature selection on real data, by QAOA on a simulated quantum computer"
	@$(BIN)/hybridjob run --state $(DEMO_STATE) examples/feature-selection.yaml
	@$(BIN)/hybridjob result --state $(DEMO_STATE) feature-selection --plot $(VENV)/demo.png | grep chosen
	@echo
	@echo "== 2. The same job under a policy whose budget is too small for it: rolled back to the classical solver"
	@$(BIN)/hybridjob run --state $(DEMO_STATE) --policy examples/policies/tight-budget.yaml examples/feature-selection.yaml
	@echo
	@echo "More: $(BIN)/hybridjob describe --state $(DEMO_STATE) feature-selection"

test: lint types unit  ## what CI runs

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/hybridjob generate crds --check
	$(BIN)/hybridjob generate schemas --check
	$(BIN)/hybridjob generate docs --check

types: $(READY)
	$(BIN)/mypy

unit: $(READY)
	$(BIN)/pytest --numprocesses 2 --dist loadgroup

figures: $(READY)  ## the benchmarks; not part of the tests
	$(BIN)/python benchmarks/start_up.py
	$(BIN)/python benchmarks/qaoa_time_to_solution.py

cluster-up: $(READY)  ## a real Kubernetes on this machine; with the solver images; the first time builds it, some twenty minutes
	$(HARNESS) up
	$(HARNESS) load

cluster-exec: $(READY)  ## make cluster-exec CMD="kubectl get nodes"
	@$(HARNESS) exec $(CMD)

cluster-down: $(READY)
	$(HARNESS) down

cluster-test: $(READY)  ## the resources on a real API server, the images on a real node
	$(BIN)/pytest tests/cluster

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
