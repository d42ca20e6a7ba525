"""What every optimisation problem offers. To add one: a module with a class of this shape, and a line in `load.py`."""

from typing import Protocol

from hybridjob_solver.encode.encoding import Encoding, Sense
from hybridjob_solver.encode.qubo import Bools, Floats, Ints


class OptimisationProblem(Protocol):
    """A problem over `size` variables, which are bits unless the type says otherwise.

    `objective` and `feasible` follow the problem's own definition and know nothing of its encoding: they are what an
    answer is verified with.
    """

    @property
    def sense(self) -> Sense: ...

    @property
    def size(self) -> int: ...

    @property
    def variable_names(self) -> list[str] | None: ...

    def objective(self, values: Ints) -> Floats:
        """The objective in the problem's own units at each row of `values`, (k, n) -> (k,)."""

    def feasible(self, values: Ints) -> Bools:
        """Whether each row of `values` satisfies every constraint, (k, n) -> (k,)."""

    def encode(self) -> Encoding:
        """The problem as a program and as a QUBO."""
