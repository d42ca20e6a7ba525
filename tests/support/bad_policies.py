"""Policies that are refused, each for one mistake: what the command line says, and what the API server does."""

from dataclasses import dataclass
from typing import Any

AER: dict[str, Any] = {"name": "aer", "kind": "Simulator", "sdk": "Qiskit", "qubits": 20}
CARD = {"formula": "PerTaskPerShot", "currency": "USD", "perTask": "0.30", "perShot": "0.001"}
BUDGET = {"name": "all", "limit": "10", "currency": "USD"}


@dataclass(frozen=True)
class Mistake:
    spec: dict[str, Any]
    path: str
    must: str
    """What the command line says must hold, and the operator in the policy's condition."""
    refused: str | None = None
    """Part of the API server's message; None where it takes the policy, because no rule of its can tell."""


def _window(name: str, start: str, until: str, zone: str = "UTC") -> dict[str, Any]:
    return {"name": name, "timeZone": zone, "from": start, "until": until}


MISTAKES = {
    "negative price": Mistake(
        {"backends": [AER | {"rateCard": CARD | {"perShot": "-0.001"}}]},
        "spec.backends[0].rateCard.perShot",
        "must be a quoted decimal string",
        "spec.backends[0].rateCard.perShot: Invalid value",
    ),
    "negative limit": Mistake(
        {"backends": [AER], "budgets": [BUDGET | {"limit": "-1"}]},
        "spec.budgets[0].limit",
        "must be a quoted decimal string",
        "spec.budgets[0].limit: Invalid value",
    ),
    "price of an unknown unit": Mistake(
        {"backends": [AER | {"rateCard": CARD | {"currency": "Euro"}}]},
        "spec.backends[0].rateCard.currency",
        "must be",
        "spec.backends[0].rateCard.currency: Invalid value",
    ),
    "unknown zone": Mistake(
        {"backends": [AER], "windows": [_window("nights", "22:00", "06:00", "Europe/Berlyn")]},
        "spec.windows[0].timeZone",
        "must be a time zone of the IANA database",
    ),
    "unknown zone of a budget": Mistake(
        {
            "backends": [AER],
            "budgets": [BUDGET | {"period": {"type": "Calendar", "unit": "Month", "timeZone": "Mars/Olympus"}}],
        },
        "spec.budgets[0].period.timeZone",
        "must be a time zone of the IANA database",
    ),
    "overlapping windows with no opening": Mistake(
        {
            "backends": [AER],
            "windowsMode": "Deny",
            "windows": [_window("a", "00:00", "13:00"), _window("b", "12:00", "24:00")],
        },
        "spec.windows",
        "must leave some time open",
    ),
    "windows of policy and backend with no opening": Mistake(
        {
            "backends": [AER | {"windows": [_window("days", "08:00", "18:00")]}],
            "windows": [_window("nights", "20:00", "06:00")],
        },
        "spec.backends[0]",
        "must leave some time open",
    ),
    "unit mismatch": Mistake(
        {"backends": [AER | {"rateCard": CARD}], "budgets": [BUDGET | {"currency": "EUR"}]},
        "spec.budgets",
        "must be in the currency of a backend's or the classical rate card",
        "must be in the currency of a backend's or the classical rate card",
    ),
    "threshold above 100 %": Mistake(
        {"backends": [AER], "budgets": [BUDGET | {"alerts": [101]}]},
        "spec.budgets[0].alerts[0]",
        "must be at most 100",
        "should be less than or equal to 100",
    ),
    "failure ratio above 1": Mistake(
        {"backends": [AER], "circuitBreaker": {"failureRatio": "1.01"}},
        "spec.circuitBreaker.failureRatio",
        "must be above 0 and at most 1",
        "must be above 0 and at most 1",
    ),
    "backends of one name": Mistake(
        {"backends": [AER, AER]}, "spec.backends", "must have unique names", 'Duplicate value: {"name":"aer"}'
    ),
    "budgets of one name": Mistake(
        {"backends": [AER], "budgets": [BUDGET, BUDGET]},
        "spec.budgets",
        "must have unique names",
        'Duplicate value: {"name":"all"}',
    ),
    "ten thousand backends": Mistake(
        {"backends": [AER | {"name": f"b{number}"} for number in range(10_000)]},
        "spec.backends",
        "must have at most 64",
        "spec.backends: Too many: 10000: must have at most 64 items",
    ),
    "a rate card that ends before it begins": Mistake(
        {
            "backends": [
                AER | {"rateCard": CARD | {"validFrom": "2026-02-01T00:00:00Z", "validUntil": "2026-01-01T00:00:00Z"}}
            ]
        },
        "spec.backends[0].rateCard.validUntil",
        "must be after validFrom",
        "must be after validFrom",
    ),
    "a price that the formula does not take": Mistake(
        {"backends": [AER | {"rateCard": CARD | {"perSecond": "1"}}]},
        "spec.backends[0].rateCard.perSecond",
        "must be given with formula PerSecond, and only with it",
        "must be given with formula PerSecond, and only with it",
    ),
}
