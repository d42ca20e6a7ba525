"""Simulated annealing (Kirkpatrick, Gelatt, Vecchi, Science 220, 1983), by dwave-samplers."""

from dimod import BinaryQuadraticModel, SampleSet
from dwave.samplers import SimulatedAnnealingSampler

from hybridjob_solver.algorithms.effort import Effort
from hybridjob_solver.algorithms.reads import run_reads
from hybridjob_solver.candidates import Candidates
from hybridjob_solver.encode.encoding import Encoding
from hybridjob_solver.progress import OnProgress

_SWEEPS = 1000
_UPDATES_PER_SECOND = 1e9
"""Variables and products visited. Measured: 0.5e9 on sparse problems to 3e9 on dense ones."""


def solve(encoding: Encoding, effort: Effort, seed: int, on_progress: OnProgress) -> Candidates:
    """The outcomes of independent anneals. Deterministic for a given seed."""
    qubo = encoding.qubo
    seconds = _SWEEPS * (qubo.size + 2 * len(qubo.values)) / _UPDATES_PER_SECOND
    sampler = SimulatedAnnealingSampler()  # type: ignore[no-untyped-call]

    def sample(model: BinaryQuadraticModel, reads: int, seed: int) -> SampleSet:
        return sampler.sample(model, num_reads=reads, num_sweeps=_SWEEPS, seed=seed)

    reads = effort.reads(seconds, least=4, most=200)
    return run_reads("SimulatedAnnealing", encoding, reads, seed, sample, on_progress)
