"""Circuits to sample, and expectation values to estimate."""

from dataclasses import dataclass, replace

from hybridjob.contract.problems import ExpectationParameters, ProblemFormat
from hybridjob_solver.circuits.model import Circuit, Measurement
from hybridjob_solver.circuits.reader import read_circuit
from hybridjob_solver.failures import InvalidTaskError


@dataclass(frozen=True)
class CircuitProblem:
    """A circuit whose outcomes are wanted, or, with an observable, a circuit that prepares the state it is taken of.

    Outcomes are strings with classical bit 0 first, the registers in order of declaration. Letter 0 of a Pauli string
    acts on qubit 0.
    """

    circuit: Circuit
    observable: tuple[tuple[str, float], ...] | None = None

    @classmethod
    def parse(
        cls, text: str, problem_format: ProblemFormat, parameters: ExpectationParameters | None
    ) -> "CircuitProblem":
        """The problem that `text` states; `parameters` are those of an Expectation, None for a Circuit.

        Raises InvalidTaskError that names the line, the cause and what must hold.
        """
        circuit = read_circuit(text, version="2" if problem_format == "QASM2" else "3")
        if not circuit.qubits:
            raise InvalidTaskError("The circuit has no qubits: it must declare at least one.")
        if parameters is not None:
            return cls(*_with_observable(circuit, parameters))
        if not circuit.measurements:
            raise InvalidTaskError("The circuit measures nothing: a Circuit must measure qubits into classical bits.")
        return cls(circuit)


def _with_observable(
    circuit: Circuit, parameters: ExpectationParameters
) -> tuple[Circuit, tuple[tuple[str, float], ...]]:
    length = len(parameters.observable[0][0])
    if length != circuit.qubits:
        raise InvalidTaskError(
            f"The observable's Pauli strings have {length} letters and the circuit has {circuit.qubits} qubits: "
            "there must be one letter for each qubit."
        )
    if circuit.is_dynamic:
        raise InvalidTaskError(
            "The circuit resets qubits, or acts on them after measuring them: an Expectation must be of the state "
            "that gates alone prepare (measurements at the end are left out)."
        )
    kept = tuple(operation for operation in circuit.operations if not isinstance(operation, Measurement))
    return replace(circuit, bits=0, operations=kept), tuple(parameters.observable)
