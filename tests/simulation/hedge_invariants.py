"""Hedging: when the classical solver may run beside the quantum one, and how often."""

from typing import Any

from tests.simulation.api_server import Object
from tests.simulation.evidence import OPEN, Evidence, require
from tests.simulation.world import Attempt, attempt_of

_MINUTE = 60_000
_UNKNOWN_SECONDS = 60


class HedgeInvariants:
    """Asserted of each version of the ledger, each status, and whenever a solver's Job is created."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        spec = evidence.scenario.policy["spec"]
        self._learns = "latency" in spec
        self._per_minute: int | None = spec.get("latency", {}).get("hedgesPerMinute")
        self._expected: int | None = spec.get("classical", {}).get("expectedLatency", {}).get("runSeconds")
        self._granted: dict[Attempt, int] = {}
        """The hedges that the ledger has granted, and when."""

    def ledger(self, document: Any) -> None:
        """No more hedges are granted in any minute than may be."""
        for uid, number, time in document["hedges"]:
            self._granted[uid, number] = time
            if self._evidence.clocks_are_right:
                granted = sum(time - _MINUTE < other <= time for other in self._granted.values())
                require(granted <= (self._per_minute or 0), f"hedging: {granted} hedges were granted within a minute")

    def job_created(self, job: Object) -> None:
        """6: of each route, one attempt of a job is under way at a time."""
        attempt, strict = attempt_of(job), self._evidence.strict
        route, _ = self._evidence.started_as[attempt]
        same = [
            found
            for found, (_, other, _) in self._evidence.under_way().items()
            if found[0] == attempt[0] and other == route and found not in self._evidence.world.removed
        ]
        cancelling = [found for found in same if (self._evidence.recorded(found) or {}).get("state") == "Cancelling"]
        require(not strict or len(same) - len(cancelling) <= 1, f"6: {sorted(same)} are under way at once")

    def status(self, job: Object, known: list[Object], attempts: list[Object]) -> None:
        """The classical solver begins after a fallback only; or, once, as the hedge of a job that asks for it."""
        spec, status, uid = job["spec"], job["status"], job["metadata"]["uid"]
        if "quantum" not in spec or not self._evidence.strict:
            return
        hedged = spec.get("routing", {}).get("strategy") == "Hedged"
        classical = [attempt for attempt in attempts if attempt["route"] == "Classical"]
        if "fallback" in status or not classical:
            return
        require(hedged, f"hedging: {uid} runs classically, and has not fallen back")
        if any(self._evidence.may_be_adopted(job, attempt["number"]) for attempt in classical):
            return  # a fallback, perhaps, of which no status could be written
        suspended = [h for h in classical if h["state"] in ("Cancelled", "Cancelling") and "reason" not in h]
        counted = [hedge for hedge in classical if hedge not in suspended]
        require(len(counted) <= 1, f"hedging: {uid} is hedged {len(counted)} times")
        for hedge in classical:
            if hedge["number"] > len(known):
                self._evidence.reached["hedge"] += 1
                self._begins(job, hedge)

    def _begins(self, job: Object, hedge: Object) -> None:
        """It begins no sooner than it must, and has been granted."""
        key = job["metadata"]["uid"], hedge["number"]
        if self._evidence.policy_was_gone:
            return  # nobody knows its rules then
        if self._per_minute is not None:
            require(key in self._granted, f"hedging: hedge {key} was never granted")
        if self._learns or not self._evidence.clocks_are_right:
            return
        limit = job["spec"]["limits"]["completionDeadlineSeconds"]
        takes = self._expected or min(_UNKNOWN_SECONDS, limit / 2)
        earliest = self._evidence.seconds(job["metadata"]["creationTimestamp"]) + limit - takes - max(1, takes / 10)
        began = self._evidence.seconds(hedge["createdTime"])
        require(began + 1 > earliest, f"hedging: hedge {key} begins {earliest - began:g} s too soon")


def under_way_by_route(attempts: list[Object]) -> dict[str, list[int]]:
    """The numbers of the attempts that a status says are under way."""
    found: dict[str, list[int]] = {}
    for attempt in attempts:
        if attempt["state"] in OPEN:
            found.setdefault(attempt["route"], []).append(attempt["number"])
    return found
