"""Backends: the same circuit gives the same distribution, whoever runs it."""

import subprocess
import sys

import numpy as np
import pytest

from hybridjob.contract.task import Backend
from hybridjob_solver.backends.registry import open_backend
from hybridjob_solver.circuits.gates import Gate
from hybridjob_solver.circuits.model import Circuit, Measurement, Reset
from hybridjob_solver.failures import BackendUnavailableError
from support.quantum import AER, CIRQ, MANILA

IDEAL = pytest.mark.parametrize("backend", [AER, CIRQ], ids=lambda backend: backend.sdk)
GHZ = Circuit(
    3,
    3,
    (
        Gate("h", (), (0,)),
        Gate("cx", (), (0, 1)),
        Gate("cx", (), (1, 2)),
        *(Measurement(qubit, qubit) for qubit in range(3)),
    ),
)


def counts_of(backend: Backend, circuit: Circuit, shots: int = 4000, seed: int = 1) -> dict[str, int]:
    samples = open_backend(backend).sample(circuit.to_qasm3(), shots, seed)
    assert samples.bits.shape == (len(samples.counts), circuit.bits)
    assert samples.counts.sum() == shots
    assert samples.depth > 0
    return {
        "".join(map(str, row)): count for row, count in zip(samples.bits.tolist(), samples.counts.tolist(), strict=True)
    }


@IDEAL
def test_ghz(backend: Backend) -> None:
    counts = counts_of(backend, GHZ)
    assert set(counts) == {"000", "111"}
    assert abs(counts["000"] - 2000) < 5 * np.sqrt(1000)


@IDEAL
def test_bit_zero_comes_first(backend: Backend) -> None:
    circuit = Circuit(3, 4, (Gate("x", (), (0,)), Measurement(0, 1), Measurement(1, 3)))
    assert counts_of(backend, circuit) == {"0100": 4000}


@IDEAL
def test_the_last_measurement_into_a_bit_counts(backend: Backend) -> None:
    circuit = Circuit(1, 1, (Measurement(0, 0), Gate("x", (), (0,)), Measurement(0, 0)))
    assert counts_of(backend, circuit) == {"1": 4000}


@IDEAL
def test_gates_can_depend_on_measured_bits(backend: Backend) -> None:
    """Qubit 2 becomes the conjunction of a random bit and the negation of another."""
    circuit = Circuit(
        3,
        3,
        (
            Gate("h", (), (0,)),
            Gate("h", (), (1,)),
            Measurement(0, 0),
            Measurement(1, 1),
            Gate("x", (), (2,), ((0, 1), (1, 0))),
            Measurement(2, 2),
        ),
    )
    counts = counts_of(backend, circuit)
    assert set(counts) == {"000", "010", "101", "110"}
    assert all(abs(count - 1000) < 5 * np.sqrt(750) for count in counts.values())


@IDEAL
def test_reset(backend: Backend) -> None:
    circuit = Circuit(1, 1, (Gate("h", (), (0,)), Reset(0), Measurement(0, 0)))
    assert counts_of(backend, circuit) == {"0": 4000}


@pytest.mark.parametrize("backend", [AER, CIRQ, MANILA], ids=lambda backend: backend.name)
def test_same_seed_same_samples(backend: Backend) -> None:
    assert counts_of(backend, GHZ, seed=3) == counts_of(backend, GHZ, seed=3)
    assert counts_of(backend, GHZ, seed=3) != counts_of(backend, GHZ, seed=4)


def test_a_snapshot_is_noisier_than_the_ideal() -> None:
    noisy = counts_of(MANILA, GHZ)
    impossible = sum(count for outcome, count in noisy.items() if outcome not in ("000", "111"))
    assert 0.01 < impossible / 4000 < 0.3  # A GHZ state of three qubits is far better than chance on this device.


def test_a_circuit_larger_than_the_snapshot() -> None:
    circuit = Circuit(6, 6, tuple(Measurement(qubit, qubit) for qubit in range(6)))
    with pytest.raises(BackendUnavailableError, match=r"5 qubits.*has 6"):
        counts_of(MANILA, circuit)


@pytest.mark.parametrize("snapshot", [None, "FakeAtlantis", "FakeProviderForBackendV2", "os"])
def test_unknown_snapshot_names_known_ones(snapshot: str | None) -> None:
    with pytest.raises(BackendUnavailableError, match="FakeManilaV2"):
        open_backend(MANILA.model_copy(update={"snapshot": snapshot}))


def test_cirq_has_no_noisy_simulator() -> None:
    with pytest.raises(BackendUnavailableError, match="must use Qiskit"):
        open_backend(CIRQ.model_copy(update={"kind": "NoisySimulator", "snapshot": "FakeManilaV2"}))


@IDEAL
def test_a_state_that_does_not_fit_is_a_memory_error(backend: Backend) -> None:
    chain = [Gate("h", (), (0,)), *(Gate("cx", (), (qubit, qubit + 1)) for qubit in range(44))]
    with pytest.raises(MemoryError, match="has 45"):
        counts_of(backend, Circuit(45, 1, (*chain, Measurement(0, 0))))


@pytest.mark.parametrize(("backend", "package"), [(AER, "qiskit_aer"), (CIRQ, "cirq")], ids=["Qiskit", "Cirq"])
def test_a_missing_sdk_names_the_extra(backend: Backend, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # What Python itself does to forbid an import.
    with pytest.raises(BackendUnavailableError, match=rf"{package}.*hybridjob\[{backend.sdk.lower()}\]"):
        open_backend(backend)


@pytest.mark.parametrize(("backend", "other"), [(AER, "cirq"), (CIRQ, "qiskit")], ids=["Qiskit", "Cirq"])
def test_one_sdk_does_not_load_the_other(backend: Backend, other: str) -> None:
    script = (
        "import sys; from hybridjob.contract.task import Backend; import hybridjob_solver.algorithms.qaoa, "
        "hybridjob_solver.algorithms.circuits; from hybridjob_solver.backends.registry import open_backend;"
        "assert not {'cirq', 'qiskit'} & set(sys.modules);"
        f"open_backend(Backend.model_validate_json('{backend.model_dump_json()}')); assert {other!r} not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
