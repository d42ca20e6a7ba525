"""The rules of a scenario's policy besides its budget: windows, breakers, quotas, latency, hedging, more budgets. Times
are short, so that each of them bites within a schedule."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from tests.simulation.api_server import Object, timestamp

CLASSICAL_PER_SECOND = Decimal("0.01")
_EVER = float("inf")

Spans = tuple[tuple[float, float], ...]
"""In seconds since the world began."""


class Hours(NamedTuple):
    """When work may start, said twice: to the operator, and worked out by hand for the invariants."""

    begins: datetime
    """The first instant of the world."""
    fields: Object
    """Of a backend, or of the policy."""
    open: Spans


def _window(zone: str, start: str, until: str, *days: str) -> Object:
    return {"name": "hours", "timeZone": zone, "from": start, "until": until} | ({"days": [*days]} if days else {})


NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
_SPRING = datetime(2026, 3, 29, 0, 59, 30, tzinfo=UTC)  # 30 s before clocks in Berlin go from 02:00 to 03:00
_AUTUMN = datetime(2026, 10, 25, 0, 59, 30, tzinfo=UTC)  # 30 s before they go from 03:00 back to 02:00
_MIDNIGHT = datetime(2026, 1, 31, 22, 59, 40, tzinfo=UTC)  # 20 s before the day, and the month, end there
_BERLIN = "Europe/Berlin"
_DENY = {"windowsMode": "Deny"}
_HOURS = (
    Hours(NOON, {"windows": [_window("UTC", "12:01", "12:03")]}, ((60, 180),)),
    Hours(NOON, {"windows": [_window("UTC", "11:00", "12:01", "Sat")]}, ((-_EVER, 60),)),
    Hours(NOON, {"windows": [_window(_BERLIN, "12:59", "13:01")], **_DENY}, ((60, _EVER),)),
    Hours(_SPRING, {"windows": [_window(_BERLIN, "02:00", "03:00")]}, ()),  # there is no such hour that day
    Hours(_SPRING, {"windows": [_window(_BERLIN, "03:00", "03:02")]}, ((30, 150),)),
    Hours(_SPRING, {"windows": [_window(_BERLIN, "01:30", "03:00")], **_DENY}, ((30, _EVER),)),
    Hours(_AUTUMN, {"windows": [_window(_BERLIN, "02:00", "02:01")]}, ((30, 90),)),  # for the second time
    Hours(_AUTUMN, {"windows": [_window(_BERLIN, "02:58", "03:00")], **_DENY}, ((30, 3510),)),
    Hours(_MIDNIGHT, {"windows": [_window(_BERLIN, "23:00", "24:00", "Sat")]}, ((-_EVER, 20),)),
    Hours(_MIDNIGHT, {"windows": [_window(_BERLIN, "00:00", "00:02", "Sun")]}, ((20, 140),)),
    Hours(_MIDNIGHT, {"windows": [_window(_BERLIN, "23:59", "00:01", "Sat")]}, ((-_EVER, 80),)),
)
_BACKENDS = (None, ["free"], ["paid"], ["paid"], ["paid"], ["paid", "dear"], ["paid", "free"])


@dataclass(frozen=True)
class Rules:
    """What a policy asks for, and what of the world it is made for."""

    begins: datetime = NOON
    namespaces: tuple[str, ...] = ("team",)
    policy: Object = field(default_factory=dict)
    """Fields of the policy's spec."""
    paid: Object = field(default_factory=dict)
    """Fields of its first backend."""
    budgets: tuple[Object, ...] = ()
    """Besides the one for all."""
    open: Spans = ((-_EVER, _EVER),)
    """When quantum work may start: on the first backend."""
    open_elsewhere: Spans = ((-_EVER, _EVER),)
    patient: bool = False
    """Whether jobs wait for long."""
    hedged: bool = False
    """Whether jobs hedge."""
    more_jobs: int = 0
    """Than usual."""
    arrivals: tuple[float, ...] = (0.0,)
    """When jobs are made, one of these times for each; in seconds since the world began."""
    backends: tuple[list[str] | None, ...] = _BACKENDS
    """Which backends jobs name, one of these for each; None for a job without a quantum route."""
    takes: float = 0
    """How long a quantum solver runs, in seconds."""
    down: tuple[str, float] = "", 0
    """A backend that fails whatever runs on it, and until when, in seconds since the world began."""
    upgrade: float | None = None
    """When every operator is ended and started again, in seconds since the world began."""
    poisoned: str = ""
    """The namespace whose quantum jobs crash their solvers."""

    @property
    def classical_is_paid(self) -> bool:
        return "rateCard" in self.policy.get("classical", {})


def draw(number: int) -> Rules:
    """The rules of a scenario: of one in three, none besides its budget."""
    chance = random.Random(f"rules {number}")
    if chance.random() < 0.33:
        return Rules()
    rules: dict[str, Any] = {"policy": {}, "paid": {}, "takes": chance.choice([0, 0, 3, 12, 40])}
    if chance.random() < 0.6:
        rules["namespaces"] = ("team", "team", "lab")
    if chance.random() < 0.4:
        rules["upgrade"] = chance.choice([2, 5, 10, 30])
    for draws in (_hours, _breaker, _quotas, _latency, _budgets):
        if chance.random() < 0.3:
            draws(chance, rules)
    return Rules(**rules)


def _hours(chance: random.Random, rules: dict[str, Any]) -> None:
    if chance.random() < 0.25:
        ends = {"startTime": _after(10), "endTime": _after(chance.choice([50, 90])), "reason": "new cables"}
        rules["paid"]["maintenance"] = [ends]
        rules["open"] = ((-_EVER, 10), ((50 if ends["endTime"] == _after(50) else 90), _EVER))
        return
    hours = chance.choice(_HOURS)
    rules["policy"]["spreadSeconds"] = chance.choice([0, 5, 30])
    rules |= {"begins": hours.begins, "open": hours.open}
    if chance.random() < 0.5:
        rules["policy"] |= hours.fields
        rules["open_elsewhere"] = hours.open
    else:
        rules["paid"] |= hours.fields


def _after(seconds: float) -> str:
    return timestamp(NOON + timedelta(seconds=seconds))


def _breaker(chance: random.Random, rules: dict[str, Any]) -> None:
    rules["more_jobs"], rules["arrivals"] = 3, (0, 0, 5, 15, 30, 50)
    rules["backends"], rules["takes"] = (
        (["free"], ["free"], ["free"], ["free", "paid"], ["paid"]),
        chance.choice([0, 0, 3]),
    )
    breaker: Object = {
        "consecutiveFailures": chance.choice([1, 1, 2, 3]),
        "openSeconds": chance.choice([4, 15]),
        "maxOpenSeconds": 20,
        "probeDeadlineSeconds": chance.choice([3, 20]),
    }
    if chance.random() < 0.2:
        breaker |= {"failureRatio": "0.5", "minimumAttempts": 2}
    if chance.random() < 0.1:
        breaker["maxProbeCost"] = "1"
    rules["policy"]["circuitBreaker"] = breaker
    if chance.random() < 0.4:
        rules["poisoned"] = chance.choice(["team", "lab"])
    else:
        rules["down"] = chance.choice(["free", "free", "paid"]), chance.choice([5, 30, 90])


def _quotas(chance: random.Random, rules: dict[str, Any]) -> None:
    rules["more_jobs"], rules["patient"], rules["takes"] = 2, True, chance.choice([0, 3, 12, 12])
    quotas: Object = {}
    kind = chance.choice(["all", "namespace", "backend", "period", "several"])
    if kind in ("all", "several"):
        quotas["maxConcurrent"] = chance.choice([1, 2])
    if kind in ("namespace", "several"):
        quotas["maxConcurrentPerNamespace"] = 1
    if kind in ("backend", "several"):
        rules["paid"]["maxConcurrent"] = 1
    if kind == "period":
        quotas["jobsPerPeriod"] = {"count": chance.choice([1, 2]), "seconds": chance.choice([20, 60])}
    if chance.random() < 0.2:
        quotas["maxQueued"] = chance.choice([0, 1])
    if chance.random() < 0.05:
        quotas["maxShotsPerJob"] = 500
    rules["policy"]["quotas"] = quotas


def _latency(chance: random.Random, rules: dict[str, Any]) -> None:
    rules["hedged"], rules["takes"] = True, chance.choice([3, 12, 12, 40])
    latency: Object = {"minimumSamples": chance.choice([1, 3, 20]), "windowSeconds": chance.choice([60, 600])}
    if chance.random() < 0.6:
        latency["hedgesPerMinute"] = chance.choice([1, 2])
    if chance.random() < 0.7:
        rules["policy"]["latency"] = latency
    if chance.random() < 0.3:
        rules["paid"]["expectedLatency"] = {"queueSeconds": 1, "runSeconds": chance.choice([10, 50])}
    classical: Object = {}
    if chance.random() < 0.4:
        classical["rateCard"] = {"formula": "PerSecond", "currency": "USD", "perSecond": str(CLASSICAL_PER_SECOND)}
    if chance.random() < 0.3:
        classical["expectedLatency"] = {"runSeconds": 3}
    rules["policy"]["classical"] = classical


def _budgets(chance: random.Random, rules: dict[str, Any]) -> None:
    period = chance.choice(
        [
            {"type": "Lifetime"},
            {"type": "Rolling", "seconds": 60},
            {"type": "Calendar", "unit": "Day", "timeZone": _BERLIN},
            {"type": "Calendar", "unit": "Month", "timeZone": _BERLIN},
        ]
    )
    if period["type"] == "Calendar" and "open" not in rules:
        rules["begins"] = _MIDNIGHT
    scope, limit = chance.choice(["Policy", "Namespace", "Backend"]), chance.choice(["1.3", "1.5", "3"])
    rules["budgets"] = ({"name": "other", "limit": limit, "currency": "USD", "scope": scope, "period": period},)
