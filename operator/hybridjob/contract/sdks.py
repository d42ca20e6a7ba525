"""Which packages an SDK's backends need, and which of them this environment lacks."""

from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec

from hybridjob.contract.task import Sdk

PACKAGES: Mapping[Sdk, tuple[str, ...]] = {
    "Qiskit": ("qiskit", "qiskit_aer", "qiskit_qasm3_import"),
    "Cirq": ("cirq", "ply"),
}


def missing_packages(sdk: Sdk) -> list[str]:
    """The packages that cannot be imported here. Imports none of them."""
    return [package for package in PACKAGES[sdk] if not _is_installed(package)]


def _is_installed(package: str) -> bool:
    """A folder of that name without an `__init__.py` has a spec, but no origin."""
    spec = find_spec(package)
    return spec is not None and spec.origin is not None


@cache
def is_installed(sdk: Sdk) -> bool:
    """Whether nothing is missing, looked up once: a process does not gain packages as it runs."""
    return not missing_packages(sdk)
