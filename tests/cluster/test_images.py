"""The solver images on a real node, under the restricted Pod Security Standard: what a tenant's namespace allows."""

import json
from typing import Any

import pytest

from hybridjob.contract.task import Backend, ClassicalTask, Problem, ProblemData, QuantumTask, Task
from support.cluster import Cluster

RING = {"nodes": 6, "edges": [[i, (i + 1) % 6, 1.0] for i in range(6)]}
BACKENDS = {
    "classical": None,
    "qiskit": Backend(name="aer", kind="Simulator", sdk="Qiskit", qubits=20),
    "cirq": Backend(name="cirq", kind="Simulator", sdk="Cirq", qubits=20),
}


def task(backend: Backend | None) -> Task:
    settings = QuantumTask(algorithm="QAOA", shots=200, layers=2, max_iterations=20, seed=1)
    return Task(
        job_uid="00000000-0000-4000-8000-000000000000",
        attempt=1,
        problem=Problem(type="MaxCut", format="Json", data=ProblemData(inline=RING)),
        quantum=settings if backend else None,
        backend=backend,
        classical=ClassicalTask(algorithm="Auto", seed=1),
    )


def pod(image: str) -> dict[str, Any]:
    """A pod that solves the task of the ConfigMap `task` and prints its verdict."""
    solver = "/opt/hybridjob/bin/python -P -m hybridjob_solver --task /task/task.json --result /answer/verdict.json"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "solver"},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "solver",
                    "image": image,
                    "imagePullPolicy": "Never",
                    "command": ["/bin/sh", "-c", f"{solver} > /dev/null; cat /answer/verdict.json"],
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
                {"name": "task", "configMap": {"name": "task"}},
                {"name": "answer", "emptyDir": {}},
            ],
        },
    }


@pytest.mark.parametrize("image", BACKENDS)
def test_an_image_solves_a_task_as_a_restricted_pod(image: str, cluster: Cluster, namespace: str) -> None:
    enforce = "pod-security.kubernetes.io/enforce=restricted"
    assert cluster.kubectl("label", "namespace", namespace, enforce).returncode == 0
    name = cluster.load(image)
    text = task(BACKENDS[image]).model_dump_json(by_alias=True, exclude_none=True)
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "task"},
        "data": {"task.json": text},
    }
    for manifest in (config_map, pod(name)):
        applied = cluster.kubectl("apply", "-n", namespace, "-f", "-", manifest=manifest)
        assert applied.returncode == 0, applied.stderr
    done = cluster.kubectl(
        "wait", "-n", namespace, "pod/solver", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=120s"
    )
    log = cluster.kubectl("logs", "-n", namespace, "solver").stdout
    assert done.returncode == 0, log
    verdict = json.loads(log)
    assert verdict["answer"]["objective"] == 6
    assert verdict["answer"]["feasible"] is True
