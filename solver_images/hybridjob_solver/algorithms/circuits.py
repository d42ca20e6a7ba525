"""Answers of circuits: sampled on a backend ('Sampling'), or exact by the state vector ('Statevector')."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hybridjob.contract.task import Backend, QuantumTask, Task
from hybridjob.contract.verdict import MAX_SOLUTION_BITS, Answer, GateShots, Sample, Usage
from hybridjob_solver.algorithms.observable import group
from hybridjob_solver.backends.registry import open_backend
from hybridjob_solver.circuits.model import Circuit
from hybridjob_solver.circuits.outcomes import OutcomeDistribution
from hybridjob_solver.circuits.statevector import MAX_QUBITS, expectation, simulate
from hybridjob_solver.encode.qubo import Bits, Ints
from hybridjob_solver.failures import BackendUnavailableError, InvalidTaskError
from hybridjob_solver.problems.circuit import CircuitProblem
from hybridjob_solver.progress import OnProgress

_MAX_BASELINE_QUBITS = 20
"""Where the exact value costs seconds at most: a comparison must not cost more than the answer."""
_MAX_SAMPLES = 1024
_STATEVECTOR_SHOTS = 1024
"""Samples that accompany an exact answer; a classical task asks for no number of shots."""


@dataclass(frozen=True)
class CircuitOutcome:
    """An answer, and what the verdict and the payload say of it.

    For a Circuit the objective is the share of the most frequent outcome, and its exact probability the baseline; for
    an Expectation they are the estimate and the exact value. Nothing is infeasible.
    """

    answer: Answer
    algorithm: str
    message: str
    """One sentence for people."""
    qubits: int
    usage: Usage = field(default_factory=Usage)
    circuit_depth: int | None = None
    payload_fields: dict[str, Any] = field(default_factory=dict)
    """Any of `samples`, `circuit`, `parameters` and `baseline` of contract.verdict.Payload."""


def solve(problem: CircuitProblem, task: Task, on_progress: OnProgress) -> CircuitOutcome:
    """Sample the circuit on the task's backend, or compute it exactly when the task is classical.

    Raises BackendUnavailableError when the backend, or the state vector, cannot run this circuit.
    """
    if task.quantum is None:
        _check_exact(problem.circuit)
        if problem.observable is None:
            return _exact_outcomes(problem.circuit, task.classical.seed)
        return _exact_expectation(problem.circuit, problem.observable)
    if task.backend is None:
        raise InvalidTaskError("A task for Sampling must have the field backend.")
    if problem.circuit.qubits > task.backend.qubits:
        raise BackendUnavailableError(
            f"The circuit has {problem.circuit.qubits} qubits and backend {task.backend.name!r} has "
            f"{task.backend.qubits}: the circuit must be smaller, or run on a larger backend."
        )
    if problem.observable is None:
        return _sampled_outcomes(problem.circuit, task.quantum, task.backend, on_progress)
    return _sampled_expectation(problem.circuit, problem.observable, task.quantum, task.backend, on_progress)


def _check_exact(circuit: Circuit) -> None:
    if circuit.qubits > MAX_QUBITS:
        raise BackendUnavailableError(
            f"The circuit has {circuit.qubits} qubits: Statevector must have at most {MAX_QUBITS}; "
            "use a quantum backend."
        )
    if circuit.is_dynamic:
        raise BackendUnavailableError(
            "The circuit resets qubits, acts on them after measuring them, or depends on measured bits: Statevector "
            "must have gates first and measurements last; use a quantum backend."
        )


def _exact_outcomes(circuit: Circuit, seed: int) -> CircuitOutcome:
    distribution = OutcomeDistribution(circuit)
    outcome, probability = distribution.most_probable()
    bits, counts = distribution.draw(_STATEVECTOR_SHOTS, seed)
    return CircuitOutcome(
        answer=Answer(objective=probability, feasible=True, sense="Value", solution=_solution(outcome)),
        algorithm="Statevector",
        message=f"Exact state vector of {circuit.qubits} qubits; the objective is the most probable outcome's share.",
        qubits=circuit.qubits,
        payload_fields={
            "samples": _samples(bits, counts),
            "circuit": circuit.to_qasm3(),
            "parameters": {"shots": _STATEVECTOR_SHOTS, "seed": seed},
        },
    )


def _exact_expectation(circuit: Circuit, observable: tuple[tuple[str, float], ...]) -> CircuitOutcome:
    return CircuitOutcome(
        answer=Answer(objective=_exact_value(circuit, observable), feasible=True, sense="Value"),
        algorithm="Statevector",
        message=f"Exact state vector of {circuit.qubits} qubits.",
        qubits=circuit.qubits,
        payload_fields={"circuit": circuit.to_qasm3()},
    )


def _exact_value(circuit: Circuit, observable: tuple[tuple[str, float], ...]) -> float:
    state = simulate(circuit.qubits, circuit.gates)
    return float(sum(coefficient * expectation(state, pauli) for pauli, coefficient in observable))


def _sampled_outcomes(
    circuit: Circuit, settings: QuantumTask, backend: Backend, on_progress: OnProgress
) -> CircuitOutcome:
    text = circuit.to_qasm3()
    samples = open_backend(backend).sample(text, settings.shots, settings.seed)
    top = int(np.argmax(samples.counts))
    share = float(samples.counts[top]) / settings.shots
    on_progress("sample", 1, 1, share)
    parameters: dict[str, Any] = {"shots": settings.shots, "seed": settings.seed}
    exact = None
    if circuit.qubits <= _MAX_BASELINE_QUBITS and not circuit.is_dynamic:
        probabilities = OutcomeDistribution(circuit).probability_of(samples.bits)
        exact = float(probabilities[top])
        # Outcomes that never came contribute nothing to Σ√(p q).
        parameters["hellingerFidelity"] = float(np.sqrt(probabilities * samples.counts / settings.shots).sum() ** 2)
    return CircuitOutcome(
        answer=Answer(
            objective=share, feasible=True, sense="Value", baseline=exact, solution=_solution(samples.bits[top])
        ),
        algorithm="Sampling",
        message=f"{settings.shots} shots of a circuit of {circuit.qubits} qubits on {backend.name}.",
        qubits=circuit.qubits,
        usage=Usage(tasks=1, shots=settings.shots, seconds=samples.seconds, gate_shots=samples.gate_shots),
        circuit_depth=samples.depth,
        payload_fields={
            "samples": _samples(samples.bits, samples.counts),
            "circuit": text,
            "parameters": parameters,
            "baseline": _baseline(exact),
        },
    )


def _sampled_expectation(
    circuit: Circuit,
    observable: tuple[tuple[str, float], ...],
    settings: QuantumTask,
    backend: Backend,
    on_progress: OnProgress,
) -> CircuitOutcome:
    sampler = open_backend(backend)
    value, groups = group(observable)
    variance, seconds, depth, gate_shots = 0.0, 0.0, 0, GateShots()
    seeds = np.random.default_rng(settings.seed).integers(2**31, size=len(groups)).tolist()
    for number, (measured, seed) in enumerate(zip(groups, seeds, strict=True), start=1):
        samples = sampler.sample(measured.circuit(circuit).to_qasm3(), settings.shots, seed)
        mean, variance_of_mean = measured.estimate(samples.bits, samples.counts)
        value, variance = value + mean, variance + variance_of_mean
        seconds, depth = seconds + samples.seconds, max(depth, samples.depth)
        gate_shots += samples.gate_shots
        on_progress("sample", number, len(groups), value)
    exact = _exact_value(circuit, observable) if circuit.qubits <= _MAX_BASELINE_QUBITS else None
    return CircuitOutcome(
        answer=Answer(objective=value, feasible=True, sense="Value", baseline=exact),
        algorithm="Sampling",
        message=(
            f"{len(observable)} Pauli terms in {len(groups)} groups of {settings.shots} shots on {backend.name}, "
            f"standard error {variance**0.5:.2g}."
        ),
        qubits=circuit.qubits,
        usage=Usage(tasks=len(groups), shots=len(groups) * settings.shots, seconds=seconds, gate_shots=gate_shots),
        circuit_depth=depth or None,
        payload_fields={
            "circuit": circuit.to_qasm3(),
            "parameters": {
                "standardError": variance**0.5,
                "measurementBases": ["".join(measured.basis) for measured in groups],
                "shotsPerBasis": settings.shots,
                "seed": settings.seed,
            },
            "baseline": _baseline(exact),
        },
    )


def _baseline(exact: float | None) -> dict[str, Any] | None:
    return None if exact is None else {"algorithm": "Statevector", "objective": exact}


def _solution(outcome: Bits) -> str | None:
    return _text(outcome) if len(outcome) <= MAX_SOLUTION_BITS else None


def _text(outcome: Bits) -> str:
    return "".join(map(str, outcome.tolist()))


def _samples(bits: Bits, counts: Ints) -> list[Sample]:
    """The most frequent outcomes, at most 1,024; ties in the order of their bit strings."""
    shots = int(counts.sum())
    order = np.argsort(-counts, kind="stable")[:_MAX_SAMPLES]
    return [
        Sample(solution=_text(bits[k]), objective=int(counts[k]) / shots, feasible=True, count=int(counts[k]))
        for k in order
    ]
