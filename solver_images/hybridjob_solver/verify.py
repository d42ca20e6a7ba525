"""The one place where answers are verified, whatever found them: decoded, and evaluated by the original problem."""

from dataclasses import dataclass

import numpy as np

from hybridjob.contract.verdict import MAX_SOLUTION_BITS, Answer, Sample
from hybridjob_solver.candidates import Candidates
from hybridjob_solver.encode.encoding import Encoding
from hybridjob_solver.encode.qubo import Bools, Floats, Ints
from hybridjob_solver.problems.base import OptimisationProblem

MAX_SAMPLES = 1024


@dataclass(frozen=True)
class Verified:
    """The best of an algorithm's candidates: a feasible one where there is any."""

    objective: float
    feasible: bool
    assignment: dict[str, float] | None
    solution: str | None
    """The bit string; None where some variables are not bits."""
    samples: list[Sample]
    distinct: int
    """How many distinct assignments the candidates decode to."""

    def answer(self, problem: OptimisationProblem, baseline: float | None) -> Answer:
        fits = self.solution is not None and len(self.solution) <= MAX_SOLUTION_BITS
        return Answer(
            objective=self.objective,
            feasible=self.feasible,
            sense=problem.sense,
            baseline=baseline,
            solution=self.solution if fits else None,
        )


def verify(problem: OptimisationProblem, encoding: Encoding, candidates: Candidates) -> Verified:
    """Decode the candidates and evaluate them as the problem itself is defined."""
    values, places = np.unique(encoding.decode(candidates.bits), axis=0, return_inverse=True)
    counts = np.zeros(len(values), dtype=np.int64)
    np.add.at(counts, places.ravel(), candidates.counts)
    objectives, feasible = problem.objective(values), problem.feasible(values)
    costs = -objectives if problem.sense == "Maximize" else objectives
    order = np.lexsort((-counts, costs, ~feasible))  # feasible first, then best, then most frequent
    is_binary = encoding.program.is_binary

    best = order[0]
    names = problem.variable_names
    return Verified(
        objective=float(objectives[best]),
        feasible=bool(feasible[best]),
        assignment=None if names is None else dict(zip(names, map(float, values[best]), strict=True)),
        solution=_text(values[best], True) if is_binary else None,
        samples=_samples(values, objectives, feasible, counts, _shown(order, counts), is_binary),
        distinct=len(values),
    )


def _shown(order: Ints, counts: Ints) -> Ints:
    """The best half and the most frequent of the rest, in the order of `order`."""
    if len(order) <= MAX_SAMPLES:
        return order
    best, rest = order[: MAX_SAMPLES // 2], order[MAX_SAMPLES // 2 :]
    frequent = np.argsort(-counts[rest], kind="stable")[: MAX_SAMPLES // 2]
    return np.concatenate([best, rest[np.sort(frequent)]])


def _samples(
    values: Ints, objectives: Floats, feasible: Bools, counts: Ints, shown: Ints, is_binary: bool
) -> list[Sample]:
    return [
        Sample(
            solution=_text(values[i], is_binary),
            objective=float(objectives[i]),
            feasible=bool(feasible[i]),
            count=int(counts[i]),
        )
        for i in shown
    ]


def _text(values: Ints, is_binary: bool) -> str:
    """A bit string in variable order; integers are separated by commas."""
    return ("" if is_binary else ",").join(map(str, values.tolist()))
