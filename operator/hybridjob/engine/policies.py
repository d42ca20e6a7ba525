"""Which policy holds for a job."""

from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from hybridjob.api.common import ObjectMeta
from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import BackendSpec, LabelSelector, LabelSelectorRequirement, PolicySpec, QuantumBackendPolicy
from hybridjob.api.rates import FREE, RateCard
from hybridjob.api.status import CLASSICAL_BACKEND


class NoPolicyError(Exception):
    """No single policy holds for the job; the message says what must be done."""


def select_policy(
    job: HybridJob, policies: Sequence[QuantumBackendPolicy], namespace_labels: Mapping[str, str] | None = None
) -> QuantumBackendPolicy | None:
    """The policy that the job names; or the only one; or the one marked default; None when none of these exists.

    Only policies that select the job's namespace count; without `namespace_labels`, all do. Raises NoPolicyError when
    the job names one that does not count, or several are marked default.
    """
    if namespace_labels is not None:
        policies = [policy for policy in policies if selects(policy.spec.namespace_selector, namespace_labels)]
    known = ", ".join(sorted(policy.metadata.name for policy in policies)) or "none"
    named = job.spec.policy_name
    if named is not None:
        matches = [policy for policy in policies if policy.metadata.name == named]
        if not matches:
            raise NoPolicyError(
                f"spec.policyName is {named}: it must name a policy that exists and selects this namespace ({known})"
            )
        return matches[0]
    if len(policies) == 1:
        return policies[0]
    defaults = [policy for policy in policies if policy.spec.default]
    if len(defaults) > 1:
        raise NoPolicyError(f"{len(defaults)} of the policies ({known}) are marked default: at most one may be")
    return defaults[0] if defaults else None


def selects(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """Whether the selector selects an object with these labels, as metav1.LabelSelector does."""
    return all(labels.get(key) == value for key, value in selector.match_labels.items()) and all(
        _holds(requirement, labels) for requirement in selector.match_expressions
    )


def _holds(requirement: LabelSelectorRequirement, labels: Mapping[str, str]) -> bool:
    match requirement.operator:
        case "In":
            return labels.get(requirement.key) in requirement.values
        case "NotIn":  # also where the label is absent
            return labels.get(requirement.key) not in requirement.values
        case "Exists":
            return requirement.key in labels
        case "DoesNotExist":
            return requirement.key not in labels


def stand_in(name: str, spec: PolicySpec | None = None) -> QuantumBackendPolicy:
    """In the place of a policy that is gone, or has become invalid: it allows nothing that is quantum, or paid."""
    return QuantumBackendPolicy(
        api_version="hybridjob.dev/v1alpha1",
        kind="QuantumBackendPolicy",
        metadata=ObjectMeta(name=name),
        spec=spec or PolicySpec(),
    )


def outline(name: str, spec: object) -> QuantumBackendPolicy | None:
    """The stand-in of an invalid policy, for the jobs that it was for: they must not go to another one. None where not
    even this can be read of it."""
    read = (
        {field: spec[field] for field in ("default", "namespaceSelector") if field in spec}
        if isinstance(spec, Mapping)
        else {}
    )
    try:
        return stand_in(name, PolicySpec.model_validate(read))
    except ValidationError:
        return None


def find_backend(policy: QuantumBackendPolicy, name: str) -> BackendSpec | None:
    """The backend of that name, unless the policy has dropped it."""
    return next((backend for backend in policy.spec.backends if backend.name == name), None)


def rate_card_of(policy: QuantumBackendPolicy, backend: str) -> RateCard:
    """What the backend costs, or the classical solver; free where the policy has dropped it."""
    if backend == CLASSICAL_BACKEND:
        return policy.spec.classical.rate_card
    spec = find_backend(policy, backend)
    return spec.rate_card if spec is not None else FREE
