"""Multistart tabu search (Palubeckis, Annals of Operations Research 131, 2004), by dwave-samplers."""

from dimod import BinaryQuadraticModel, SampleSet
from dwave.samplers import TabuSampler

from hybridjob_solver.algorithms.effort import Effort
from hybridjob_solver.algorithms.reads import run_reads
from hybridjob_solver.candidates import Candidates
from hybridjob_solver.encode.encoding import Encoding
from hybridjob_solver.progress import OnProgress

_MOVES_PER_SECOND = 1.5e8
"""Moves considered. Measured on dense problems of 300 to 1,000 variables."""


def solve(encoding: Encoding, effort: Effort, seed: int, on_progress: OnProgress) -> Candidates:
    """The outcomes of independent searches. Deterministic for a given seed."""
    size = encoding.qubo.size
    moves = max(500_000, size * (10_000 if size <= 500 else 25_000))  # the sampler's own bound of one search
    sampler = TabuSampler()  # type: ignore[no-untyped-call]

    def sample(model: BinaryQuadraticModel, reads: int, seed: int) -> SampleSet:
        # No time limit: it would make the answer depend on the machine.
        return sampler.sample(model, num_reads=reads, timeout=None, num_restarts=0, seed=seed)  # type: ignore[arg-type]

    reads = effort.reads(moves / _MOVES_PER_SECOND, least=2, most=100)
    return run_reads("Tabu", encoding, reads, seed, sample, on_progress)
