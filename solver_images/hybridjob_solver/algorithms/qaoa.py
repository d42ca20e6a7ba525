"""QAOA: a circuit whose samples favour low energies (Farhi et al. 2014, arXiv:1411.4028).

The angles are searched for on the precomputed table of energies, with exact expectations; the backend that the job
asked for runs the final circuit alone. A device is then paid for one task, and its noise cannot mislead the search.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import minimize

from hybridjob.contract.task import QuantumTask, Task
from hybridjob.contract.verdict import Iteration, Usage
from hybridjob_solver.algorithms.angles import starting_angles
from hybridjob_solver.backends.registry import open_backend
from hybridjob_solver.candidates import Candidates
from hybridjob_solver.circuits.gates import Gate
from hybridjob_solver.circuits.model import Circuit, Operation, measure_all
from hybridjob_solver.diagonal import MAX_QUBITS, DiagonalQaoa, energies_of_all_states
from hybridjob_solver.encode.qubo import Floats, Ising, Qubo
from hybridjob_solver.failures import BackendUnavailableError, InvalidTaskError
from hybridjob_solver.progress import OnProgress

_TRUST_RADIUS = 0.1
"""COBYLA's first step, in radians: the start is near an optimum, and a longer step would leave it."""
_NEGLIGIBLE_ANGLE = 1e-12
"""Rotations below this are rounding errors of coefficients that cancelled."""


def solve(
    qubo: Qubo,
    task: Task,
    objective_of: Callable[[float], float],
    on_progress: OnProgress,
) -> Candidates:
    """Samples of the QAOA circuit of `qubo`, best angles found in `maxIterations` exact evaluations.

    `objective_of` maps an energy to the problem's own units; `on_progress` is told the stage, the iteration, their
    number and the best objective so far. Deterministic for a given seed.

    Raises BackendUnavailableError when the problem has more variables than the backend has qubits or than the search
    can hold, and MemoryError when there is less memory than that.
    """
    settings = task.quantum
    if settings is None or task.backend is None:
        raise InvalidTaskError("A task for QAOA must have the fields quantum and backend.")
    n = qubo.size
    if n > min(task.backend.qubits, MAX_QUBITS):
        limit = (
            f"backend {task.backend.name!r} has {task.backend.qubits} qubits"
            if n > task.backend.qubits
            else f"QAOA searches its angles on a table of 2^n energies, for at most {MAX_QUBITS} variables"
        )
        raise BackendUnavailableError(
            f"The encoded problem has {n} variables, and {limit}: it must be made smaller "
            "(prepare, fewer variables or tighter bounds), or solved classically."
        )
    backend = open_backend(task.backend)  # Before the search: a missing SDK must not cost its time.

    energies = _finite_energies(qubo)
    ising = qubo.to_ising()
    search = search_angles(ising, energies, settings, objective_of, on_progress)
    text = qaoa_circuit(ising, search.gammas, search.betas).to_qasm3()
    evaluations = len(search.convergence)
    on_progress("sample", evaluations, evaluations, objective_of(search.energy))
    samples = backend.sample(text, settings.shots, settings.seed)
    return Candidates(
        bits=samples.bits,
        counts=samples.counts,
        algorithm="QAOA",
        message=(
            f"QAOA with {settings.layers} layers on {n} qubits: {evaluations} exact evaluations, "
            f"then {settings.shots} shots on {task.backend.name}"
        ),
        convergence=search.convergence,
        usage=Usage(tasks=1, shots=settings.shots, seconds=samples.seconds, gate_shots=samples.gate_shots),
        qubits=n,
        circuit_depth=samples.depth,
        circuit=text,
        parameters={
            "gammas": search.gammas.tolist(),
            "betas": search.betas.tolist(),
            "expectedObjective": objective_of(search.energy),
            "layers": settings.layers,
            "shots": settings.shots,
            "seed": settings.seed,
        },
    )


def _finite_energies(qubo: Qubo) -> Floats:
    with np.errstate(over="ignore", invalid="ignore"):
        energies = energies_of_all_states(qubo)
        in_range = np.isfinite(np.ptp(energies))
    if not in_range:
        raise InvalidTaskError("The problem's energies exceed the range of double precision: it must be scaled down.")
    return energies


def qaoa_circuit(ising: Ising, gammas: Floats, betas: Floats) -> Circuit:
    """The circuit that prepares the state of `DiagonalQaoa` and measures every qubit into the bit of its number."""
    operations: list[Operation] = [Gate("h", (), (qubit,)) for qubit in range(ising.size)]
    order = _rounds(ising)
    for gamma, beta in zip(gammas.tolist(), betas.tolist(), strict=True):
        for k in order:
            pair = (int(ising.rows[k]), int(ising.cols[k]))
            rotation = list(_rz(2 * gamma * float(ising.couplings[k]), pair[1]))
            if rotation:
                operations += [Gate("cx", (), pair), *rotation, Gate("cx", (), pair)]
        for qubit in range(ising.size):
            operations += _rz(2 * gamma * float(ising.fields[qubit]), qubit)
            operations.append(Gate("rx", (-2 * beta,), (qubit,)))
    return Circuit(ising.size, ising.size, (*operations, *measure_all(ising.size)))


def _rz(angle: float, qubit: int) -> Iterator[Gate]:
    if abs(angle) > _NEGLIGIBLE_ANGLE:
        yield Gate("rz", (angle,), (qubit,))


def _rounds(ising: Ising) -> list[int]:
    """The couplings in an order of low depth: each goes to the first round in which both of its qubits are free."""
    busy: list[set[int]] = [set() for _ in range(ising.size)]
    rounds: list[int] = []
    for i, j in zip(ising.rows.tolist(), ising.cols.tolist(), strict=True):
        taken = busy[i] | busy[j]
        free = next(number for number in range(len(taken) + 1) if number not in taken)
        busy[i].add(free)
        busy[j].add(free)
        rounds.append(free)
    return sorted(range(len(rounds)), key=rounds.__getitem__)


@dataclass
class AngleSearch:
    """The best angles so far, and how they were reached."""

    gammas: Floats
    betas: Floats
    energy: float = np.inf
    convergence: list[Iteration] = field(default_factory=list)


def search_angles(
    ising: Ising,
    energies: Floats,
    settings: QuantumTask,
    objective_of: Callable[[float], float],
    on_progress: OnProgress,
) -> AngleSearch:
    """COBYLA from the known-good angles, in at most `max_iterations` evaluations and at least one."""
    lowest, spread = float(energies.min()), float(np.ptp(energies))
    state = DiagonalQaoa(energies)
    start_gammas, start_betas = starting_angles(ising, settings.layers)
    # COBYLA's steps are alike in all directions: γ counts in units in which the problem's own scale is 1.
    unit = float(np.abs(start_gammas).max()) or 1.0
    best = AngleSearch(start_gammas, start_betas)
    budget = max(1, settings.max_iterations)

    def evaluate(angles: Floats) -> float:
        gammas, betas = angles[: settings.layers] * unit, angles[settings.layers :]
        energy = state.energy(gammas.tolist(), betas.tolist())
        if energy < best.energy:
            best.gammas, best.betas, best.energy = gammas.copy(), betas.copy(), energy
        iteration, best_objective = len(best.convergence) + 1, objective_of(best.energy)
        best.convergence.append(Iteration(iteration=iteration, objective=objective_of(energy), best=best_objective))
        on_progress("search", iteration, budget, best_objective)
        # As a share of the range of energies: COBYLA's thresholds are absolute.
        return (energy - lowest) / (spread or 1.0)

    start = np.concatenate([start_gammas / unit, start_betas])
    # COBYLA takes one evaluation per parameter and two more before its first step; a constant has nothing to find.
    if spread and budget >= len(start) + 2:
        minimize(evaluate, start, method="COBYLA", options={"maxiter": budget, "rhobeg": _TRUST_RADIUS})
    else:
        evaluate(start)
    return best
