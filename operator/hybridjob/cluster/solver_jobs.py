"""The batch/v1 Job of one attempt, and what it needs beside it: from typed fields, never from free-form templates."""

from dataclasses import dataclass, field
from typing import Any

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.cluster.api_client import Object
from hybridjob.cluster.views import ATTEMPT_LABEL, BACKEND_LABEL, MANAGED_BY, QUEUE_LABEL, ROUTE_LABEL, UID_LABEL
from hybridjob.contract.exit_codes import Disposition, ExitCode, disposition
from hybridjob.contract.task import ProblemData, Sdk
from hybridjob.engine.actions import StartAttempt
from hybridjob.engine.policies import find_backend
from hybridjob.engine.tasks import build_task

TASK_ANNOTATION = "hybridjob.dev/task"
_MAX_ANNOTATION_BYTES = 128 * 2**10
"""Half of what all annotations of an object may take; larger tasks travel in a ConfigMap of their own."""
_GRACE_SECONDS = 60
"""The Job's own deadline comes so long after the engine's: it matters only while no operator runs."""
_NON_ROOT = 65532


@dataclass(frozen=True)
class SolverSettings:
    """What the installation says about solver pods."""

    images: dict[Sdk | None, str]
    """By SDK; None is the classical image."""
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()
    priority_class: str | None = None
    annotations: dict[str, str] = field(default_factory=dict)


def job_name(job: HybridJob, attempt: int) -> str:
    """The same for the same attempt, another one for a job that was made again under the same name."""
    uid = (job.metadata.uid or "").replace("-", "")
    return f"{job.metadata.name[:40].rstrip('-.').replace('.', '-')}-{uid[:12]}-{attempt}"


def owner_reference(job: HybridJob) -> Object:
    return {
        "apiVersion": job.api_version,
        "kind": job.kind,
        "name": job.metadata.name,
        "uid": job.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def config_map(job: HybridJob, name: str, data: dict[str, str]) -> Object:
    """An immutable ConfigMap that the HybridJob owns."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "labels": {MANAGED_BY: "hybridjob", UID_LABEL: job.metadata.uid},
            "ownerReferences": [owner_reference(job)],
        },
        "immutable": True,
        "data": data,
    }


def solver_objects(
    job: HybridJob, policy: QuantumBackendPolicy, action: StartAttempt, settings: SolverSettings
) -> tuple[Object, Object | None]:
    """The Job of an attempt, and the ConfigMap that its task must travel in if it is too long for an annotation."""
    backend = find_backend(policy, action.backend) if action.route == "Quantum" else None
    place = backend or policy.spec.classical
    task = build_task(job, action.attempt, backend, _data(job))
    content = task.model_dump_json(by_alias=True, exclude_none=True)
    name = job_name(job, action.attempt)
    labels = _labels(job, action)
    annotations = dict(settings.annotations)
    if job.spec.correlation_id is not None:
        annotations["hybridjob.dev/correlation-id"] = job.spec.correlation_id
    pod_annotations = dict(annotations)
    task_map = None
    if len(content.encode()) <= _MAX_ANNOTATION_BYTES:
        pod_annotations[TASK_ANNOTATION] = content
    else:
        task_map = config_map(job, f"{name}-task", {"task.json": content})
    image = place.image or settings.images[backend.sdk if backend else None]
    spec = _pod_spec(job, task_map, image, settings)
    spec["containers"][0]["resources"] = {
        "requests": {"cpu": place.resources.cpu, "memory": place.resources.memory},
        "limits": {"memory": place.resources.memory},
    }
    made = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "labels": labels | ({QUEUE_LABEL: job.spec.queue_name} if job.spec.queue_name else {}),
            "annotations": annotations,
            "ownerReferences": [owner_reference(job)],
        },
        "spec": {
            # A queue admits it by ending its suspension; while nobody does, nothing runs.
            "suspend": job.spec.queue_name is not None,
            "backoffLimit": 0,
            "podReplacementPolicy": "Failed",
            "activeDeadlineSeconds": job.spec.limits.active_deadline_seconds + _GRACE_SECONDS,
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "FailJob",
                        "onExitCodes": {"containerName": "solver", "operator": "In", "values": _final_codes()},
                    }
                ]
            },
            "template": {"metadata": {"labels": labels, "annotations": pod_annotations}, "spec": spec},
        },
    }
    return made, task_map


def _labels(job: HybridJob, action: StartAttempt) -> dict[str, str]:
    return {
        MANAGED_BY: "hybridjob",
        "app.kubernetes.io/component": "solver",
        UID_LABEL: job.metadata.uid or "",
        ATTEMPT_LABEL: str(action.attempt),
        ROUTE_LABEL: action.route,
        BACKEND_LABEL: action.backend,
    }


def _final_codes() -> list[int]:
    """The exit codes after which the same attempt need not be tried again."""
    finals = (Disposition.FALL_BACK, Disposition.REJECT)
    return sorted(int(code) for code in ExitCode if disposition(code) in finals)


def _data(job: HybridJob) -> ProblemData:
    """Where the solver's container finds the problem's data."""
    problem = job.spec.problem
    if problem.config_map_key_ref is not None:
        return ProblemData(path="/problem/data")
    if problem.persistent_volume_claim is not None:
        return ProblemData(path=f"/problem/{problem.persistent_volume_claim.path}")
    return ProblemData(inline=problem.inline, text=problem.text, uri=problem.uri)


def _pod_spec(job: HybridJob, task_map: Object | None, image: str, settings: SolverSettings) -> Object:
    """A pod under the restricted Pod Security Standard, with no token and no way to write but its own scratch space."""
    if task_map is None:
        source = {"fieldPath": f"metadata.annotations['{TASK_ANNOTATION}']"}
        task_volume: Object = {"downwardAPI": {"items": [{"path": "task.json", "fieldRef": source}]}}
    else:
        task_volume = {"configMap": {"name": task_map["metadata"]["name"]}}
    volumes: list[Object] = [{"name": "task", **task_volume}, {"name": "scratch", "emptyDir": {"sizeLimit": "1Gi"}}]
    mounts: list[Object] = [
        {"name": "task", "mountPath": "/task", "readOnly": True},
        {"name": "scratch", "mountPath": "/answer", "subPath": "answer"},
        {"name": "scratch", "mountPath": "/tmp", "subPath": "tmp"},  # noqa: S108 — in the container
    ]
    problem = _problem_volume(job)
    if problem is not None:
        volumes.append({"name": "problem", **problem})
        mounts.append({"name": "problem", "mountPath": "/problem", "readOnly": True})
    spec: Object = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 10,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _NON_ROOT,
            "runAsGroup": _NON_ROOT,
            "fsGroup": _NON_ROOT,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "solver",
                "image": image,
                "imagePullPolicy": settings.pull_policy,
                "args": [
                    "--task=/task/task.json",
                    "--result=/answer/verdict.json",
                    "--termination-log=/dev/termination-log",
                ],
                # Without a verdict, the end of the log says what happened.
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": mounts,
            }
        ],
        "volumes": volumes,
    }
    if settings.pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in settings.pull_secrets]
    if settings.priority_class:
        spec["priorityClassName"] = settings.priority_class
    return spec


def _problem_volume(job: HybridJob) -> dict[str, Any] | None:
    problem = job.spec.problem
    if problem.config_map_key_ref is not None:
        reference = problem.config_map_key_ref
        return {"configMap": {"name": reference.name, "items": [{"key": reference.key, "path": "data"}]}}
    if problem.persistent_volume_claim is not None:
        return {"persistentVolumeClaim": {"claimName": problem.persistent_volume_claim.claim_name, "readOnly": True}}
    return None
