# Two commands do everything on a machine with only Python 3.11 or later: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO_STATE := $(VENV)/demo-state

HARNESS := $(BIN)/python -m tests.cluster_harness

EXEC := $(HARNESS) exec
NAMESPACE := hybridjob-system
DEMO_JOB := $(EXEC) kubectl --namespace hybridjob-demo

.PHONY: demo test lint types unit figures simulate mutants clean
.PHONY: cluster-up cluster-install cluster-demo cluster-exec cluster-test cluster-down operator-run

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

test: lint types unit cluster-test  ## what CI runs

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/hybridjob generate crds --check
	$(BIN)/hybridjob generate crds --check --output charts/hybridjob/files/crds
	$(BIN)/hybridjob generate schemas --check
	$(BIN)/hybridjob generate docs --check

types: $(READY)
	$(BIN)/mypy

unit: $(READY)
	$(BIN)/pytest --numprocesses 2 --dist loadgroup

simulate: $(READY)  ## the real operator under 100,000 random schedules: an hour or so on two cores; SCHEDULES=1000 is enough for a look
	$(BIN)/python -m tests.simulation run $(or $(SCHEDULES),100000)

mutants: $(READY)  ## see that the simulation catches each of some thirty mistakes
	$(BIN)/python -m tests.simulation mutants

figures: $(READY)  ## the benchmarks; not part of the tests
	$(BIN)/python benchmarks/start_up.py
	$(BIN)/python benchmarks/qaoa_time_to_solution.py

cluster-up: $(READY)  ## a real Kubernetes with the images; what is built once takes some twenty minutes
	$(HARNESS) up
	$(HARNESS) load

# Images keep their tag when they are rebuilt: the annotation makes the operator's pods start anew. The tests and operator-run apply
# the CRDs without Helm, which then has to take them over.
cluster-install: cluster-up  ## the operator on that cluster, from the chart; HELM_ARGS="--set …" adds to the values
	$(EXEC) helm upgrade --install hybridjob charts/hybridjob --namespace $(NAMESPACE) --create-namespace \
	  --take-ownership --force-conflicts --wait --timeout 3m \
	  --set image.tag=test --set-string podAnnotations.installed="$$(date +%s)" $(HELM_ARGS)

cluster-demo: cluster-install  ## a job that is too dear rolls back to a classical solver pod
	$(EXEC) kubectl delete namespace hybridjob-demo --ignore-not-found
	$(EXEC) kubectl create namespace hybridjob-demo
	$(DEMO_JOB) apply -f examples/rollback-budget.yaml
	$(DEMO_JOB) wait hj/rollback-budget --for=jsonpath='{.status.state}'=Succeeded --timeout=3m
	$(DEMO_JOB) get hj
	@$(DEMO_JOB) get hj rollback-budget -o jsonpath='{.status.fallback.reason}: {.status.fallback.message}{"\n"}'
	$(DEMO_JOB) delete -f examples/rollback-budget.yaml
	$(EXEC) kubectl delete namespace hybridjob-demo
	$(EXEC) helm uninstall hybridjob --namespace $(NAMESPACE)
	@echo "the cluster is kept for the next time; stop it with: make cluster-down"

cluster-exec: $(READY)  ## make cluster-exec CMD="kubectl get nodes"
	@$(EXEC) $(CMD)

cluster-test: $(READY)  ## chart and cluster; a call of its own, so that parallel workers do not start a cluster each
	@# What fails is run once more: a real node on a busy machine has moments. What fails twice is broken.
	$(BIN)/pytest tests/chart tests/cluster || \
	  $(BIN)/pytest --last-failed --last-failed-no-failures none tests/chart tests/cluster

cluster-down: $(READY)
	$(HARNESS) down

operator-run: cluster-up  ## the operator from source, in that cluster's network; ARGS="--log-level DEBUG" adds options
	$(EXEC) kubectl apply --server-side --force-conflicts -f crds
	$(EXEC) kubectl wait --for=condition=Established crd --all --timeout=60s
	$(EXEC) sh -c 'helm template charts/hybridjob --show-only templates/default-policy.yaml | kubectl apply -f -'
	$(EXEC) sh -c 'kubectl create namespace $(NAMESPACE) --dry-run=client -o yaml | kubectl apply -f -'
	$(EXEC) $(BIN)/hybridjob operator --no-leader-election --log-format text --operator-namespace $(NAMESPACE) \
	  --classical-image localhost/hybridjob-classical:test --qiskit-image localhost/hybridjob-qiskit:test \
	  --cirq-image localhost/hybridjob-cirq:test $(ARGS)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
