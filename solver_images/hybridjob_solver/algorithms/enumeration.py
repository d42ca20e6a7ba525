"""Every assignment, evaluated by the problem's own definition."""

import numpy as np

from hybridjob_solver.candidates import Candidates
from hybridjob_solver.diagonal import bits_of
from hybridjob_solver.encode.encoding import Encoding
from hybridjob_solver.failures import BackendUnavailableError, InvalidTaskError
from hybridjob_solver.problems.base import OptimisationProblem
from hybridjob_solver.verify import MAX_SAMPLES

MAX_BITS = 19
_CHUNK = 2**14


def solve(problem: OptimisationProblem, encoding: Encoding) -> Candidates:
    """The best feasible assignments, at most 1,024 of them.

    Raises InvalidTaskError when none is feasible, BackendUnavailableError when there are too many.
    """
    n = encoding.bits
    if n > MAX_BITS:
        raise BackendUnavailableError(
            f"The problem has {n} binary variables: Enumeration must have at most {MAX_BITS}; use Auto."
        )
    costs = np.full(1 << n, np.inf)
    sign = -1 if problem.sense == "Maximize" else 1
    for start in range(0, 1 << n, _CHUNK):
        indices = np.arange(start, min(start + _CHUNK, 1 << n))
        values = encoding.decode(bits_of(indices, n))
        feasible = problem.feasible(values)
        costs[indices[feasible]] = sign * problem.objective(values[feasible])
    feasible_count = int(np.isfinite(costs).sum())
    if not feasible_count:
        raise InvalidTaskError("The constraints contradict each other: none of the assignments satisfies them.")
    kept = min(MAX_SAMPLES, feasible_count)
    best = np.argpartition(costs, kept - 1)[:kept]
    return Candidates(
        bits=bits_of(best, n),
        counts=np.ones(kept, dtype=np.int64),
        algorithm="Enumeration",
        message=f"Enumeration of all {1 << n} assignments",
        is_optimal=True,
    )
