"""Which of a policy's backends this machine can run at all."""

from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec

from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.contract.task import Sdk

_MODULES: Mapping[Sdk, str] = {"Qiskit": "qiskit_aer", "Cirq": "cirq"}


def unavailable_backends(policy: QuantumBackendPolicy) -> dict[str, str]:
    """The backends whose SDK is not installed, by name, and what to do about it."""
    return {
        backend.name: f"{backend.sdk} is not installed: pip install 'hybridjob[{backend.sdk.lower()}]'"
        for backend in policy.spec.backends
        if not is_installed(backend.sdk)
    }


@cache
def is_installed(sdk: Sdk) -> bool:
    spec = find_spec(_MODULES[sdk])
    return spec is not None and spec.origin is not None  # a bare folder of that name has no origin
