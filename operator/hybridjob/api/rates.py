"""Rate cards: what a backend costs."""

from typing import Annotated, Literal, get_args

from pydantic import StringConstraints

from hybridjob.api.common import Currency, Money, Resource, Rule, Timestamp

Formula = Literal["Free", "PerTaskPerShot", "PerSecond", "PerHour", "GateShots", "HQC"]

RATES: dict[Formula, tuple[str, ...]] = {
    "Free": (),
    "PerTaskPerShot": ("perTask", "perShot"),
    "PerSecond": ("perSecond",),
    "PerHour": ("perHour",),
    "GateShots": ("perTask", "perOneQubitGateShot", "perTwoQubitGateShot"),
    "HQC": ("perHqc",),
}
"""The rates that each formula needs, in their JSON names; it takes no others."""


def _rule(rate: str) -> Rule:
    """A rate must be given with the formulas that need it, and only with them."""
    formulas = [formula for formula in get_args(Formula) if rate in RATES[formula]]
    field = "".join(f"_{c.lower()}" if c.isupper() else c for c in rate)
    return Rule(
        cel=f"(self.formula in {formulas}) == has(self.{rate})",
        message=f"must be given with formula {' and '.join(formulas)}, and only with it",
        holds=lambda card: (card.formula in formulas) == (getattr(card, field) is not None),
        field=rate,
    )


class RateCard(Resource):
    """What a backend costs. Rates are data with a source, never code."""

    formula: Formula
    """Free; PerTaskPerShot: perTask per task and perShot per shot; PerSecond and PerHour: for the time on the backend;
    GateShots: perTask and, per shot, a rate for each gate on one qubit and on two; HQC: Quantinuum's credits, 5 per
    task and (N1q + 10 N2q + 5 Nm) / 5000 per shot, at perHqc each; Nm counts preparations of qubits and
    measurements."""
    currency: Currency | None = None
    """What the rates are in: an ISO 4217 code, or a provider's unit: QPUSeconds, Shots, Tasks, HQC. Units are never
    converted."""
    per_task: Money | None = None
    """Per circuit that is submitted."""
    per_shot: Money | None = None
    """Per sample that is taken."""
    per_second: Money | None = None
    """Per second on the backend."""
    per_hour: Money | None = None
    """Per hour on the backend, charged by the second."""
    per_one_qubit_gate_shot: Money | None = None
    """Per gate on one qubit, each time that it runs."""
    per_two_qubit_gate_shot: Money | None = None
    """Per gate on two qubits, each time that it runs."""
    per_hqc: Money | None = None
    """Per H-System Quantum Credit; 1 where the currency is HQC."""
    source: Annotated[str, StringConstraints(max_length=1024)] | None = None
    """Where the rates were read."""
    valid_from: Timestamp | None = None
    """Before this instant the price is unknown, and nothing paid is submitted."""
    valid_until: Timestamp | None = None
    """From this instant on the price is unknown, and nothing paid is submitted."""

    rules = (
        Rule(
            cel="(self.formula == 'Free') != has(self.currency)",
            message="must be given with every formula but Free, and may not be given with Free",
            holds=lambda r: (r.formula == "Free") != (r.currency is not None),
            field="currency",
        ),
        *(_rule(rate) for rate in dict.fromkeys(rate for rates in RATES.values() for rate in rates)),
        Rule(
            cel="!has(self.validFrom) || !has(self.validUntil) || self.validFrom < self.validUntil",
            message="must be after validFrom",
            holds=lambda r: r.valid_from is None or r.valid_until is None or r.valid_from < r.valid_until,
            field="validUntil",
        ),
    )


FREE = RateCard(formula="Free")
