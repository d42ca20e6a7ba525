"""Budgets by namespace, by backend and by period, counted anew from each entry of the ledger."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from tests.simulation.api_server import Object
from tests.simulation.evidence import Evidence, require
from tests.simulation.world import Attempt

_MICROS = 1_000_000


@dataclass
class _Sum:
    """What an attempt has taken, or may still take."""

    namespace: str
    backend: str
    time: int
    micros: int


class BudgetInvariants:
    """Asserted of each version of the ledger."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._budgets: dict[str, Object] = {}
        """By name, with the highest limit that each ever had: an operator may not have heard of a lower one yet."""
        self._open: dict[Attempt, _Sum] = {}
        self._charged: list[_Sum] = []

    def policy(self, spec: Object) -> None:
        for budget in spec["budgets"]:
            known = self._budgets.get(budget["name"], budget)
            self._budgets[budget["name"]] = budget | {"limit": max(known["limit"], budget["limit"], key=Decimal)}

    def ledger(self, document: Any, charged: dict[Attempt, int]) -> None:
        """1: what is charged and set aside is within each budget, when more is set aside. `charged`: what at least the
        attempts were charged that were settled."""
        for key, micros in charged.items():
            settled = self._open.pop(key)
            settled.micros = micros
            self._charged.append(settled)
        for entry in document["entries"]:
            key = entry["jobUid"], entry["attempt"]
            if key not in self._open:
                new = _Sum(entry["namespace"], entry["backend"], entry["time"], entry["micros"])
                self._open[key] = new
                for budget in self._budgets.values():
                    self._within(budget, new)

    def _within(self, budget: Object, new: _Sum) -> None:
        used = sum(
            known.micros
            for known in (*self._open.values(), *self._charged)
            if _same_scope(budget.get("scope", "Policy"), known, new)
            and _same_period(budget.get("period", {"type": "Lifetime"}), known.time, new.time)
        )
        most = Decimal(budget["limit"]) + self._evidence.world.provider.overran
        require(Decimal(used) / _MICROS <= most, f"1: {used} micros are used of budget {budget['name']}")
        if budget["name"] == "other":
            self._evidence.reached["reserved under another budget"] += 1


def _same_scope(scope: str, one: _Sum, other: _Sum) -> bool:
    match scope:
        case "Namespace":
            return one.namespace == other.namespace
        case "Backend":
            return one.backend == other.backend
    return True


def _same_period(period: Object, before: int, now: int) -> bool:
    match period["type"]:
        case "Rolling":
            return now - period["seconds"] < before <= now
        case "Calendar":
            zone = ZoneInfo(period.get("timeZone", "UTC"))
            old, new = (datetime.fromtimestamp(time, UTC).astimezone(zone).date() for time in (before, now))
            return old == new if period["unit"] == "Day" else (old.year, old.month) == (new.year, new.month)
    return True
