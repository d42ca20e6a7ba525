"""Which policy holds for a job."""

from collections.abc import Sequence

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import BackendSpec, QuantumBackendPolicy


class NoPolicyError(Exception):
    """No single policy holds for the job; the message says what must be done."""


def select_policy(job: HybridJob, policies: Sequence[QuantumBackendPolicy]) -> QuantumBackendPolicy | None:
    """The policy that the job names; or the only one; or the one marked default; None when none of these exists.

    Raises NoPolicyError when the job names one that does not exist, or several are marked default.
    """
    known = ", ".join(sorted(policy.metadata.name for policy in policies)) or "none"
    named = job.spec.policy_name
    if named is not None:
        matches = [policy for policy in policies if policy.metadata.name == named]
        if not matches:
            raise NoPolicyError(f"spec.policyName is {named}: it must name a policy that exists ({known})")
        return matches[0]
    if len(policies) == 1:
        return policies[0]
    defaults = [policy for policy in policies if policy.spec.default]
    if len(defaults) > 1:
        raise NoPolicyError(f"{len(defaults)} of the policies ({known}) are marked default: at most one may be")
    return defaults[0] if defaults else None


def find_backend(policy: QuantumBackendPolicy, name: str) -> BackendSpec | None:
    """The backend of that name, unless the policy has dropped it."""
    return next((backend for backend in policy.spec.backends if backend.name == name), None)
