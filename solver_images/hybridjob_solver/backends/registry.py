"""Which adapter serves a backend of the policy. SDKs are imported only when they are asked for."""

from importlib import import_module

from hybridjob.contract.sdks import missing_packages
from hybridjob.contract.task import Backend, BackendKind, Sdk
from hybridjob_solver.backends.base import QuantumBackend
from hybridjob_solver.failures import BackendFailedError

_ADAPTERS: dict[tuple[Sdk, BackendKind], tuple[str, str]] = {
    ("Qiskit", "Simulator"): ("aer", "Aer"),
    ("Qiskit", "NoisySimulator"): ("aer", "NoisyAer"),
    ("Cirq", "Simulator"): ("cirq_simulator", "CirqSimulator"),
}


def open_backend(backend: Backend) -> QuantumBackend:
    """The adapter for `backend`.

    Raises BackendFailedError when there is none, or when its SDK is not installed.
    """
    adapter = _ADAPTERS.get((backend.sdk, backend.kind))
    if adapter is None:
        raise BackendFailedError(
            f"Backend {backend.name!r} is a {backend.kind} of {backend.sdk}, which does not exist: "
            f"a {backend.kind} must use {' or '.join(sdk for sdk, kind in _ADAPTERS if kind == backend.kind)}."
        )
    missing = missing_packages(backend.sdk)
    if missing:
        raise BackendFailedError(
            f"Backend {backend.name!r} needs {', '.join(missing)}, which this solver does not have: "
            f"install it with pip install 'hybridjob[{backend.sdk.lower()}]', or use the {backend.sdk} image."
        )
    module, name = adapter
    opened: QuantumBackend = getattr(import_module(f"hybridjob_solver.backends.{module}"), name)(backend)
    return opened
