"""What happens outside the operator: the Job controller, kubelets and their containers, providers, users, time."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tests.simulation.api_server import ApiServer, Key, Object, timestamp
from tests.simulation.scenario import NAMESPACE, PER_SHOT, PER_TASK, PRICE, SHOTS

from hybridjob.cluster.views import ATTEMPT_LABEL, BACKEND_LABEL, UID_LABEL
from hybridjob.contract.files import sha256_digest
from hybridjob.contract.verdict import PAYLOAD_PREFIX

START = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
GRACE_SECONDS = 10
PAID = ("paid", "dear")

Attempt = tuple[str, int]
"""The uid of a HybridJob, and a number."""

OUTCOMES = (
    "good",
    "payload",
    "infeasible",
    "retry",
    "unavailable",
    "killed",
    "memory",
    "unreadable",
    "foreign",
    "over",
)
"""How a container ends. `over` is a provider that takes more than it may; not as often, so it comes last."""
_CODES = {"retry": 70, "unavailable": 69, "killed": 137, "memory": 137}


@dataclass
class Provider:
    """What truly happened, which the operator can only hear of."""

    runs: dict[Attempt, int] = field(default_factory=dict)
    """How often each attempt began to run."""
    costs: dict[Attempt, Decimal] = field(default_factory=dict)
    """What each paid attempt truly costs. While it runs, all that it may."""
    overran: Decimal = Decimal(0)
    """What providers have taken beyond what they may."""

    def bill(self, attempt: Attempt, cost: Decimal) -> None:
        self.costs[attempt] = cost
        self.overran += max(Decimal(0), cost - PRICE)


@dataclass
class World:
    """All that is not the operator."""

    time: float = 0.0
    server: ApiServer = field(init=False)
    provider: Provider = field(default_factory=Provider)
    made_pod: set[str] = field(default_factory=set)
    """The Jobs, by uid, that have had their pod."""
    lost: set[str] = field(default_factory=set)
    """The pods, by name, whose node does not answer."""
    removed: set[Attempt] = field(default_factory=set)
    """Attempts whose Job somebody other than the operator has deleted."""
    on_run: list[Callable[[Object, Attempt], None]] = field(default_factory=list)
    """Told of each container that begins."""

    def __post_init__(self) -> None:
        self.server = ApiServer(self.clock)

    def clock(self) -> datetime:
        return START + timedelta(seconds=self.time)

    def now(self) -> str:
        return timestamp(self.clock())

    # What can happen next: the Job controller and the garbage collector

    def moves(self) -> Iterator[tuple[str, str]]:
        """What may happen by itself, by kind and name of the object. In a fair world each of it happens."""
        for key, job in self.server.objects.items():
            if key.plural != "jobs" or not _is_ours(job):
                continue
            uid, conditions = job["metadata"]["uid"], job.get("status", {}).get("conditions")
            if uid not in self.made_pod and not job["spec"].get("suspend") and not conditions:
                yield "spawn", key.name
            elif uid in self.made_pod and not conditions and self._pod_of(uid) is None:
                yield "fail", key.name
        for key, pod in self.server.objects.items():
            if key.plural != "pods":
                continue
            if "deletionTimestamp" in pod["metadata"]:
                if key.name not in self.lost:
                    yield "reap", key.name
            elif pod["status"]["phase"] in ("Succeeded", "Failed"):
                if (job := self._job_of(pod)) is not None and not job.get("status", {}).get("conditions"):
                    yield "finish", key.name
            elif pod["status"]["phase"] == "Running":
                yield "end", key.name
            elif "containerStatuses" not in pod["status"]:  # otherwise its image cannot be pulled, and never will be
                yield "run", key.name
        for key in self.server.garbage():
            if key.plural != "pods" or "deletionTimestamp" not in self.server.objects[key]["metadata"]:
                yield "collect", f"{key.plural}/{key.name}"

    def move(self, kind: str, name: str, outcome: str = "good") -> None:
        """Let it happen; `outcome` says how a container ends."""
        match kind:
            case "spawn":
                self._spawn(self.key("jobs", name))
            case "fail":
                self._condition(self.key("jobs", name), "Failed", "BackoffLimitExceeded")
            case "finish":
                pod = self.server.objects[self.key("pods", name)]
                done = pod["status"]["phase"] == "Succeeded"
                job = self._job_of(pod)
                assert job is not None
                self._condition(self.key("jobs", job["metadata"]["name"]), "Complete" if done else "Failed", "Ended")
            case "run":
                self.run(self.key("pods", name))
            case "end":
                self.end(self.key("pods", name), outcome)
            case "reap":
                self._reap(self.key("pods", name), outcome)
            case "collect":
                plural, _, name = name.partition("/")
                self.delete(self.key(plural, name))

    def key(self, plural: str, name: str) -> Key:
        return Key(plural, NAMESPACE, name)

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
        if pod["metadata"]["labels"][BACKEND_LABEL] in PAID:
            self.provider.bill(attempt, PRICE)
        for observer in self.on_run:
            observer(pod, attempt)
        self._container(key, "Running", {"running": {"startedAt": self.now()}})

    def end(self, key: Key, outcome: str) -> None:
        pod = self.server.objects[key]
        code = _CODES.get(outcome, 0)
        started = pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
        ended = {
            "startedAt": started,
            "finishedAt": self.now(),
            "exitCode": code,
            "reason": "OOMKilled" if outcome == "memory" else "Completed",
            "message": self._message(key, pod, outcome, code),
        }
        self._container(key, "Failed" if code else "Succeeded", {"terminated": ended})

    def _message(self, key: Key, pod: Object, outcome: str, code: int) -> str:
        """The verdict, if there is a readable one: only then the true cost is known, and is what the verdict says."""
        if outcome in ("killed", "memory"):
            return ""
        if outcome == "unreadable":
            return "{]"
        uid, number = attempt_of(pod)
        quantum = pod["metadata"]["labels"][BACKEND_LABEL] != "classical"
        shots = {"over": 5 * SHOTS, "unavailable": 0}.get(outcome, SHOTS // 2) if quantum else 0
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
        if key.plural == "jobs" and _is_ours(self.server.objects[key]):
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


def _is_ours(job: Object) -> bool:
    return UID_LABEL in job["metadata"].get("labels", {}) and bool(job["metadata"].get("ownerReferences"))


def attempt_of(child: Object) -> Attempt:
    """Which attempt a Job or a Pod is for, by its labels."""
    labels = child["metadata"]["labels"]
    return labels[UID_LABEL], int(labels[ATTEMPT_LABEL])


def fair_outcome(chance: random.Random) -> str:
    return chance.choice(OUTCOMES[:9])
