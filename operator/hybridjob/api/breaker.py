"""Circuit breakers: when a backend that fails is left alone, and what a policy's status says of it."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from hybridjob.api.common import Count, Money, Name, Resource, Rule, SignedRatio, Timestamp, list_of
from hybridjob.contract.base import Model

BreakerState = Literal["Closed", "Open", "HalfOpen"]

MAX_OUTCOMES = 64
"""How many outcomes of attempts are remembered of each backend."""


class ForceSpec(Resource):
    """The breaker as a person wants it, for a while."""

    state: Literal["Open", "Closed"]
    """Open: nothing starts. Closed: the breaker keeps nothing from starting. It goes on to watch meanwhile."""
    until_time: Timestamp
    """When it ends; then what the breaker has seen holds."""
    reason: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    """Why, for people."""


class CircuitBreakerSpec(Resource):
    """When a backend counts as failing, and how it is tried again."""

    consecutive_failures: Annotated[int, Field(ge=1, le=MAX_OUTCOMES)] = 3
    """So many faults in a row open it."""
    failure_ratio: SignedRatio | None = None
    """This share of faults among the attempts of `windowSeconds` opens it, too; above 0, at most 1."""
    minimum_attempts: Annotated[int, Field(ge=1, le=MAX_OUTCOMES)] = 10
    """Of fewer attempts, the share says nothing."""
    window_seconds: Annotated[int, Field(ge=1, le=86_400)] = 600
    """Older attempts do not count."""
    open_seconds: Annotated[int, Field(ge=1, le=86_400)] = 60
    """How long it stays open the first time, give or take a fifth; twice as long after each probe that fails."""
    max_open_seconds: Annotated[int, Field(ge=1, le=86_400)] = 3600
    """How long it stays open at most."""
    probe_deadline_seconds: Annotated[int, Field(ge=1, le=86_400)] = 900
    """A probe that has not ended by then, from when it was let through, has failed."""
    max_probe_cost: Money | None = None
    """A job that may cost more, in the currency of the backend's rate card, is no probe; by default any may be."""
    force: ForceSpec | None = None
    """Opens or closes it by hand, until a given time."""

    rules = (
        Rule(
            cel="!has(self.failureRatio) || (double(self.failureRatio) > 0.0 && double(self.failureRatio) <= 1.0)",
            message="must be above 0 and at most 1",
            holds=lambda s: s.failure_ratio is None or 0 < s.failure_ratio <= 1,
            field="failureRatio",
        ),
        Rule(
            cel="self.maxOpenSeconds >= self.openSeconds",
            message="must not be less than openSeconds",
            holds=lambda s: s.max_open_seconds >= s.open_seconds,
            field="maxOpenSeconds",
        ),
    )


class BreakerStatus(Model):
    """A backend's circuit breaker, as it stands."""

    state: BreakerState
    """Closed: work may start. Open: none does. HalfOpen: one probe at a time does."""
    scope: Literal["All", "Namespaces"] = "All"
    """Whom it holds for: all, or only `namespaces`."""
    namespaces: Annotated[list[Name], list_of("atomic", 8)] = []
    """Those whose own circuits are not closed, the first eight by name."""
    since_time: Timestamp | None = None
    """Since when it is not closed, or forced."""
    next_probe_time: Timestamp | None = None
    """From when on a probe may start: the first of several."""
    failures: Count = 0
    """The faults among the attempts that count now."""
    message: Annotated[str, StringConstraints(max_length=1024)] = ""
    """For people: who forces it and why, or who probes it."""
