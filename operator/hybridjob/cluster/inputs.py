"""What a job refers to: its policy and its problem's data."""

from collections.abc import Mapping
from dataclasses import dataclass

from hybridjob.api.errors import path_of
from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.api.problem_data import read_problem
from hybridjob.cluster.api_client import ApiError, KubernetesApi
from hybridjob.cluster.cache import Cache, PolicyRecord
from hybridjob.cluster.kinds import CONFIG_MAPS
from hybridjob.engine.policies import NoPolicyError, select_policy, stand_in
from hybridjob.engine.tasks import problem_size


@dataclass(frozen=True)
class Problem:
    """What the operator knows of a problem's data."""

    size: int | None = None
    error: str | None = None
    missing: str | None = None


def find_policy(job: HybridJob, cache: Cache) -> tuple[QuantumBackendPolicy, str | None]:
    """The policy that holds for a job; or a stand-in, under which nothing quantum starts, and why there is none.

    A job that has begun keeps the policy that it began under.
    """
    status = job.status
    if status is not None and status.attempts and status.policy is not None:
        held = cache.policies.get(status.policy)
        if held is None:
            return stand_in(status.policy), f"policy {status.policy} is gone"
        return _held_by(held)
    named = cache.policies.get(job.spec.policy_name or "")
    if named is not None and named.error is not None:
        return _held_by(named)
    candidates = [record.outline for record in cache.policies.values() if record.outline is not None]
    try:
        policy = select_policy(job, candidates, _labels(job, cache.namespaces))
    except NoPolicyError as error:
        return stand_in("none"), str(error)
    if policy is None:
        return stand_in("none"), (
            f"no QuantumBackendPolicy holds for namespace {job.metadata.namespace}: exactly one must select it, or one "
            "of those that do must be marked default, or spec.policyName must name one"
        )
    return _held_by(cache.policies[policy.metadata.name])


def _held_by(record: PolicyRecord) -> tuple[QuantumBackendPolicy, str | None]:
    if record.policy is not None:
        return record.policy, None
    return record.outline or stand_in(record.name), f"policy {record.name} is invalid: {record.error}"


def _labels(job: HybridJob, namespaces: Mapping[str, Mapping[str, str]]) -> Mapping[str, str]:
    name = job.metadata.namespace or ""
    return namespaces.get(name, {"kubernetes.io/metadata.name": name})


async def read_inputs(job: HybridJob, api: KubernetesApi) -> Problem:
    """Read the problem's data as far as the operator can. Raises ApiError where the API server does not answer."""
    reference = job.spec.problem.config_map_key_ref
    text = None
    if reference is not None:
        try:
            found = await api.get(CONFIG_MAPS, job.metadata.namespace, reference.name)
        except ApiError as error:
            if error.status != 404:
                raise
            return Problem(missing=f"waits for ConfigMap {reference.name}, which does not exist")
        text = found.get("data", {}).get(reference.key)
        if text is None:
            if reference.key in found.get("binaryData", {}):
                return Problem(error=f"key {reference.key} of ConfigMap {reference.name} must be text, not binaryData")
            return Problem(missing=f"waits for key {reference.key} of ConfigMap {reference.name}, which has none")
    data, complaints = read_problem(job.spec, text)
    if complaints:
        # What the ConfigMap holds stays there: messages name places and rules, and no values.
        wrong = "; ".join(f"spec.{path_of(c.loc)}: {c.must}" for c in complaints[:5])
        return Problem(error=wrong[:2048])
    return Problem(size=problem_size(job, data))
