"""What the heuristics of dwave-samplers share: independent reads of one QUBO, in batches that show progress."""

from collections.abc import Callable

import dimod
import numpy as np

from hybridjob.contract.verdict import Iteration
from hybridjob_solver.candidates import Candidates
from hybridjob_solver.encode.encoding import Encoding
from hybridjob_solver.encode.qubo import Bits, Floats, Qubo
from hybridjob_solver.progress import OnProgress

_BATCHES = 20


def run_reads(
    name: str,
    encoding: Encoding,
    reads: int,
    seed: int,
    sample: Callable[[dimod.BinaryQuadraticModel, int, int], dimod.SampleSet],
    on_progress: OnProgress,
) -> Candidates:
    """The distinct outcomes of `reads` reads. `sample` is called with the model, a number of reads and a seed."""
    model = _to_model(encoding.qubo)
    seeds = np.random.default_rng(seed)
    bits: list[Bits] = []
    energies: list[Floats] = []
    best = np.inf
    done = 0
    while done < reads:
        batch = min(-(-reads // _BATCHES), reads - done)
        record = sample(model, batch, int(seeds.integers(2**31))).record
        bits.append(record.sample.astype(np.uint8))
        energies.append(record.energy)
        best = min(best, float(record.energy.min()))
        done += batch
        on_progress(name, done, reads, encoding.objective_of(best))
    distinct, counts = np.unique(np.concatenate(bits), axis=0, return_counts=True)
    return Candidates(
        bits=distinct,
        counts=counts,
        algorithm=name,
        message=f"{name} with {reads} reads",
        convergence=_convergence(np.concatenate(energies), encoding),
        parameters={"reads": reads, "seed": seed},
    )


def _to_model(qubo: Qubo) -> dimod.BinaryQuadraticModel:
    # Variables are numbered in order even where they have no terms, so samples come in variable order.
    return dimod.BQM.from_numpy_vectors(qubo.linear, (qubo.rows, qubo.cols, qubo.values), qubo.offset, dimod.BINARY)


def _convergence(energies: Floats, encoding: Encoding) -> list[Iteration]:
    best = [encoding.objective_of(float(energy)) for energy in np.minimum.accumulate(energies)]
    return [Iteration(iteration=i, objective=value, best=value) for i, value in enumerate(best, start=1)]
