"""What the operator knows of the cluster. Filled by watches and by its own writes; never replaced by anything older.

Resource versions are compared as numbers: Kubernetes has made that official (KEP-5504), and etcd always did.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from pydantic import ValidationError

from hybridjob.api.errors import sentence
from hybridjob.api.policy import PolicyStatus, QuantumBackendPolicy
from hybridjob.api.status import State
from hybridjob.cluster.api_client import Object
from hybridjob.cluster.observation import Observed
from hybridjob.cluster.views import JobView, PodView, job_view, pod_view
from hybridjob.engine.lifecycle import TERMINAL
from hybridjob.engine.policies import outline

_GONE_KEPT = 10_000


@dataclass(slots=True)
class Record:
    """One HybridJob, as its JSON: parsed objects would take ten times the memory."""

    uid: str
    namespace: str
    name: str
    version: int
    generation: int
    state: State | None
    """None before the first status."""
    reason: str | None
    expires: datetime | None
    """When it is to be deleted."""
    raw: bytes
    """Empty once it has ended, and its status says so of its newest spec."""
    began: tuple[str, datetime] | None = None
    """The policy under which its quantum work began, and when: kept once it has ended, for quotas on periods."""
    attempts: int = 0
    """How many its status tells of."""
    deleted: bool = False
    """It is gone; its solvers and its money may not be yet."""


@dataclass(frozen=True, slots=True)
class PolicyRecord:
    """One QuantumBackendPolicy."""

    name: str
    uid: str
    version: int
    generation: int
    policy: QuantumBackendPolicy | None
    """None where it does not parse: nothing is started under it."""
    outline: QuantumBackendPolicy | None
    """What stands for it then: a policy that allows nothing, for the same jobs. The policy itself, where it parses."""
    error: str | None
    """Why it does not."""
    status: PolicyStatus | None


class _Versioned(Protocol):
    @property
    def version(self) -> int: ...


@dataclass
class Cache:
    """All objects, by uid. `on_change` is told the uid of each HybridJob that something has happened to."""

    on_change: Callable[[str], None]
    jobs: dict[str, Record] = field(default_factory=dict)
    policies: dict[str, PolicyRecord] = field(default_factory=dict)
    """By name."""
    namespaces: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """Their labels."""
    _batch_jobs: dict[str, JobView] = field(default_factory=dict)
    _pods: dict[str, PodView] = field(default_factory=dict)
    _children: dict[str, dict[str, JobView | PodView]] = field(default_factory=dict)
    """The Jobs and Pods of each HybridJob, by its uid and theirs."""
    _gone: dict[str, None] = field(default_factory=dict)
    """The uids of what was deleted last. A watch that lags, a list that was made before, or the answer to a creation
    may still tell of it. A HybridJob that is taken for a new one would run, and pay, a second time; a solver's Job that
    is taken for one that is there would be waited for, for ever."""

    # HybridJobs

    def put_job(self, raw: Object, own_write: bool = False) -> Record:
        """Keep a HybridJob, unless a newer one is known. The operator's own writes are no news."""
        metadata, status = raw["metadata"], raw.get("status") or {}
        version = int(metadata["resourceVersion"])
        known = self.jobs.get(metadata["uid"])
        if known is not None and (known.version >= version or known.deleted):
            return known
        metadata.pop("managedFields", None)
        state: State | None = status.get("state")
        settled = state in TERMINAL and status.get("observedGeneration") == metadata.get("generation", 1)
        record = Record(
            uid=metadata["uid"],
            namespace=metadata["namespace"],
            name=metadata["name"],
            version=version,
            generation=metadata.get("generation", 1),
            state=state,
            reason=status.get("reason"),
            expires=_expiry(raw.get("spec", {}), status),
            raw=b"" if settled else json.dumps(raw, separators=(",", ":")).encode(),
            attempts=len(status.get("attempts", [])),
            began=_began(status) if settled else None,
        )
        if record.uid in self._gone:
            return record
        self.jobs[record.uid] = record
        if not own_write:
            self.on_change(record.uid)
        return record

    def delete_job(self, uid: str) -> None:
        """Remember that a HybridJob is gone: its attempts are ended and settled before it is forgotten."""
        record = self.jobs.get(uid)
        if record is None or record.state in TERMINAL:
            self.forget_job(uid)
        else:
            record.deleted = True
            self.on_change(uid)

    def forget_job(self, uid: str) -> None:
        self.jobs.pop(uid, None)
        self._remember_gone(uid)

    def _remember_gone(self, uid: str) -> None:
        self._gone[uid] = None
        if len(self._gone) > _GONE_KEPT:
            del self._gone[next(iter(self._gone))]

    def sweep_jobs(self, present: Iterable[str], listed_version: int, namespace: str | None) -> None:
        """Drop what a complete list of the namespace (None: of all), made at that version, does not have."""
        present = set(present)
        for uid, record in list(self.jobs.items()):
            listed = namespace in (None, record.namespace) and record.version <= listed_version
            if listed and uid not in present:
                self.delete_job(uid)

    # Policies and namespaces

    def put_policy(self, raw: Object) -> None:
        """Keep a policy, and look at every job that has not ended: what it says may have changed for each."""
        metadata = raw["metadata"]
        metadata.pop("managedFields", None)
        known = self.policies.get(metadata["name"])
        version = int(metadata["resourceVersion"])
        if known is not None and known.version >= version:
            return
        name, policy, error = metadata["name"], None, None
        try:
            policy = QuantumBackendPolicy.model_validate_json(json.dumps(raw))
        except ValidationError as invalid:
            error = sentence(invalid, QuantumBackendPolicy)
        record = PolicyRecord(
            name,
            metadata["uid"],
            version,
            metadata.get("generation", 1),
            policy,
            policy or outline(name, raw.get("spec")),
            error,
            policy.status if policy else _status_of_invalid(raw),
        )
        self.policies[name] = record
        if known is None or known.policy is None or policy is None or known.policy.spec != policy.spec:
            self._policy_changed()

    def delete_policy(self, name: str) -> None:
        if self.policies.pop(name, None) is not None:
            self._policy_changed()

    def _policy_changed(self) -> None:
        for record in self.jobs.values():
            if record.state not in TERMINAL:
                self.on_change(record.uid)

    def put_namespace(self, raw: Object) -> None:
        """Keep a namespace's labels: they say which policies its jobs may use."""
        name, labels = raw["metadata"]["name"], raw["metadata"].get("labels", {})
        if self.namespaces.get(name) == labels:
            return
        self.namespaces[name] = labels
        for record in self.jobs.values():
            if record.namespace == name and record.state not in TERMINAL:
                self.on_change(record.uid)

    # Children

    def attempts(self, uid: str) -> dict[int, Observed]:
        """The Jobs and Pods of a HybridJob, by attempt. Of several Pods of one Job the youngest counts; one of a Job
        that was deleted says nothing of the Job that was made again in its place."""
        children = self._children.get(uid, {}).values()
        jobs = {child.attempt: child for child in children if isinstance(child, JobView)}
        pods: dict[int, PodView] = {}
        for child in children:
            if isinstance(child, JobView) or ((job := jobs.get(child.attempt)) and child.job_uid != job.uid):
                continue
            if (other := pods.get(child.attempt)) is None or other.created_time <= child.created_time:
                pods[child.attempt] = child
        return {number: Observed(jobs.get(number), pods.get(number)) for number in jobs.keys() | pods.keys()}

    def children_of(self, uid: str) -> bool:
        return bool(self._children.get(uid))

    def put_batch_job(self, raw: Object) -> JobView | None:
        view = job_view(raw)
        known = self._batch_jobs.get(view.uid) if view is not None else None
        if view is not None and view.uid not in self._gone and _is_newer(view, known):
            self._batch_jobs[view.uid] = view
            self._put_child(view, view.is_news(known))
        return view

    def put_pod(self, raw: Object) -> None:
        view = pod_view(raw)
        known = self._pods.get(view.uid) if view is not None else None
        if view is not None and view.uid not in self._gone and _is_newer(view, known):
            self._pods[view.uid] = view
            self._put_child(view, view.is_news(known))

    def _put_child(self, view: JobView | PodView, is_news: bool = True) -> None:
        self._children.setdefault(view.owner_uid, {})[view.uid] = view
        if is_news:
            self.on_change(view.owner_uid)

    def delete_child(self, raw: Object) -> None:
        """A Job or a Pod is gone. Its deletion brings a Pod's last words."""
        uid = raw["metadata"]["uid"]
        self._remember_gone(uid)
        if uid in self._pods:
            self._pod_is_gone(pod_view(raw) or self._pods[uid])
        else:
            self._drop_child(uid)

    def _pod_is_gone(self, last: PodView) -> None:
        """What a Pod has done is kept while its Job is there: how it ended, or that it ran and nobody knows how."""
        if last.job_uid not in self._batch_jobs or (last.start_time is None and last.end_time is None):
            self._drop_child(last.uid)
            return
        if last.end_time is None:
            last = replace(last, phase="Failed")
        self._pods[last.uid] = last
        self._put_child(last)

    def _drop_child(self, uid: str) -> None:
        view = self._batch_jobs.pop(uid, None) or self._pods.pop(uid, None)
        if view is None:
            return
        siblings = self._children.get(view.owner_uid, {})
        siblings.pop(uid, None)
        if isinstance(view, JobView):  # its Pods that are gone were kept for it
            for child in [c for c in siblings.values() if isinstance(c, PodView) and c.job_uid == uid]:
                if child.end_time is not None or child.phase == "Failed":
                    del siblings[child.uid]
                    self._pods.pop(child.uid, None)
        if not siblings:
            self._children.pop(view.owner_uid, None)
        self.on_change(view.owner_uid)

    def sweep_batch_jobs(self, items: list[Object], namespace: str | None) -> None:
        """Take over a complete list of Jobs."""
        self._sweep(self._batch_jobs, items, namespace, self.put_batch_job)

    def sweep_pods(self, items: list[Object], namespace: str | None) -> None:
        """Take over a complete list of Pods."""
        self._sweep(self._pods, items, namespace, self.put_pod)

    def _sweep(
        self,
        known: Mapping[str, JobView | PodView],
        items: list[Object],
        namespace: str | None,
        put: Callable[[Object], Any],
    ) -> None:
        present = {item["metadata"]["uid"] for item in items}
        for uid, view in list(known.items()):
            if uid in present or namespace not in (None, view.namespace):
                continue
            if isinstance(view, PodView):
                self._pod_is_gone(view)
            else:
                self._drop_child(uid)
        for item in items:
            put(item)


def _expiry(spec: Mapping[str, Any], status: Mapping[str, Any]) -> datetime | None:
    seconds, ended = spec.get("ttlSecondsAfterFinished"), status.get("completionTime")
    if not isinstance(seconds, int) or not isinstance(ended, str):
        return None
    return datetime.fromisoformat(ended) + timedelta(seconds=seconds)


def _status_of_invalid(policy: Object) -> PolicyStatus | None:
    try:
        return PolicyStatus.model_validate_json(json.dumps(policy["status"])) if "status" in policy else None
    except ValidationError:
        return None


def _began(status: Mapping[str, Any]) -> tuple[str, datetime] | None:
    times = [attempt["createdTime"] for attempt in status.get("attempts", []) if attempt["route"] == "Quantum"]
    return (status["policy"], datetime.fromisoformat(times[0])) if times and "policy" in status else None


def _is_newer(view: _Versioned, known: _Versioned | None) -> bool:
    return known is None or view.version > known.version
