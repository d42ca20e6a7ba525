"""How a problem is handed to a solver of QUBOs, and its answer handed back."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hybridjob_solver.encode.penalties import penalise
from hybridjob_solver.encode.program import BinaryExpansion, Program, expand
from hybridjob_solver.encode.qubo import Bits, Ints, Qubo

Sense = Literal["Maximize", "Minimize"]


@dataclass(frozen=True)
class Encoding:
    """A problem's program, and the QUBO made of it.

    `program` minimises; where the problem maximises, it is the negative of the problem's objective.
    """

    program: Program
    sense: Sense

    @cached_property
    def _expanded(self) -> tuple[Program, BinaryExpansion]:
        return expand(self.program)

    @property
    def bit_program(self) -> Program:
        """The program over bits, with its constraints."""
        return self._expanded[0]

    @property
    def bits(self) -> int:
        """The number of bits that carry the problem's variables, without slack."""
        return self._expanded[1].size

    @cached_property
    def qubo(self) -> Qubo:
        """The QUBO to minimise: constraints as penalties, slack bits last.

        Raises BackendUnavailableError where the constraints have no exact penalties.
        """
        return penalise(self.bit_program)

    def decode(self, bits: NDArray[np.integer]) -> Ints:
        """The problem's variables, (k, m) -> (k, n). Slack bits say nothing about them and may be left out."""
        expansion = self._expanded[1]
        return expansion.decode(np.asarray(bits[:, : expansion.size], dtype=np.int64))

    def encode_values(self, values: Ints) -> Bits:
        """Bits, without slack, that decode to `values`, (k, n) -> (k, m)."""
        return self._expanded[1].encode(values).astype(np.uint8)

    def objective_of(self, energy: float) -> float:
        """An energy of the QUBO in the problem's own units and sense."""
        return -energy if self.sense == "Maximize" else energy
