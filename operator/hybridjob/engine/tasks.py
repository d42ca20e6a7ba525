"""From a job's spec to the task of one attempt."""

from hybridjob.api.hybridjob import CIRCUIT_TYPES, HybridJob
from hybridjob.api.policy import BackendSpec
from hybridjob.contract import task as contract
from hybridjob.contract.base import Model
from hybridjob.contract.problems import Ising, MaxCut, Portfolio, Qubo, Table


def build_task(job: HybridJob, attempt: int, backend: BackendSpec | None, data: contract.ProblemData) -> contract.Task:
    """The task of one attempt; `backend` is None for a classical one. `data` is where the solver finds the problem's
    data: only the runtime knows where it put a ConfigMap."""
    spec = job.spec
    quantum = None
    if backend is not None and spec.quantum is not None:
        quantum = contract.QuantumTask(
            algorithm=spec.quantum.algorithm or ("Sampling" if spec.problem.type in CIRCUIT_TYPES else "QAOA"),
            shots=spec.quantum.shots,
            layers=spec.quantum.layers,
            max_iterations=spec.quantum.max_iterations,
            seed=spec.quantum.seed,
        )
    return contract.Task(
        job_uid=job.metadata.uid or "",
        attempt=attempt,
        problem=contract.Problem(
            type=spec.problem.type,
            format=spec.problem.read_format,
            data=data,
            parameters=spec.problem.parameters or {},
        ),
        prepare=[contract.PrepareStep.model_validate(dict(step)) for step in spec.prepare],
        quantum=quantum,
        backend=_contract_backend(backend) if quantum is not None and backend is not None else None,
        classical=contract.ClassicalTask(algorithm=spec.classical.algorithm, seed=spec.classical.seed),
    )


def _contract_backend(backend: BackendSpec) -> contract.Backend:
    return contract.Backend(
        name=backend.name, kind=backend.kind, sdk=backend.sdk, qubits=backend.qubits, snapshot=backend.snapshot
    )


def problem_size(job: HybridJob, problem: Model | None) -> int | None:
    """The qubits that the problem needs, where that is known before it is encoded; `problem` is its parsed data."""
    match problem:
        case MaxCut(nodes=size) | Qubo(variables=size) | Ising(spins=size):
            return size
        case Portfolio():
            return len(problem.expected_returns)
        case Table():
            size = len(problem.columns) - 1
            for step in job.spec.prepare:
                if step.pca is not None:
                    size = step.pca.components
                elif step.select_k_best is not None:
                    size = step.select_k_best.k
            return size
        case _:
            return None
