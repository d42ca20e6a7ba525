"""Rate cards: what a backend costs."""

from typing import Annotated, Literal

from pydantic import StringConstraints

from hybridjob.api.common import Currency, Money, Resource, Rule, Timestamp

Formula = Literal["Free", "PerTaskPerShot", "PerSecond"]


class RateCard(Resource):
    """What a backend costs. Rates are data with a source, never code."""

    formula: Formula
    """Free; PerTaskPerShot: perTask per task and perShot per shot; PerSecond: perSecond per second on the backend."""
    currency: Currency | None = None
    """The currency of the rates."""
    per_task: Money | None = None
    """Per circuit that is submitted."""
    per_shot: Money | None = None
    """Per sample that is taken."""
    per_second: Money | None = None
    """Per second on the backend."""
    source: Annotated[str, StringConstraints(max_length=1024)] | None = None
    """Where the rates were read."""
    valid_until: Timestamp | None = None
    """After this instant the price is unknown, and nothing paid is submitted."""

    rules = (
        Rule(
            cel="(self.formula == 'Free') != has(self.currency)",
            message="must be given with every formula but Free, and may not be given with Free",
            holds=lambda r: (r.formula == "Free") != (r.currency is not None),
            field="currency",
        ),
        Rule(
            cel="(self.formula == 'PerTaskPerShot') == (has(self.perTask) && has(self.perShot)) && "
            "(self.formula == 'PerTaskPerShot' || (!has(self.perTask) && !has(self.perShot)))",
            message="perTask and perShot must be given with formula PerTaskPerShot, and only with it",
            holds=lambda r: (r.per_task is not None, r.per_shot is not None) == (r.formula == "PerTaskPerShot",) * 2,
        ),
        Rule(
            cel="(self.formula == 'PerSecond') == has(self.perSecond)",
            message="must be given with formula PerSecond, and only with it",
            holds=lambda r: (r.formula == "PerSecond") == (r.per_second is not None),
            field="perSecond",
        ),
    )


FREE = RateCard(formula="Free")
