"""What a schedule begins with: a policy, some jobs, and how many operators there are. Follows from one number."""

import random
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tests.simulation.api_server import Object
from tests.simulation.rules import Rules, draw

from hybridjob.api.status import FALLBACK_REASONS

NAMESPACES = ("team", "lab")
SYSTEM = "system"
PER_TASK, PER_SHOT, SHOTS = Decimal("0.3"), Decimal("0.001"), 1000
PAID = ("paid", "dear")
PRICE = PER_TASK + PER_SHOT * SHOTS
"""The most that an attempt on the paid backend may cost, and what is reserved for it."""
RECONCILE_SECONDS = 20

_PAID = {
    "formula": "PerTaskPerShot",
    "currency": "USD",
    "perTask": str(PER_TASK),
    "perShot": str(PER_SHOT),
}
_TRIANGLE = {"nodes": 3, "edges": [[0, 1, 1.0], [1, 2, 1.0], [0, 2, 1.0]]}


@dataclass(frozen=True)
class Scenario:
    """The world before the first step."""

    policy: Object
    jobs: list[Object]
    arrivals: list[float]
    """When each of the jobs is made, in seconds since the world began."""
    rules: Rules
    replicas: int
    elects: bool
    """Whether a Lease says who leads. Two operators without one are two at once."""
    max_faults: int
    steps: int
    """How many steps of chaos a random schedule takes."""

    @property
    def label(self) -> str:
        mode = "elected" if self.elects else "unelected"
        return f"{len(self.jobs)} jobs, {self.replicas} replicas ({mode}), at most {self.max_faults} faults"

    @property
    def paid(self) -> tuple[str, ...]:
        """The backends that cost something."""
        return PAID + (("classical",) if self.rules.classical_is_paid else ())


def build(number: int) -> Scenario:
    """The scenario of that number."""
    chance = random.Random(number)
    replicas, elects = chance.choices([(1, False), (1, True), (2, True), (2, False)], [6, 2, 5, 3])[0]
    rules = draw(number)
    made = policy(chance.choice(["1.3", "1.5", "3", "3", "100"]), rules, **_extras(chance))
    count = chance.choices([1, 2, 3, 4], [4, 4, 2, 1])[0] + rules.more_jobs
    return Scenario(
        policy=made,
        jobs=[_job(chance, f"job-{index}", rules) for index in chance.sample(range(count), count)],
        arrivals=sorted(chance.choice(rules.arrivals) for _ in range(count)),
        rules=rules,
        replicas=replicas,
        elects=elects,
        max_faults=chance.choice([0, 2, 5, 9]),
        steps=chance.choice([30, 60, 100, 160]),
    )


def _extras(chance: random.Random) -> dict[str, Any]:
    extras: dict[str, Any] = {}
    if chance.random() < 0.2:
        extras |= {"onExceeded": "Hold", "holdSeconds": 20}
    elif chance.random() < 0.1:
        extras["onExceeded"] = "Reject"
    if chance.random() < 0.2:
        extras["alerts"] = [50, 90]
    return extras


def policy(limit: str, rules: Rules, **budget: Any) -> Object:
    """Two paid backends, a free one, and at least one budget."""
    backends = [
        {"name": "paid", "kind": "Simulator", "sdk": "Qiskit", "qubits": 20, "rateCard": _PAID, **rules.paid},
        {"name": "dear", "kind": "Simulator", "sdk": "Cirq", "qubits": 20, "rateCard": _PAID},
        {"name": "free", "kind": "Simulator", "sdk": "Qiskit", "qubits": 20},
    ]
    return {
        "apiVersion": "hybridjob.dev/v1alpha1",
        "kind": "QuantumBackendPolicy",
        "metadata": {"name": "policy"},
        "spec": {
            "default": True,
            "backends": backends,
            "budgets": [{"name": "all", "limit": limit, "currency": "USD", **budget}, *rules.budgets],
            **rules.policy,
            "reconcileSeconds": RECONCILE_SECONDS,
        },
    }


def _job(chance: random.Random, name: str, rules: Rules) -> Object:
    spec: dict[str, Any] = {
        "problem": {"type": "MaxCut", "inline": _TRIANGLE},
        "limits": {
            "queueDeadlineSeconds": chance.choice([5, 20, 60]),
            "activeDeadlineSeconds": chance.choice([5, 30]),
            "completionDeadlineSeconds": chance.choice([15, 60, 120]),
        },
        "fallback": {"maxAttempts": chance.choice([1, 2, 3])},
    }
    if rules.patient:
        spec["limits"] = {"queueDeadlineSeconds": 60, "activeDeadlineSeconds": 30, "completionDeadlineSeconds": 120}
    backends = chance.choice(rules.backends)
    if backends is not None:
        spec["quantum"] = {"backends": backends, "shots": SHOTS}
        if rules.hedged and chance.random() < 0.7:
            spec["routing"] = {"strategy": "Hedged"}
            spec["limits"] |= {"activeDeadlineSeconds": 30, "completionDeadlineSeconds": chance.choice([15, 15, 40])}
    if chance.random() < 0.2:
        spec["fallback"]["on"] = sorted(chance.sample(FALLBACK_REASONS, 4))
    if chance.random() < 0.1:
        spec["limits"] |= {"maxCost": chance.choice(["1", "2"]), "currency": "USD"}
    if chance.random() < 0.1:
        spec["suspend"] = True
    if chance.random() < 0.03:
        spec["fallback"]["on"] = ["Boredom"]  # an older schema allowed it
    return {
        "apiVersion": "hybridjob.dev/v1alpha1",
        "kind": "HybridJob",
        "metadata": {"name": name, "namespace": chance.choice(rules.namespaces)},
        "spec": spec,
    }
