"""Which of a policy's backends this machine can run at all."""

from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.contract.sdks import is_installed


def unavailable_backends(policy: QuantumBackendPolicy) -> dict[str, str]:
    """The backends whose SDK is not installed, by name, and what to do about it."""
    return {
        backend.name: f"{backend.sdk} is not installed: pip install 'hybridjob[{backend.sdk.lower()}]'"
        for backend in policy.spec.backends
        if not is_installed(backend.sdk)
    }
