"""What must hold after every step, of the world alone: what the operator remembers is never asked."""

import json
from decimal import Decimal
from typing import Any

from tests.simulation.api_server import Key, Object
from tests.simulation.breaker_invariants import BreakerInvariants
from tests.simulation.budget_invariants import BudgetInvariants
from tests.simulation.evidence import OPEN, Evidence, ViolationError, require
from tests.simulation.hedge_invariants import HedgeInvariants, under_way_by_route
from tests.simulation.network import Network
from tests.simulation.scenario import PAID, PRICE, RECONCILE_SECONDS, Scenario
from tests.simulation.start_invariants import StartInvariants
from tests.simulation.world import Attempt, World, attempt_of

from hybridjob.cluster.ledger import DOCUMENT_KEY
from hybridjob.cluster.views import BACKEND_LABEL
from hybridjob.engine.lifecycle import TERMINAL, is_legal

_MICROS = 1_000_000
_ENDED = ("Succeeded", "Failed", "Cancelled")
_STATES = ("Reserved", "Submitted", "Unknown")
_PATIENCE = 110.0
"""What a job may wait beyond its completion deadline once all goes well: clocks that were wrong, a hold, a new
leader."""


class Invariants:
    """Watches a world: each change of the API server, and each container that begins."""

    def __init__(self, world: World, network: Network, scenario: Scenario) -> None:
        self.evidence = evidence = Evidence(world, network, scenario)
        self._elects, self._strict, self._paid = scenario.elects, evidence.strict, scenario.paid
        self._world, self._network = world, network
        self._starts, self._breakers = StartInvariants(evidence), BreakerInvariants(evidence)
        self._hedges, self._budgets = HedgeInvariants(evidence), BudgetInvariants(evidence)
        self.limit = Decimal(0)
        """The highest that the budget's limit ever was: an operator may not have heard of a lower one yet."""
        self.open: dict[Attempt, int] = {}
        """The entries of the ledger, in micros."""
        self.entry_states: dict[Attempt, str] = {}
        self._long_unknown: set[Attempt] = set()
        """What is charged later than a schedule lasts: its policy was gone when it became unknown."""
        self.settled: set[Attempt] = set()
        self.committed = 0
        self._epoch = (0, "")
        self._blind: set[Attempt] = set()
        """Attempts that were made again by an operator which never heard that they had run."""
        self.foreign: dict[Key, Object] = {}
        """Objects that are nobody's business."""
        world.server.observers.append(self.changed)
        world.on_run.append(self.ran)

    # Each change

    def changed(self, key: Key, before: Object | None, after: Object | None) -> None:
        if key in self.foreign and after != self.foreign[key]:
            raise ViolationError(f"10: {key} belongs to somebody else, and was touched")
        self._leads(key)
        match key.plural:
            case "configmaps" if DOCUMENT_KEY in (after or {}).get("data", {}):
                assert after is not None
                self._ledger(json.loads(after["data"][DOCUMENT_KEY]))
            case "jobs" if before is None and after is not None and "ownerReferences" in after["metadata"]:
                self._job_created(after)
            case "jobs" if before is not None and after is None and self._network.actor and self._strict:
                self._job_cancelled(before)
            case "hybridjobs" if after is not None and before is not None:
                self._status(before, after)
            case "quantumbackendpolicies":
                self._policy(after)
            case "events" if after is not None:
                self._event(after)

    def _policy(self, after: Object | None) -> None:
        if after is None:
            self.evidence.policy_was_gone = True
            return
        self._budgets.policy(after["spec"])
        self.limit = max(self.limit, Decimal(after["spec"]["budgets"][0]["limit"]))

    def _leads(self, key: Key) -> None:
        """1: nobody writes anything after another process has taken the Lease."""
        actor = self._network.actor
        lease = next(iter(self._world.server.all("leases")), None)
        if self._elects and actor and key.plural != "leases" and lease is not None:
            holder = lease["spec"]["holderIdentity"]
            require(holder == actor, f"1: {actor} writes {key.plural}, and {holder} leads")

    def _job_cancelled(self, job: Object) -> None:
        """5: a solver is ended only after the status says so: a crash in between must not look like one of its own."""
        uid, number = attempt_of(job)
        found = self.evidence.job(uid)
        if found is None:
            return
        states = {a["number"]: a["state"] for a in found.get("status", {}).get("attempts", [])}
        require(states.get(number) not in (None, *OPEN), f"5: the Job of {uid}/{number} was deleted unannounced")

    def _ledger(self, document: Any) -> None:
        """1 and 2: the sum is within the limit; what was settled stays settled, and is charged once."""
        entries = {(e["jobUid"], e["attempt"]): e["micros"] for e in document["entries"]}
        committed = sum(
            committed
            for series in document["series"]
            if (series["scope"], series["period"]) == ("Policy", "Lifetime")
            for _, _, _, committed, _ in series["accounts"]
        )
        states = {(e["jobUid"], e["attempt"]): e["state"] for e in document["entries"]}
        late = self._world.clock().timestamp() + 10 * RECONCILE_SECONDS
        self._long_unknown = {(e["jobUid"], e["attempt"]) for e in document["entries"] if e.get("until", 0) > late}
        self._writer_is_the_last(document["epoch"], document["writer"])
        self._breakers.ledger(document)
        self._hedges.ledger(document)
        # What was released before it began may come back.
        returned = (entries.keys() & self.settled) - self._world.removed if self._strict else set()
        back = {key for key in returned if self.evidence.started_as.get(key, ("", ""))[1] in self._paid}
        require(not back, f"2: {back} was settled, and is in the ledger again")
        self.settled -= entries.keys()
        for key in entries.keys() & self.open.keys():
            require(entries[key] == self.open[key], f"2: the reservation of {key} has changed")
            was, is_ = self.entry_states[key], states[key]
            require(_STATES.index(was) <= _STATES.index(is_), f"2: the money of {key} went from {was} to {is_}")
        gone = self.open.keys() - entries.keys()
        charged = committed - self.committed
        costs = {key: int(self._world.provider.costs.get(key, Decimal(0)) * _MICROS) for key in gone}
        most = sum(max(self.open[key], costs[key]) for key in gone if not self._never_began(key))
        # What a provider took beyond the reservation, only a verdict tells, and that may be lost.
        least = sum(min(self.open[key], costs[key]) for key in gone if self.evidence.was_told_of(key))
        if not self._strict:
            least = 0
        require(
            least <= charged <= most,
            f"2: {charged} was charged for {sorted(gone)}, which cost {least} and may cost {most}",
        )
        for key in gone if self._strict else ():
            require(not self.evidence.runs(key, self._paid), f"2: {key} was settled while it runs")
        certain = charged if len(gone) == 1 else 0
        self._budgets.ledger(document, dict.fromkeys(gone, certain))
        self.open, self.entry_states, self.committed = entries, states, committed
        self.settled |= gone
        used = Decimal(sum(entries.values()) + committed) / _MICROS
        most_used = self.limit + self._world.provider.overran
        require(used <= most_used, f"1: {used} is committed and reserved, and the limit is {self.limit}")

    def _job_created(self, job: Object) -> None:
        attempt = attempt_of(job)
        require(
            not self._strict or attempt not in self.evidence.created or attempt in self._world.removed,
            f"6: the Job of {attempt} was created a second time",
        )
        if attempt in self.evidence.created and not self.evidence.was_told_of(attempt):
            self._blind.add(attempt)
        self.evidence.job_created(job)
        for rules in (self._starts, self._breakers, self._hedges):
            rules.job_created(job)
        backend = job["metadata"]["labels"][BACKEND_LABEL]
        paid = backend in self._paid and not (backend == "classical" and self.evidence.policy_was_gone)
        if self._strict and paid and attempt not in self._world.removed:
            require(attempt in self.open, f"1: the Job of {attempt} was created without a reservation")

    def ran(self, pod: Object, attempt: Attempt) -> None:
        """A container is about to begin."""
        if not self._strict:
            return
        require(
            self._world.provider.runs[attempt] == 1 or attempt in self._blind,
            f"6: {attempt} was started again after it ran",
        )
        if pod["metadata"]["labels"][BACKEND_LABEL] in PAID and attempt not in self._world.removed:
            require(attempt in self.open, f"1: {attempt} runs without a reservation")

    def _writer_is_the_last(self, epoch: int, writer: str) -> None:
        """1: whoever has written before another one began to write never writes again."""
        known, last = self._epoch
        require(epoch > known or (epoch, writer) == (known, last), f"1: epoch {epoch} of the ledger is over")
        self._epoch = epoch, writer

    def _never_began(self, attempt: Attempt) -> bool:
        """Whether it was certainly free: its job is there and knows of none, and no Job was ever made for it."""
        uid, number = attempt
        job = self.evidence.job(uid)
        if not self._strict or job is None or attempt in self.evidence.created:
            return False
        return number > len(job.get("status", {}).get("attempts", []))

    def _status(self, before: Object, after: Object) -> None:
        """5: states move forwards, attempts keep their numbers, and what has ended stays as it is."""
        old, new = before.get("status") or {"state": "Pending"}, after.get("status") or {"state": "Pending"}
        if old == new:
            return
        require(is_legal(old["state"], new["state"]), f"5: from {old['state']} to {new['state']}")
        if old["state"] in TERMINAL:
            a, b = _settled_part(old), _settled_part(new)
            changed = {
                field: (a.get(field), b.get(field)) for field in a.keys() | b.keys() if a.get(field) != b.get(field)
            }
            require(not changed, f"5: a job that ended was changed: {changed}")
        attempts, known = new.get("attempts", []), old.get("attempts", [])
        require([a["number"] for a in attempts] == [*range(1, len(attempts) + 1)], "5: attempts are renumbered")
        require(len(attempts) >= len(known), "5: an attempt is lost")
        for was, is_ in zip(known, attempts, strict=False):
            same = ("number", "route", "backend", "createdTime")
            require([was[f] for f in same] == [is_[f] for f in same], "5: an attempt became another one")
            require(was["state"] not in _ENDED or was == is_, "5: an attempt that ended was changed")
        if self._strict:
            self._attempts(after["metadata"]["uid"], attempts)
            self._starts.status(after["metadata"]["uid"], known, attempts)
            self._breakers.status(after["metadata"]["uid"], old, new)
            self._hedges.status(after, known, attempts)
        self._starts.waits(new)
        if new["state"] in TERMINAL:
            require(all(a["state"] in _ENDED for a in attempts), "5: a job ended before its attempts")
            require(new["state"] != "Succeeded" or "result" in new, "3: a job succeeded without an answer")
            require(new["state"] == "Succeeded" or bool(new.get("reason")), "3: a job ended without a reason")
            require(bool(new.get("message")), "3: a job ended without a message")

    def _attempts(self, uid: str, attempts: list[Object]) -> None:
        """2 and 6: what the status says of the attempts is so."""
        for attempt in attempts:
            key = uid, attempt["number"]
            known_as = self.evidence.started_as.get(key) if key not in self._world.removed else None
            require(
                known_as in (None, (attempt["route"], attempt["backend"])),
                f"6: attempt {key} runs as {known_as}, and the status says {attempt['backend']}",
            )
            if attempt["state"] in _ENDED and attempt.get("reserved") is not None:
                expected = (None,) if "cost" in attempt else (None, "Unknown")
                settled = self.entry_states.get(key) in expected
                require(settled, f"2: attempt {key} ended in the status before it was settled")
            if attempt["state"] == "Cancelled" or (attempt["state"] == "Failed" and attempt.get("reason")):
                require(not self.evidence.runs(key), f"5: attempt {key} ended in the status while it runs")
        by_route = under_way_by_route(attempts)
        crowded = [numbers for numbers in by_route.values() if len(numbers) > 1]
        require(not crowded, f"6: attempts {crowded} are under way at once")
        beside = len(by_route) > 1 and not self._is_hedged(uid)
        require(not beside, f"6: attempts {by_route} are under way at once")

    def _is_hedged(self, uid: str) -> bool:
        job = self.evidence.job(uid)
        return job is not None and job["spec"].get("routing", {}).get("strategy") == "Hedged"

    def _event(self, event: Object) -> None:
        """5: an Event tells of what is written already."""
        uid = event["involvedObject"]["uid"]
        job = self.evidence.job(uid)
        if job is None:
            return
        status = job.get("status", {})
        told = "fallback" in status if event["reason"] == "FellBack" else status.get("state") == "Failed"
        require(told, f"5: Event {event['reason']} comes before the status that it tells of")

    # In the end

    def unfinished(self) -> list[str]:
        """What the operator still has to do."""
        left = []
        for job in self._world.server.all("hybridjobs"):
            status = job.get("status", {})
            if status.get("state") not in TERMINAL and not job["spec"].get("suspend"):
                left.append(f"{job['metadata']['name']} is {status.get('state')}: {status.get('message')}")
            elif status.get("observedGeneration") != job["metadata"]["generation"]:
                left.append(f"{job['metadata']['name']} was changed, and nobody has looked at it")
        if waits := self.open.keys() - self._long_unknown:
            held = [f"{uid}/{number}" for uid, number in waits]
            left.append(f"money is still held for {', '.join(held)}")
        return left

    def check_waits(self, since: float) -> None:
        """4: nobody waits for a window, a slot or money beyond the deadlines, once all goes well."""
        for job in self._world.server.all("hybridjobs"):
            status, limits = job.get("status", {}), job["spec"]["limits"]
            waits = status.get("waiting") or status.get("hold")
            if waits and self._world.time > since + limits["completionDeadlineSeconds"] + _PATIENCE:
                raise ViolationError(f"4: {job['metadata']['name']} waits beyond its deadlines: {status['message']}")

    def check_end(self) -> None:
        """2: no status tells of a charge beyond what was reserved, or truly cost."""
        for job in self._world.server.all("hybridjobs"):
            for attempt in job.get("status", {}).get("attempts", []):
                key = job["metadata"]["uid"], attempt["number"]
                most = max(PRICE, self._world.provider.costs.get(key, Decimal(0)))
                cost = Decimal(attempt.get("cost") or 0)
                require(cost <= most, f"2: {key} was charged {cost}")


def _settled_part(status: Object) -> Object:
    """All but the generation that it holds for."""
    conditions = [{k: v for k, v in c.items() if k != "observedGeneration"} for c in status.get("conditions", [])]
    return {k: v for k, v in status.items() if k != "observedGeneration"} | {"conditions": conditions}
