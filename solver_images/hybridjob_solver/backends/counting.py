"""Counts what a circuit asks of a backend, in the quantities that providers bill."""

from collections.abc import Hashable, Iterable, Sequence
from typing import Literal

from hybridjob.contract.verdict import GateShots

Operation = tuple[Literal["Gate", "Measurement", "Reset"], Sequence[Hashable]]
"""What it is, and the qubits that it acts on."""

_CNOTS = 6
"""Of a Toffoli gate."""


def count(operations: Iterable[Operation], shots: int) -> GateShots:
    """The gate-shots of a circuit, as the price lists of IonQ and Quantinuum define them.

    IonQ bills a gate on N > 2 qubits as 6 (N - 2) on two. Quantinuum counts with the measurements every reset and the
    implicit preparation of each qubit, and bills a conditional gate whether or not its condition holds.
    """
    one_qubit = two_qubit = resets = measurements = 0
    used: set[Hashable] = set()
    for kind, qubits in operations:
        used.update(qubits)
        match kind, len(qubits):
            case "Measurement", number:
                measurements += number
            case "Reset", number:
                resets += number
            case "Gate", 1:
                one_qubit += 1
            case "Gate", 2:
                two_qubit += 1
            case "Gate", number if number > 2:
                two_qubit += _CNOTS * (number - 2)
    return GateShots(
        one_qubit=one_qubit * shots,
        two_qubit=two_qubit * shots,
        preparations=(len(used) + resets) * shots,
        measurements=measurements * shots,
    )
