"""The Job of an attempt: what tenants can put into it, and what they cannot."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hybridjob.api.hybridjob import HybridJob
from hybridjob.cluster.solver_jobs import TASK_ANNOTATION, SolverSettings, job_name, solver_objects
from hybridjob.cluster.views import UID_LABEL, job_view
from hybridjob.contract.task import Task
from hybridjob.engine.actions import StartAttempt
from support.build import UID, backend, job, policy

SETTINGS = SolverSettings(images={None: "classical:1", "Qiskit": "qiskit:1", "Cirq": "cirq:1"})
QUANTUM = StartAttempt(1, "Quantum", "aer")
CLASSICAL = StartAttempt(2, "Classical", "classical")


def made(spec: HybridJob, action: StartAttempt = QUANTUM, rules: Any = None, **changes: Any) -> dict[str, Any]:
    settings_ = SolverSettings(**({"images": SETTINGS.images} | changes))
    return solver_objects(spec, rules or policy(), action, settings_)[0]


def container(body: dict[str, Any]) -> dict[str, Any]:
    (found,) = body["spec"]["template"]["spec"]["containers"]
    return dict(found)


def test_the_pod_is_held_to_the_restricted_standard_and_has_no_token() -> None:
    body = made(job())
    pod = body["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    security = container(body)["securityContext"]
    assert security == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_it_never_runs_twice() -> None:
    spec = made(job())["spec"]
    assert spec["backoffLimit"] == 0
    assert spec["podReplacementPolicy"] == "Failed"
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


def test_the_image_is_the_backends_own_or_that_of_its_sdk() -> None:
    assert container(made(job()))["image"] == "qiskit:1"
    assert container(made(job(), CLASSICAL))["image"] == "classical:1"
    pinned = policy(backend(image="registry.example/aer@sha256:0123"))
    assert container(made(job(), rules=pinned))["image"] == "registry.example/aer@sha256:0123"


def test_the_memory_limit_is_also_the_request() -> None:
    resources = container(made(job(), rules=policy(backend(resources={"memory": "1Gi", "cpu": "250m"}))))["resources"]
    assert resources == {"requests": {"cpu": "250m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}


def test_the_solver_reads_the_task_of_this_attempt() -> None:
    body = made(job(quantum={"shots": 77}))
    task = Task.model_validate_json(body["spec"]["template"]["metadata"]["annotations"][TASK_ANNOTATION])
    assert (task.job_uid, task.attempt) == (UID, 1)
    assert task.quantum is not None
    assert task.quantum.shots == 77


def test_a_task_too_long_for_an_annotation_travels_in_a_config_map() -> None:
    edges = [[i, j, 1.0] for i in range(200) for j in range(i)]
    big = job(problem={"type": "MaxCut", "inline": {"nodes": 200, "edges": edges}})
    body, task_map = solver_objects(big, policy(), QUANTUM, SETTINGS)
    assert TASK_ANNOTATION not in body["spec"]["template"]["metadata"]["annotations"]
    assert task_map is not None
    assert Task.model_validate_json(task_map["data"]["task.json"]).attempt == 1
    assert task_map["metadata"]["ownerReferences"][0]["uid"] == UID
    volumes = {volume["name"]: volume for volume in body["spec"]["template"]["spec"]["volumes"]}
    assert volumes["task"]["configMap"]["name"] == task_map["metadata"]["name"]


def test_the_queue_label_goes_on_the_job_which_waits_suspended() -> None:
    body = made(job(queueName="lq-quantum"))
    assert body["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "lq-quantum"
    assert body["spec"]["suspend"] is True
    assert made(job())["spec"]["suspend"] is False


def test_a_config_map_of_the_jobs_own_namespace_is_mounted_by_its_key() -> None:
    body = made(
        job(problem={"type": "MaxCut", "format": "EdgeList", "configMapKeyRef": {"name": "graphs", "key": "ring"}})
    )
    volumes = {volume["name"]: volume for volume in body["spec"]["template"]["spec"]["volumes"]}
    assert volumes["problem"]["configMap"] == {"name": "graphs", "items": [{"key": "ring", "path": "data"}]}
    task = json.loads(body["spec"]["template"]["metadata"]["annotations"][TASK_ANNOTATION])
    assert task["problem"]["data"] == {"path": "/problem/data"}


def test_the_installations_settings_reach_the_pod() -> None:
    body = made(job(), pull_policy="Never", pull_secrets=("registry",), priority_class="low")
    pod = body["spec"]["template"]["spec"]
    assert container(body)["imagePullPolicy"] == "Never"
    assert (pod["imagePullSecrets"], pod["priorityClassName"]) == ([{"name": "registry"}], "low")


def test_the_correlation_id_is_on_the_job_and_its_pod() -> None:
    body = made(job(correlationId="req-8812"))
    for metadata in (body["metadata"], body["spec"]["template"]["metadata"]):
        assert metadata["annotations"]["hybridjob.dev/correlation-id"] == "req-8812"


def test_what_is_made_is_recognised() -> None:
    """The operator that takes over knows nothing but what the labels and the owner reference say."""
    body = made(job(), CLASSICAL)
    body["metadata"] |= {
        "uid": "u",
        "namespace": "default",
        "resourceVersion": "7",
        "creationTimestamp": "2026-01-31T12:00:00Z",
    }
    view = job_view(body)
    assert view is not None
    assert (view.owner_uid, view.attempt, view.route, view.backend) == (UID, 2, "Classical", "classical")


@settings(max_examples=200)
@given(
    st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", fullmatch=True),
    st.uuids().map(str),
    st.integers(1, 64),
)
def test_names_are_dns_labels_that_tell_jobs_and_attempts_apart(name: str, uid: str, attempt: int) -> None:
    def named(uid_: str, attempt_: int) -> str:
        spec = job()
        metadata = spec.metadata.model_copy(update={"name": name, "uid": uid_})
        return job_name(spec.model_copy(update={"metadata": metadata}), attempt_)

    found = named(uid, attempt)
    assert len(f"{found}-payload") <= 253
    assert len(found) <= 63
    assert found == found.strip("-")
    assert "." not in found
    assert found == named(uid, attempt)
    assert found != named(uid, attempt % 64 + 1)
    assert found != named("0b6f3c2e-0000-4000-8000-00000000000f", attempt)


def test_labels_are_what_the_operator_selects() -> None:
    body = made(job())
    for labels in (body["metadata"]["labels"], body["spec"]["template"]["metadata"]["labels"]):
        assert labels["app.kubernetes.io/managed-by"] == "hybridjob"
        assert labels[UID_LABEL] == UID
