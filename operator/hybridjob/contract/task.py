"""What a solver is asked to do: one JSON file."""

from typing import Annotated, Any, Literal

from pydantic import Field

from hybridjob.contract.base import Model
from hybridjob.contract.problems import ProblemFormat, ProblemType

QuantumAlgorithm = Literal["QAOA", "Sampling"]
ClassicalAlgorithm = Literal["Auto", "SimulatedAnnealing", "Tabu", "Exact", "Enumeration", "Statevector"]
Sdk = Literal["Qiskit", "Cirq"]
BackendKind = Literal["Simulator", "NoisySimulator"]


class ProblemData(Model):
    """Where the problem's data is: exactly one of the fields is set."""

    inline: dict[str, Any] | None = None
    text: str | None = None
    path: str | None = None
    """A file of this machine: a mounted volume, or a file that the local runtime wrote."""
    uri: str | None = None
    """Anything that fsspec opens."""


class Problem(Model):
    type: ProblemType
    format: ProblemFormat
    data: ProblemData
    parameters: dict[str, Any] = {}


class Standardize(Model):
    """Subtract the mean and divide by the standard deviation of each column."""


class MinMax(Model):
    """Scale each column to [0, 1]."""


class Pca(Model):
    """Project on the first principal components."""

    components: Annotated[int, Field(ge=1, le=1024)]
    """How many components to keep."""


class SelectKBest(Model):
    """Keep the columns with the highest univariate score."""

    k: Annotated[int, Field(ge=1, le=1024)]
    """How many columns to keep."""


class PrepareStep(Model):
    """One step of classical feature compression: exactly one of the fields is set."""

    standardize: Standardize | None = None
    """Subtract each column's mean and divide by its standard deviation."""
    min_max: MinMax | None = None
    """Scale each column to [0, 1]."""
    pca: Pca | None = None
    """Project on the first principal components."""
    select_k_best: SelectKBest | None = None
    """Keep the columns with the highest univariate score (F test against the target)."""


class QuantumTask(Model):
    algorithm: QuantumAlgorithm
    shots: int
    layers: int
    max_iterations: int
    seed: int


class ClassicalTask(Model):
    algorithm: ClassicalAlgorithm
    seed: int


class Backend(Model):
    """The backend of a quantum task, as the policy describes it."""

    name: str
    kind: BackendKind
    sdk: Sdk
    qubits: int
    snapshot: str | None = None
    """The device snapshot whose noise a NoisySimulator reproduces: a class of qiskit_ibm_runtime.fake_provider."""


class Task(Model):
    """One attempt at one job. Quantum tasks have `quantum` and `backend`; `classical` is always set: it answers a
    classical task, and gives the baseline of a quantum one."""

    schema_version: Literal["hybridjob.dev/task/v1"] = "hybridjob.dev/task/v1"
    job_uid: str
    attempt: int
    problem: Problem
    prepare: list[PrepareStep] = []
    quantum: QuantumTask | None = None
    backend: Backend | None = None
    classical: ClassicalTask
