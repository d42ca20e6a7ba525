"""Builds jobs, policies and verdicts for tests: only what a test cares about needs saying."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.api.status import HybridJobStatus
from hybridjob.contract.verdict import Answer, Usage, Verdict
from hybridjob.engine.accounts import LIFETIME, Claim, Series
from hybridjob.engine.actions import Reserve

START = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
UID = "0b6f3c2e-0000-4000-8000-000000000001"
TRIANGLE = {"nodes": 3, "edges": [[0, 1, 1.0], [1, 2, 1.0], [0, 2, 1.0]]}


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def job(status: HybridJobStatus | None = None, **spec: Any) -> HybridJob:
    """A MaxCut job with a quantum route; keyword arguments replace parts of its spec."""
    body: dict[str, Any] = {"problem": {"type": "MaxCut", "inline": TRIANGLE}, "quantum": {}} | spec
    body = {key: value for key, value in body.items() if value is not None}
    built = HybridJob.model_validate(
        {
            "apiVersion": "hybridjob.dev/v1alpha1",
            "kind": "HybridJob",
            "metadata": {"name": "job", "namespace": "default", "uid": UID, "creationTimestamp": START},
            "spec": body,
        }
    )
    return built.model_copy(update={"status": status})


def backend(name: str = "aer", **fields: Any) -> dict[str, Any]:
    return {"name": name, "kind": "Simulator", "sdk": "Qiskit", "qubits": 20} | fields


def priced(per_shot: str, per_task: str = "0", currency: str = "USD", **fields: Any) -> dict[str, Any]:
    """A rate card by task and shot."""
    return {"formula": "PerTaskPerShot", "currency": currency, "perTask": per_task, "perShot": per_shot} | fields


def policy(*backends: dict[str, Any], budgets: list[dict[str, Any]] | None = None, **spec: Any) -> QuantumBackendPolicy:
    """A policy with these backends, or with one free Aer simulator; keyword arguments are further parts of its spec."""
    return QuantumBackendPolicy.model_validate(
        {
            "apiVersion": "hybridjob.dev/v1alpha1",
            "kind": "QuantumBackendPolicy",
            "metadata": {"name": "policy"},
            "spec": {"backends": list(backends) or [backend()], "budgets": budgets or []} | spec,
        }
    )


def reserve(amount: str, limit: str = "10", attempt: int = 1, currency: str = "USD") -> Reserve:
    """A reservation that one budget holds to a limit."""
    claim = Claim("all", Decimal(limit), Series(currency, "Policy", "", LIFETIME))
    return Reserve(attempt, "aer", Decimal(amount), currency, START, (claim,))


def job_of(uid: str) -> HybridJob:
    """A job with another uid."""
    built = job()
    return built.model_copy(update={"metadata": built.metadata.model_copy(update={"uid": uid, "name": f"job-{uid}"})})


def verdict(
    attempt: int = 1,
    exit_code: int = 0,
    objective: float | None = 2.0,
    *,
    baseline: float | None = 2.0,
    feasible: bool = True,
    usage: Usage | None = None,
    message: str = "solved",
) -> Verdict:
    """A verdict with an answer when the exit code is 0."""
    answer = None
    if exit_code == 0 and objective is not None:
        answer = Answer(objective=objective, feasible=feasible, sense="Maximize", baseline=baseline, solution="011")
    return Verdict(
        job_uid=UID,
        attempt=attempt,
        exit_code=exit_code,
        message=message,
        algorithm="QAOA",
        answer=answer,
        usage=usage or Usage(tasks=1, shots=1024, seconds=1.0),
    )
