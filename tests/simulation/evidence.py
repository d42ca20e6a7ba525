"""What invariants look at: the world, and what has been seen of it. Never what an operator remembers."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

from tests.simulation.api_server import Object
from tests.simulation.network import Network
from tests.simulation.scenario import Scenario
from tests.simulation.world import Attempt, World, attempt_of, is_ours

from hybridjob.cluster.views import BACKEND_LABEL, ROUTE_LABEL

OPEN = ("Pending", "Running")
DECIDED_WITHIN = 30.0
"""For how long at most a start may be under way between its decision and the creation of its Job: the ledger's notes
are written first."""


class ViolationError(AssertionError):
    """Something that must hold does not."""


def require(holds: bool, message: str) -> None:
    if not holds:
        raise ViolationError(message)


class Evidence:
    """Shared by all invariants."""

    def __init__(self, world: World, network: Network, scenario: Scenario) -> None:
        self.world, self.network, self.scenario = world, network, scenario
        self.strict = scenario.elects or scenario.replicas == 1
        """Two operators without a Lease are safe with the ledger, and with nothing else: docs/simulation.md."""
        self.created: dict[Attempt, int] = {}
        """How often the Job of each attempt was created."""
        self.created_at: dict[Attempt, float] = {}
        """When it was, the first time."""
        self.started_as: dict[Attempt, tuple[str, str]] = {}
        """Route and backend."""
        self.created_by: dict[Attempt, str] = {}
        """Which process created it last."""
        self.namespaces: dict[Attempt, str] = {}
        self.policy_was_gone = False
        self.reached: Counter[str] = Counter()
        """What the schedule came to, so that nobody takes rules that never bite for rules that hold."""

    def job_created(self, job: Object) -> None:
        attempt, labels = attempt_of(job), job["metadata"]["labels"]
        self.created[attempt] = self.created.get(attempt, 0) + 1
        self.created_at.setdefault(attempt, self.world.time)
        self.started_as[attempt] = labels[ROUTE_LABEL], labels[BACKEND_LABEL]
        self.created_by[attempt] = self.network.actor
        self.namespaces[attempt] = job["metadata"]["namespace"]

    def job(self, uid: str) -> Object | None:
        """The HybridJob, while it is there."""
        return next((job for job in self.world.server.all("hybridjobs") if job["metadata"]["uid"] == uid), None)

    def recorded(self, attempt: Attempt) -> Object | None:
        """What the status says of the attempt."""
        job = self.job(attempt[0])
        attempts = job.get("status", {}).get("attempts", []) if job is not None else []
        return next((found for found in attempts if found["number"] == attempt[1]), None)

    def may_be_adopted(self, job: Object, number: int) -> bool:
        """Whether the process that writes the status may not know any more why the attempt was begun."""
        metadata, paths = job["metadata"], self.network.unwritten
        lost = (f"/{metadata['name']}/status", f"/{metadata['namespace']}/jobs")
        creator = self.created_by.get((metadata["uid"], number), self.network.actor)
        return creator != self.network.actor or any(path.endswith(lost) for path in paths)

    def runs(self, attempt: Attempt, backends: tuple[str, ...] = ()) -> bool:
        return any(
            pod["status"]["phase"] == "Running"
            and key.name not in self.world.lost
            and attempt_of(pod) == attempt
            and (not backends or pod["metadata"]["labels"][BACKEND_LABEL] in backends)
            for key, pod in self.world.server.objects.items()
            if key.plural == "pods" and "status" in pod
        )

    def was_told_of(self, attempt: Attempt) -> bool:
        """Whether the operator that acts has heard that the attempt ran. What began and vanished before any watch told
        of it, or together with a Job that was deleted by hand, is out of its sight: docs/simulation.md."""
        if attempt in self.world.removed:
            return False
        told = self.network.told[self.network.actor].values()
        return any(attempt_of(pod) == attempt and {"running", "terminated"} & _state(pod).keys() for pod in told)

    def under_way(self) -> dict[Attempt, tuple[str, str, str]]:
        """The attempts that run or may still begin, with namespace, route and backend."""
        return {attempt_of(child): _place(child) for child in self._alive()}

    def _alive(self) -> Iterator[Object]:
        objects = self.world.server.objects
        ended = set()
        for key, pod in objects.items():
            if key.plural == "pods":
                if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
                    ended.add(pod["metadata"]["ownerReferences"][0]["uid"])
                elif key.name not in self.world.lost:
                    yield pod
        for key, job in objects.items():
            is_solver = key.plural == "jobs" and is_ours(job) and job["metadata"]["uid"] not in ended
            if is_solver and not job.get("status", {}).get("conditions"):
                yield job

    # Time

    @property
    def clocks_are_right(self) -> bool:
        return self.world.skews == {timedelta(0)}

    @property
    def earliest(self) -> float:
        """When what is done now may have been decided at the earliest."""
        return self.world.time - DECIDED_WITHIN - self.world.stopped

    def seconds(self, timestamp: str) -> float:
        """A timestamp as seconds since the world began."""
        return (datetime.fromisoformat(timestamp) - self.world.rules.begins).total_seconds()


def _place(child: Object) -> tuple[str, str, str]:
    metadata = child["metadata"]
    return metadata["namespace"], metadata["labels"][ROUTE_LABEL], metadata["labels"][BACKEND_LABEL]


def _state(pod: Object) -> Object:
    statuses: list[Object] = pod.get("status", {}).get("containerStatuses") or [{}]
    state: Object = statuses[0].get("state", {})
    return state
