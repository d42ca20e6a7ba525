"""Circuit breakers: who may open one, who may start under it, and whether probes are leases that expire."""

import re
from typing import Any, NamedTuple

from tests.simulation.api_server import Object
from tests.simulation.evidence import Evidence, require
from tests.simulation.world import FAULTS, Attempt, attempt_of

_ALL = "*"
_ANSWERED = ("good", "payload", "infeasible", "over")
_RECENT_SECONDS = 400
"""Breakers count outcomes of ten minutes; clocks may be wrong by a minute or two."""
_PROBED = re.compile(r"probed by job \S+ until (\S+) at the latest")

Circuits = dict[str, Object]


class Outcome(NamedTuple):
    """What the ledger says became of one attempt."""

    uid: str
    attempt: int
    namespace: str
    time: int
    fault: bool


class BreakerInvariants:
    """Asserted of each version of the ledger, and whenever a solver's Job is created."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence, self._world = evidence, evidence.world
        self._rules: Object | None = evidence.scenario.policy["spec"].get("circuitBreaker")
        self._network = evidence.network
        self._told: set[Attempt] = set()
        self._outcomes: dict[str, dict[Attempt, Outcome]] = {}
        """By backend."""
        self._history: list[tuple[float, dict[str, Circuits]]] = [(float("-inf"), {})]
        """The circuits of each backend since when, as far back as a start may have been decided."""
        self._probed: dict[tuple[str, str], set[str]] = {}
        """The namespaces whose probes a circuit has had since it opened."""

    def ledger(self, document: Any) -> None:
        if self._rules is None or not self._evidence.strict:
            return
        before, now = self._history[-1][1], {}
        for breaker in document["breakers"]:
            backend = breaker["backend"]
            now[backend] = {circuit["name"]: circuit for circuit in breaker["circuits"]}
            outcomes = {(o.uid, o.attempt): o for o in (Outcome(*values) for values in breaker["outcomes"])}
            known = self._outcomes.get(backend, {})
            self._told |= outcomes.keys()
            for key in outcomes.keys() - known.keys():
                self._is_true(key, backend, outcomes[key])
            require(known.keys() <= outcomes.keys(), f"9: the breaker of {backend} has forgotten an outcome")
            self._outcomes[backend] = outcomes
            for name in before.get(backend, {}).keys() | now[backend].keys():
                self._circuit(backend, name, before.get(backend, {}), now[backend])
            for namespace in {o.namespace for o in outcomes.values()}:
                self._is_open(backend, namespace, [*outcomes.values()], now[backend])
        require(before.keys() <= now.keys(), "9: a breaker was forgotten")
        self._history.append((self._world.time, now))
        while len(self._history) > 1 and self._history[1][0] < self._evidence.earliest:
            self._history.pop(0)

    def job_created(self, job: Object) -> None:
        """9: what starts passes each circuit, or is its probe."""
        attempt, (route, backend) = attempt_of(job), self._evidence.started_as[attempt_of(job)]
        decided_before = self._evidence.recorded(attempt) is not None or attempt in self._world.removed
        if self._rules is None or route != "Quantum" or not self._evidence.strict or decided_before:
            return
        namespace = job["metadata"]["namespace"]

        def passes(circuits: Circuits) -> bool:
            opened = [circuits[name] for name in (_ALL, namespace) if circuits.get(name, {}).get("opened") is not None]
            return all(_holder(circuit) == attempt for circuit in opened)

        allowed = any(passes(found.get(backend, {})) for _, found in self._history)
        require(allowed, f"9: {attempt} starts on {backend}, whose breaker is not closed, and is no probe")

    def status(self, uid: str, before: Object, after: Object) -> None:
        """9: the breaker is told first, and a probe whose time is over keeps nobody from a backend."""
        if self._rules is None:
            return
        self._was_told(uid, after.get("attempts", []))
        old, new = before.get("attempts", []), after.get("attempts", [])
        if before.get("decision") == after.get("decision") or len(new) != len(old) + 1:
            return
        decided = self._evidence.seconds(new[-1]["createdTime"])
        for option in (after.get("decision") or {}).get("rejected", []):
            for until in _PROBED.findall(option["message"]):
                over = self._evidence.seconds(until) + 1 <= decided
                require(not over, f"9: {option['backend']} is closed for a probe whose time was over at {until}")

    def _was_told(self, uid: str, attempts: list[Object]) -> None:
        """9: a fault that the status tells of is in the ledger, unless that could not be written, or nobody knew the
        policy."""
        lost = any("/configmaps" in path for path in self._network.unwritten) or self._evidence.policy_was_gone
        for attempt in attempts:
            key, exited = (uid, attempt["number"]), "exitCode" in attempt and "startTime" in attempt
            if exited and attempt["route"] == "Quantum" and attempt["state"] == "Failed" and not lost:
                fault = self._world.provider.ends.get(key) in FAULTS and key not in self._world.removed
                require(not fault or key in self._told, f"9: {key} has failed, and no breaker was told")

    def _is_true(self, attempt: Attempt, backend: str, outcome: Outcome) -> None:
        """9: what is told of a backend is so."""
        known_as, ended = self._evidence.started_as.get(attempt), self._world.provider.ends.get(attempt)
        if attempt in self._world.removed:
            return
        require(
            known_as in (None, ("Quantum", backend)) and outcome.namespace == self._evidence.namespaces.get(attempt),
            f"9: {attempt} says something of {backend}, and ran as {known_as}",
        )
        if not outcome.fault:
            require(ended in _ANSWERED, f"9: {attempt} speaks for {backend}, and ended as {ended}")
        elif ended not in FAULTS:
            require(self._may_be_slow(attempt), f"9: {attempt} speaks against {backend}, and ended as {ended}")

    def _may_be_slow(self, attempt: Attempt) -> bool:
        """Whether it did not begin, or ran for longer than it might."""
        began, job = self._world.began.get(attempt), self._evidence.job(attempt[0])
        if began is None or job is None or not self._evidence.clocks_are_right:
            return True
        return self._world.time - began + 1 >= job["spec"]["limits"]["activeDeadlineSeconds"]

    def _circuit(self, backend: str, name: str, before: Circuits, now: Circuits) -> None:
        old, new = before.get(name, {}), now.get(name, {})
        probed = self._probed.setdefault((backend, name), set())
        if (lease := old.get("probe")) is not None and _holder(new) != _holder(old):
            self._lease_ended(backend, lease, opened_again=new.get("opened") != old.get("opened"))
        if new.get("opened") is not None and new.get("openings", 0) != old.get("openings", 0):
            self._opened(backend, name, was_open=old.get("opened") is not None)
            probed.clear()
        elif new.get("opened") is None and old.get("opened") is not None:
            replaced = name not in now and now.get(_ALL, {}).get("opened") != before.get(_ALL, {}).get("opened")
            holder = _holder(old)
            answered = holder is not None and self._world.provider.ends.get(holder) in _ANSWERED
            require(replaced or answered, f"9: circuit {name} of {backend} closed, and no probe had answered")
            probed.clear()
        if (lease := new.get("probe")) is not None and lease != old.get("probe"):
            self._evidence.reached["probe"] += 1
            probed.add(lease[2])

    def _lease_ended(self, backend: str, lease: list[Any], opened_again: bool) -> None:
        """9: there is one probe at a time: until it has told, or ended, or its time is over, the circuit is its own."""
        key, latest = (lease[0], lease[1]), max(self._world.skews).total_seconds() + self._world.time
        expired = lease[3] / 1000 <= self._world.rules.begins.timestamp() + latest
        if expired:
            self._evidence.reached["probe expired"] += 1
        over = expired or opened_again or key in self._outcomes[backend] or key not in self._evidence.under_way()
        require(over, f"9: probe {key} of {backend} was dropped")

    def _opened(self, backend: str, name: str, was_open: bool) -> None:
        """9: one namespace alone opens a circuit for itself only."""
        faults = {o.namespace for o in self._outcomes[backend].values() if o.fault}
        blamed = self._probed[backend, name] if was_open else faults
        if name == _ALL:
            require(len(blamed) > 1, f"9: {backend} was closed for all, and only {sorted(blamed)} had faults")
            self._evidence.reached["circuit opened for all"] += 1
        else:
            blamed = blamed | self._probed.get((backend, _ALL), set()) | faults
            require(name in blamed, f"9: {backend} was closed for {name}, which had no fault")
            self._evidence.reached["circuit opened"] += 1

    def _is_open(self, backend: str, namespace: str, outcomes: list[Outcome], circuits: Circuits) -> None:
        """9: a backend that has failed so often in a row is left alone."""
        assert self._rules is not None
        found = [circuits[name] for name in (_ALL, namespace) if name in circuits]
        recently = int(self._world.clock().timestamp() - _RECENT_SECONDS) * 1000
        since = max(recently, *(circuit["countsFrom"] for circuit in found)) if found else recently
        of_it = [o for o in outcomes if o.namespace == namespace and o.time > since]
        run = of_it[-self._rules["consecutiveFailures"] :]
        failed = len(run) == self._rules["consecutiveFailures"] and all(o.fault for o in run)
        opened = any(circuit.get("opened") is not None for circuit in found)
        require(opened or not failed, f"9: {backend} has failed {len(run)} times in {namespace}, and is not closed")


def _holder(circuit: Object) -> Attempt | None:
    lease = circuit.get("probe")
    return (lease[0], lease[1]) if lease is not None else None
