"""The images on a real node, under the restricted Pod Security Standard: what a tenant's namespace allows."""

import json
from importlib.metadata import version
from typing import Any

import pytest

from hybridjob.contract.task import Backend, ClassicalTask, Problem, ProblemData, QuantumTask, Task
from support.cluster import Cluster
from support.optimisation import KNAPSACK, task_of

RING = task_of("MaxCut", {"nodes": 6, "edges": [[i, (i + 1) % 6, 1.0] for i in range(6)]})
TABLE = {"columns": ["a", "b", "c", "y"], "rows": [[i, i * i % 5, 7 - i, i % 2] for i in range(8)]}
STEPS: list[dict[str, Any]] = [
    {"standardize": {}},
    {"minMax": {}},
    {"selectKBest": {"k": 2}},
    {"pca": {"components": 2}},
]
GHZ = Problem(
    type="Circuit",
    format="QASM3",
    data=ProblemData(
        text='OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; bit[2] c; h q[0]; cx q[0], q[1]; c = measure q;'
    ),
)
QAOA = QuantumTask(algorithm="QAOA", shots=200, layers=2, max_iterations=20, seed=1)
AER = Backend(name="aer", kind="Simulator", sdk="Qiskit", qubits=20)
MANILA = Backend(name="manila", kind="NoisySimulator", sdk="Qiskit", qubits=5, snapshot="FakeManilaV2")
CIRQ = Backend(name="cirq", kind="Simulator", sdk="Cirq", qubits=20)


def quantum(task: Task, backend: Backend, **settings: Any) -> Task:
    return task.model_copy(update={"quantum": QAOA.model_copy(update=settings), "backend": backend})


def circuit(backend: Backend | None) -> Task:
    task = RING.model_copy(update={"problem": GHZ, "classical": ClassicalTask(algorithm="Statevector", seed=1)})
    return quantum(task, backend, algorithm="Sampling") if backend else task


# What each image is for, and every library that trim.sh touches.
TASKS = {
    ("classical", "annealing"): RING,
    ("classical", "highs"): task_of("BinaryProgram", KNAPSACK, algorithm="Exact"),
    ("classical", "prepare"): task_of(
        "FeatureSelection", TABLE, parameters={"target": "y", "select": 1}, prepare=STEPS
    ),
    ("classical", "circuit"): circuit(None),
    ("qiskit", "qaoa"): quantum(RING, AER),
    ("qiskit", "circuit"): circuit(MANILA),
    ("cirq", "qaoa"): quantum(RING, CIRQ),
    ("cirq", "circuit"): circuit(CIRQ),
}


def pod(image: str, *command: str) -> dict[str, Any]:
    """A restricted pod that runs the command, with the ConfigMap `task` in /task."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "pod"},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "container",
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": command,
                    "resources": {"limits": {"memory": "1Gi"}},
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [
                        {"name": "task", "mountPath": "/task"},
                        {"name": "answer", "mountPath": "/answer"},
                        {"name": "answer", "mountPath": "/tmp"},
                    ],
                }
            ],
            "volumes": [
                {"name": "task", "configMap": {"name": "task", "optional": True}},
                {"name": "answer", "emptyDir": {}},
            ],
        },
    }


def output(cluster: Cluster, namespace: str, *manifests: object) -> str:
    """Apply the manifests under the restricted standard, and return what the pod printed, which must succeed."""
    enforce = "pod-security.kubernetes.io/enforce=restricted"
    assert cluster.kubectl("label", "namespace", namespace, enforce).returncode == 0
    for manifest in manifests:
        applied = cluster.kubectl("apply", "-n", namespace, "-f", "-", manifest=manifest)
        assert applied.returncode == 0, applied.stderr
    succeeded = "--for=jsonpath={.status.phase}=Succeeded"
    done = cluster.kubectl("wait", "-n", namespace, "pod/pod", succeeded, "--timeout=120s")
    log = cluster.kubectl("logs", "-n", namespace, "pod").stdout
    assert done.returncode == 0, log
    return log


@pytest.mark.parametrize(("image", "name"), TASKS)
def test_an_image_solves_a_task_as_a_restricted_pod(image: str, name: str, cluster: Cluster, namespace: str) -> None:
    text = TASKS[image, name].model_dump_json(by_alias=True, exclude_none=True)
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "task"},
        "data": {"task.json": text},
    }
    solver = "/opt/hybridjob/bin/python -P -m hybridjob_solver --task /task/task.json --result /answer/verdict.json"
    command = ("/bin/sh", "-c", f"{solver} > /dev/null; cat /answer/verdict.json")
    verdict = json.loads(output(cluster, namespace, config_map, pod(cluster.load(image), *command)))
    assert verdict["answer"], verdict


def test_the_operator_image_has_the_command_line_and_no_solver(cluster: Cluster, namespace: str) -> None:
    look = (
        "import kopf, kubernetes.aio; from importlib.util import find_spec as f; "
        "print(f('numpy'), f('hybridjob_solver'))"
    )
    command = ("/bin/sh", "-c", f'hybridjob --version && python -c "{look}"')
    printed = output(cluster, namespace, pod(cluster.load("operator"), *command)).splitlines()
    assert printed == [f"hybridjob, version {version('hybridjob')}", "None None"]
