"""What happens outside the operator: the Job controller, kubelets and their containers, providers, users, time."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from tests.simulation.api_server import ApiServer, Key, Object, timestamp
from tests.simulation.rules import CLASSICAL_PER_SECOND, Rules
from tests.simulation.scenario import PAID, PER_SHOT, PER_TASK, PRICE, SHOTS

from hybridjob.cluster.views import ATTEMPT_LABEL, BACKEND_LABEL, ROUTE_LABEL, UID_LABEL
from hybridjob.contract.files import sha256_digest
from hybridjob.contract.verdict import PAYLOAD_PREFIX

GRACE_SECONDS = 10

Attempt = tuple[str, int]
"""The uid of a HybridJob, and a number."""

OUTCOMES = (
    "good",
    "payload",
    "infeasible",
    "retry",
    "unavailable",
    "broken",
    "killed",
    "memory",
    "unreadable",
    "foreign",
    "over",
)
"""How a container ends. `broken` is a backend that can run nothing. `over` is a provider that takes more than it may;
not as often, so it comes last."""
FAULTS = ("retry", "broken", "unreadable", "foreign")
"""What speaks against the backend."""
_CODES = {"retry": 70, "unavailable": 69, "broken": 69, "killed": 137, "memory": 137}


@dataclass
class Provider:
    """What truly happened, which the operator can only hear of."""

    runs: dict[Attempt, int] = field(default_factory=dict)
    """How often each attempt began to run."""
    costs: dict[Attempt, Decimal] = field(default_factory=dict)
    """What each paid attempt truly costs. While it runs, all that it may."""
    overran: Decimal = Decimal(0)
    """What providers have taken beyond what they may."""

    ends: dict[Attempt, str] = field(default_factory=dict)
    """How each attempt ended, as far as its container could say."""

    def bill(self, attempt: Attempt, cost: Decimal, most: Decimal = PRICE) -> None:
        self.costs[attempt] = cost
        self.overran += max(Decimal(0), cost - most)


@dataclass
class World:
    """All that is not the operator."""

    rules: Rules
    time: float = 0.0
    server: ApiServer = field(init=False)
    provider: Provider = field(default_factory=Provider)
    made_pod: set[str] = field(default_factory=set)
    """The Jobs, by uid, that have had their pod."""
    lost: set[str] = field(default_factory=set)
    """The pods, by name, whose node does not answer."""
    silent: set[str] = field(default_factory=set)
    """The pods, by name, whose container never ends by itself."""
    skews: set[timedelta] = field(default_factory=lambda: {timedelta(0)})
    """How far any operator's clock has ever been off."""
    stopped: float = 0.0
    """For how long operators were stopped, in seconds."""
    removed: set[Attempt] = field(default_factory=set)
    """Attempts whose Job somebody other than the operator has deleted."""
    began: dict[Attempt, float] = field(default_factory=dict)
    """When each attempt's container did, the last time."""
    on_run: list[Callable[[Object, Attempt], None]] = field(default_factory=list)
    """Told of each container that begins."""

    def __post_init__(self) -> None:
        self.server = ApiServer(self.clock)

    def clock(self) -> datetime:
        return self.rules.begins + timedelta(seconds=self.time)

    def now(self) -> str:
        return timestamp(self.clock())

    # What can happen next: the Job controller and the garbage collector

    def moves(self) -> Iterator[tuple[str, Key]]:
        """What may happen by itself, and to which object. In a fair world each of it happens."""
        for key, job in self.server.objects.items():
            if key.plural != "jobs" or not is_ours(job):
                continue
            uid, conditions = job["metadata"]["uid"], job.get("status", {}).get("conditions")
            if uid not in self.made_pod and not job["spec"].get("suspend") and not conditions:
                yield "spawn", key
            elif uid in self.made_pod and not conditions and self._pod_of(uid) is None:
                yield "fail", key
        for key, pod in self.server.objects.items():
            if key.plural != "pods":
                continue
            if "deletionTimestamp" in pod["metadata"]:
                if key.name not in self.lost:
                    yield "reap", key
            elif pod["status"]["phase"] in ("Succeeded", "Failed"):
                if (job := self._job_of(pod)) is not None and not job.get("status", {}).get("conditions"):
                    yield "finish", key
            elif pod["status"]["phase"] == "Running":
                if self._ends_at(key, pod) <= self.time:
                    yield "end", key
            elif "containerStatuses" not in pod["status"]:  # otherwise its image cannot be pulled, and never will be
                yield "run", key
        for key in self.server.garbage():
            if key.plural != "pods" or "deletionTimestamp" not in self.server.objects[key]["metadata"]:
                yield "collect", key

    def next_end(self) -> float | None:
        """When the next container ends by itself."""
        times = (self._ends_at(k, pod) for k, pod in self.server.objects.items() if _is_running(k, pod))
        return min((time for time in times if time > self.time), default=None)

    def _ends_at(self, key: Key, pod: Object) -> float:
        if key.name in self.silent:
            return float("inf")
        if pod["metadata"]["labels"][ROUTE_LABEL] == "Classical":
            return 0
        return self.began[attempt_of(pod)] + self.rules.takes

    def move(self, kind: str, key: Key, outcome: str = "good") -> None:
        """Let it happen; `outcome` says how a container ends."""
        match kind:
            case "spawn":
                self._spawn(key)
            case "fail":
                self._condition(key, "Failed", "BackoffLimitExceeded")
            case "finish":
                pod = self.server.objects[key]
                done = pod["status"]["phase"] == "Succeeded"
                job = self._job_of(pod)
                assert job is not None
                made = Key("jobs", key.namespace, job["metadata"]["name"])
                self._condition(made, "Complete" if done else "Failed", "Ended")
            case "run":
                self.run(key)
            case "end":
                self.end(key, outcome)
            case "reap":
                self._reap(key, outcome)
            case "collect":
                self.delete(key)

    # Pods

    def _spawn(self, key: Key) -> None:
        job = self.server.objects[key]
        uid, template = job["metadata"]["uid"], job["spec"]["template"]["metadata"]
        self.made_pod.add(uid)
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": key.name, "uid": uid, "controller": True}
        body: Object = {
            "metadata": {"labels": template["labels"], "ownerReferences": [owner]},
            "spec": {},
        }
        pod = Key("pods", key.namespace, f"{key.name}-{len(self.made_pod)}")
        self.server.create(pod, body)
        self._set(pod, {"phase": "Pending"})

    def run(self, key: Key) -> None:
        """The container begins; a paid one begins to cost."""
        pod = self.server.objects[key]
        attempt = attempt_of(pod)
        self.provider.runs[attempt] = self.provider.runs.get(attempt, 0) + 1
        self.began[attempt] = self.time
        if pod["metadata"]["labels"][BACKEND_LABEL] in PAID:
            self.provider.bill(attempt, PRICE)
        for observer in self.on_run:
            observer(pod, attempt)
        self._container(key, "Running", {"running": {"startedAt": self.now()}})

    def end(self, key: Key, outcome: str) -> None:
        pod = self.server.objects[key]
        outcome = self._befalls(key, pod, outcome)
        self.provider.ends[attempt_of(pod)] = outcome
        code = _CODES.get(outcome, 0)
        started = pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
        ended = {
            "startedAt": started,
            "finishedAt": self.now(),
            "exitCode": code,
            "reason": "OOMKilled" if outcome == "memory" else "Completed",
            "message": self._message(key, pod, outcome, code),
        }
        if pod["metadata"]["labels"][BACKEND_LABEL] == "classical" and self.rules.classical_is_paid:
            ran = datetime.fromisoformat(ended["finishedAt"]) - datetime.fromisoformat(started)
            self.provider.bill(attempt_of(pod), CLASSICAL_PER_SECOND * int(ran.total_seconds()), Decimal(0))
        self._container(key, "Failed" if code else "Succeeded", {"terminated": ended})

    def _befalls(self, key: Key, pod: Object, outcome: str) -> str:
        """Backends that are down, and jobs that crash their solvers."""
        labels = pod["metadata"]["labels"]
        if labels[ROUTE_LABEL] != "Quantum" or outcome not in ("good", "payload", "infeasible"):
            return outcome
        if key.namespace == self.rules.poisoned:
            return "retry"
        backend, until = self.rules.down
        return "broken" if labels[BACKEND_LABEL] == backend and self.time < until else outcome

    def _message(self, key: Key, pod: Object, outcome: str, code: int) -> str:
        """The verdict, if there is a readable one: only then the true cost is known, and is what the verdict says."""
        if outcome in ("killed", "memory"):
            return ""
        if outcome == "unreadable":
            return "{]"
        uid, number = attempt_of(pod)
        quantum = pod["metadata"]["labels"][BACKEND_LABEL] != "classical"
        shots = {"over": 5 * SHOTS, "unavailable": 0, "broken": 0}.get(outcome, SHOTS // 2) if quantum else 0
        usage = {"tasks": int(shots > 0), "shots": shots, "seconds": 1.0}
        if pod["metadata"]["labels"][BACKEND_LABEL] in PAID and outcome != "foreign":
            self.provider.bill((uid, number), PER_TASK * usage["tasks"] + PER_SHOT * shots)
        answer = {"objective": 2.0, "feasible": outcome != "infeasible", "sense": "Maximize", "baseline": 2.0}
        verdict = {
            "schemaVersion": "hybridjob.dev/verdict/v1",
            "jobUid": uid,
            "attempt": number + (outcome == "foreign"),
            "exitCode": code,
            "message": outcome,
            "usage": usage,
        }
        if outcome == "broken":
            verdict["backendFailed"] = True
        if code == 0:
            verdict["answer"] = answer
        if outcome == "payload":
            payload = json.dumps({"jobUid": uid, "attempt": number}).encode()
            self.server.logs[key.name] = PAYLOAD_PREFIX + payload + b"\n"
            verdict["payloadDigest"] = sha256_digest(payload)
        return json.dumps(verdict)

    def stick(self, key: Key) -> None:
        """Its image cannot be pulled."""
        self._container(key, "Pending", {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}})

    def delete(self, key: Key) -> None:
        """Delete anything, as the garbage collector or a user does it: a pod has some time left to end."""
        if key.plural == "jobs" and is_ours(self.server.objects[key]):
            self.removed.add(attempt_of(self.server.objects[key]))
        if key.plural != "pods":
            self.server.remove(key)
            return
        pod = self.server.objects[key]
        ends = timestamp(self.clock() + timedelta(seconds=GRACE_SECONDS))
        self.server.put(key, pod | {"metadata": pod["metadata"] | {"deletionTimestamp": ends}})

    def vanish(self, key: Key) -> None:
        """Its node is gone, and the pod with it, without a last word."""
        if key in self.server.objects:
            self.server.remove(key)
        self.lost.discard(key.name)

    def _reap(self, key: Key, outcome: str) -> None:
        pod = self.server.objects[key]
        if pod["status"]["phase"] == "Running":
            self.end(key, outcome if outcome in ("good", "over") else "killed")
        else:
            self.server.remove(key)

    def kill_overdue(self) -> None:
        """A kubelet that answers ends a pod when its grace is over."""
        for key, pod in list(self.server.objects.items()):
            ends = pod["metadata"].get("deletionTimestamp")
            if ends and key.name not in self.lost and datetime.fromisoformat(ends) <= self.clock():
                if pod["status"]["phase"] == "Running":
                    self.end(key, "killed")
                self.server.remove(key)

    def _container(self, key: Key, phase: str, state: Object) -> None:
        self._set(key, {"phase": phase, "containerStatuses": [{"name": "solver", "state": state}]})

    def _condition(self, key: Key, kind: str, reason: str) -> None:
        condition = {"type": kind, "status": "True", "reason": reason, "lastTransitionTime": self.now()}
        self._set(key, {"conditions": [condition]})

    def _set(self, key: Key, status: Object) -> None:
        self.server.put(key, self.server.objects[key] | {"status": status})

    def _pod_of(self, job_uid: str) -> Object | None:
        return next((p for p in self.server.all("pods") if p["metadata"]["ownerReferences"][0]["uid"] == job_uid), None)

    def _job_of(self, pod: Object) -> Object | None:
        uid = pod["metadata"]["ownerReferences"][0]["uid"]
        return next((job for job in self.server.all("jobs") if job["metadata"]["uid"] == uid), None)


def _is_running(key: Key, pod: Object) -> bool:
    return key.plural == "pods" and pod["status"]["phase"] == "Running"


def is_ours(job: Object) -> bool:
    """Whether it is a solver's, and not somebody else's under such a name."""
    return UID_LABEL in job["metadata"].get("labels", {}) and bool(job["metadata"].get("ownerReferences"))


def attempt_of(child: Object) -> Attempt:
    """Which attempt a Job or a Pod is for, by its labels."""
    labels = child["metadata"]["labels"]
    return labels[UID_LABEL], int(labels[ATTEMPT_LABEL])


def fair_outcome(chance: random.Random) -> str:
    return chance.choice(OUTCOMES[:-1])
