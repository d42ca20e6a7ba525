"""QAOA, from a problem in memory to its best angles: our search against COBYLA on qiskit-aer's EstimatorV2.

Weighted MaxCut on Erdős-Rényi graphs of density 0.5, weights uniform in [0, 1], p = 3. The opponent is what a user of
Qiskit writes: a parameterised circuit, transpiled once, exact expectations (precision 0) of the cost Hamiltonian, and
100 evaluations of COBYLA from a linear ramp, with the step size (0.3) that served it best on these graphs.

Contenders alternate within each round, each in a process of its own with one thread; imports are not counted. The
energy is recomputed from the angles by one and the same evaluation for all. The figure is the ratio of medians.

    python benchmarks/qaoa_time_to_solution.py --nodes 16 20 --rounds 3
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

import numpy as np

from hybridjob.contract.task import QuantumTask
from hybridjob_solver.algorithms.qaoa import search_angles
from hybridjob_solver.diagonal import DiagonalQaoa, energies_of_all_states
from hybridjob_solver.encode.qubo import Ising

LAYERS = 3
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}


def maxcut(nodes: int, seed: int) -> Ising:
    """Minus the cut weight, as an Ising problem."""
    rng = np.random.default_rng(seed)
    pairs = np.array([(i, j) for i in range(nodes) for j in range(i + 1, nodes) if rng.random() < 0.5])
    weights = rng.uniform(size=len(pairs))
    return Ising(np.zeros(nodes), pairs[:, 0], pairs[:, 1], weights / 2, -weights.sum() / 2)


def silent(stage: str, iteration: int, iterations: int, best: float) -> None:
    """Progress is not what is measured."""


def ours(problem: Ising, evaluations: int) -> tuple[list[float], list[float]]:
    settings = QuantumTask(algorithm="QAOA", shots=1, layers=LAYERS, max_iterations=evaluations, seed=0)
    energies = energies_of_all_states(problem.to_qubo())
    found = search_angles(problem, energies, settings, lambda energy: energy, silent)
    return found.gammas.tolist(), found.betas.tolist()


def aer_estimator(problem: Ising, evaluations: int) -> tuple[list[float], list[float]]:
    from qiskit import QuantumCircuit, transpile
    from qiskit.circuit import ParameterVector
    from qiskit.quantum_info import SparsePauliOp
    from qiskit_aer import AerSimulator
    from qiskit_aer.primitives import EstimatorV2
    from scipy.optimize import minimize

    n = problem.size
    edges = list(zip(problem.rows.tolist(), problem.cols.tolist(), problem.couplings.tolist(), strict=True))
    hamiltonian = SparsePauliOp.from_sparse_list([("ZZ", [i, j], weight) for i, j, weight in edges], n)
    angles = ParameterVector("angle", 2 * LAYERS)
    circuit = QuantumCircuit(n)
    circuit.h(range(n))
    for layer in range(LAYERS):
        for i, j, weight in edges:
            circuit.rzz(2 * weight * angles[layer], i, j)
        circuit.rx(-2 * angles[LAYERS + layer], range(n))
    circuit = transpile(circuit, AerSimulator(), optimization_level=1)
    estimator = EstimatorV2(options={"backend_options": {"method": "statevector", "max_parallel_threads": 1}})

    def energy(x: np.ndarray) -> float:
        values = dict(zip(angles, x, strict=True))
        return float(estimator.run([(circuit.assign_parameters(values), hamiltonian)]).result()[0].data.evs)

    ramp = 0.75 * (np.arange(LAYERS) + 0.5) / LAYERS
    start = np.concatenate([ramp, 0.75 - ramp])
    found = minimize(energy, start, method="COBYLA", options={"maxiter": evaluations, "rhobeg": 0.3})
    return found.x[:LAYERS].tolist(), found.x[LAYERS:].tolist()


CONTENDERS: dict[str, tuple[Callable[[Ising, int], tuple[list[float], list[float]]], int]] = {
    "hybridjob, 100 evaluations": (ours, 100),
    "hybridjob, 40 evaluations (default)": (ours, 40),
    "Aer EstimatorV2, 100 evaluations": (aer_estimator, 100),
}
OPPONENT = "Aer EstimatorV2, 100 evaluations"


def run_here(name: str, nodes: int, seed: int) -> None:
    solve, evaluations = CONTENDERS[name]
    solve(maxcut(4, seed), LAYERS * 2 + 2)  # Loads what is loaded lazily.
    problem = maxcut(nodes, seed)
    started = time.perf_counter()
    gammas, betas = solve(problem, evaluations)
    print(json.dumps({"seconds": time.perf_counter() - started, "gammas": gammas, "betas": betas}))


def run_apart(name: str, nodes: int, seed: int) -> tuple[float, float]:
    """Seconds and the share of the range of cuts that the angles reach, from a process of its own."""
    command = [sys.executable, __file__, "--contender", name, "--nodes", str(nodes), "--seed", str(seed)]
    output = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | ONE_THREAD).stdout
    result = json.loads(output.splitlines()[-1])
    energies = energies_of_all_states(maxcut(nodes, seed).to_qubo())
    energy = DiagonalQaoa(energies).energy(result["gammas"], result["betas"])
    return result["seconds"], (energies.max() - energy) / np.ptp(energies)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="+", default=[16])
    parser.add_argument("--rounds", type=int, default=3, help="each with a graph of its own")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contender:
        run_here(arguments.contender, arguments.nodes[0], arguments.seed)
        return
    for nodes in arguments.nodes:
        rounds = [
            {name: run_apart(name, nodes, arguments.seed + number) for name in CONTENDERS}
            for number in range(arguments.rounds)
        ]
        print(
            f"\nn = {nodes}, p = {LAYERS}, {arguments.rounds} rounds    median seconds   median quality   times faster"
        )
        opponent = median(one[OPPONENT][0] for one in rounds)
        for name in CONTENDERS:
            seconds, quality = (median(one[name][k] for one in rounds) for k in (0, 1))
            print(f"{name:36}  {seconds:14.3f}   {quality:14.5f}   {opponent / seconds:12.1f}")


if __name__ == "__main__":
    main()
