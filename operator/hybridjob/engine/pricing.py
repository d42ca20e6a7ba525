"""Rate cards: the most that an attempt can cost before it starts, and what it did cost after it ended.

The formulas are those of the providers' public price lists: Amazon Braket charges by task and shot, and reservations
by the hour; IBM by the second that the processor is locked; IonQ on Azure by gate and shot; Quantinuum by its credits.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, Decimal

from hybridjob.api.common import format_timestamp
from hybridjob.api.hybridjob import HybridJobSpec
from hybridjob.api.rates import RateCard
from hybridjob.contract.problems import ExpectationParameters
from hybridjob.contract.verdict import GateShots, Usage

_MICRO = Decimal("0.000001")
_HOUR = 3600
ZERO = Decimal(0)


class PriceUnknownError(Exception):
    """The rate card says no price for this work at this instant; the message says why."""


@dataclass(frozen=True)
class Workload:
    """The most that one attempt will ask of a backend."""

    tasks: int
    shots: int
    """Of all tasks together."""
    seconds: int
    gate_shots: GateShots | None = None
    """Of all tasks together; None where that is not known before the circuit is built."""
    expected_seconds: float | None = None
    """What the attempts that came before took on average, where enough of them were measured."""


@dataclass(frozen=True)
class Estimate:
    """In the unit of the rate card, rounded up to 6 fraction digits."""

    expected: Decimal
    """What it will cost as far as is known; the maximum where nothing better is."""
    maximum: Decimal
    """What is reserved: it cannot cost more."""


def round_up(amount: Decimal) -> Decimal:
    """Round up to the 6 fraction digits that money has: an estimate must never be too low."""
    return amount.quantize(_MICRO, rounding=ROUND_CEILING).normalize() + ZERO


def workload(spec: HybridJobSpec, problem_size: int | None = None) -> Workload:
    """What one quantum attempt of the job asks for at most.

    QAOA searches its angles classically, so only the final circuit is a task. An expectation value needs a task for
    each group of commuting Pauli strings: never more than there are strings.
    """
    if spec.quantum is None:
        return Workload(0, 0, 0)
    tasks, gate_shots = 1, None
    if spec.problem.type == "Expectation":
        tasks = len(ExpectationParameters.model_validate(spec.problem.parameters).observable)
    elif spec.problem.type != "Circuit" and problem_size is not None:
        gate_shots = qaoa_gate_shots(problem_size, spec.quantum.layers, spec.quantum.shots)
    return Workload(tasks, tasks * spec.quantum.shots, spec.limits.active_deadline_seconds, gate_shots)


def classical_workload(spec: HybridJobSpec) -> Workload:
    """What one classical attempt of the job asks for at most: time."""
    return Workload(0, 0, spec.limits.active_deadline_seconds)


def qaoa_gate_shots(qubits: int, layers: int, shots: int) -> GateShots:
    """The most that a QAOA circuit can hold, as it is written: a Hadamard for each qubit; in each layer CX, RZ, CX for
    each pair, and RZ and RX for each qubit. A device that couples only some pairs adds swaps, and one with other gates
    needs more of them: what it runs may then cost more than this, and is charged as it was."""
    pairs = qubits * (qubits - 1) // 2
    return GateShots(
        one_qubit=shots * (qubits + layers * (pairs + 2 * qubits)),
        two_qubit=shots * layers * 2 * pairs,
        preparations=shots * qubits,
        measurements=shots * qubits,
    )


def estimate(card: RateCard, work: Workload, now: datetime) -> Estimate:
    """What `work` may cost. Raises PriceUnknownError when the rate card does not hold now, or does not tell."""
    if card.formula == "Free":
        return Estimate(ZERO, ZERO)
    if card.valid_from is not None and now < card.valid_from:
        raise PriceUnknownError(f"its rate card holds from {format_timestamp(card.valid_from)} on")
    if card.valid_until is not None and now >= card.valid_until:
        raise PriceUnknownError(f"its rate card expired at {format_timestamp(card.valid_until)}")
    maximum = _price(card, work, Decimal(work.seconds))
    if maximum is None:
        raise PriceUnknownError(f"formula {card.formula} needs the gates of the circuit, which is not built yet")
    if work.expected_seconds is None:
        return Estimate(maximum, maximum)
    expected = _price(card, work, Decimal(str(work.expected_seconds)))
    return Estimate(maximum if expected is None else min(expected, maximum), maximum)


def charge(card: RateCard, usage: Usage) -> Decimal | None:
    """What an attempt with this usage cost; None where the usage does not tell."""
    return _price(card, Workload(usage.tasks, usage.shots, 0, usage.gate_shots), Decimal(str(usage.seconds)))


def _price(card: RateCard, work: Workload, seconds: Decimal) -> Decimal | None:
    tasks, gates = work.tasks, work.gate_shots
    match card.formula:
        case "Free":
            amount = ZERO
        case "PerTaskPerShot":
            amount = tasks * (card.per_task or ZERO) + work.shots * (card.per_shot or ZERO)
        case "PerSecond":
            amount = seconds * (card.per_second or ZERO)
        case "PerHour":
            amount = seconds * (card.per_hour or ZERO) / _HOUR
        case "GateShots":
            if gates is None:
                return None
            amount = tasks * (card.per_task or ZERO)
            amount += gates.one_qubit * (card.per_one_qubit_gate_shot or ZERO)
            amount += gates.two_qubit * (card.per_two_qubit_gate_shot or ZERO)
        case "HQC":
            if gates is None:
                return None
            weight = gates.one_qubit + 10 * gates.two_qubit + 5 * (gates.preparations + gates.measurements)
            amount = (5 * tasks + Decimal(weight) / 5000) * (card.per_hqc or ZERO)
    return round_up(amount)


def display(amount: Decimal, currency: str | None) -> str:
    """An amount for people."""
    return f"{amount:f} {currency}" if currency else f"{amount:f}"
