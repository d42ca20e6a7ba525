"""What may start, and when: windows and maintenance, quotas, expected latency."""

from tests.simulation.api_server import Object
from tests.simulation.evidence import DECIDED_WITHIN, Evidence, require
from tests.simulation.scenario import SHOTS
from tests.simulation.world import Attempt, attempt_of


class StartInvariants:
    """Asserted whenever a solver's Job is created, and when the status first tells of an attempt."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence, self._world = evidence, evidence.world
        self._rules, self._spec = evidence.scenario.rules, evidence.scenario.policy["spec"]
        self._limits = {backend["name"]: backend.get("maxConcurrent") for backend in self._spec["backends"]}
        self._quotas = self._spec.get("quotas", {})
        self._began: dict[str, tuple[str, float]] = {}
        """The namespace of each job whose quantum work began, and when."""

    def job_created(self, job: Object) -> None:
        """A quantum attempt begins."""
        attempt, (route, backend) = attempt_of(job), self._evidence.started_as[attempt_of(job)]
        if route != "Quantum" or not self._evidence.strict or attempt in self._world.removed:
            return
        decided_before = self._evidence.recorded(attempt) is not None
        if not decided_before:
            self._is_open(attempt, backend)
        self._within_quotas(attempt, job["metadata"]["namespace"], backend)
        self._within_period(attempt, job["metadata"]["namespace"], decided_before)
        require(self._quotas.get("maxShotsPerJob", SHOTS) >= SHOTS, f"quota: {attempt} takes too many shots")
        self._in_time(attempt, backend)

    def status(self, uid: str, known: list[Object], attempts: list[Object]) -> None:
        """7: what the status says was decided, was decided while the backend was open."""
        for new in attempts[len(known) :]:
            created, decided = self._evidence.created_at.get((uid, new["number"])), new["createdTime"]
            adopted = created is not None and self._evidence.seconds(decided) > created
            if new["route"] == "Quantum" and self._evidence.clocks_are_right and not adopted:
                second = self._evidence.seconds(decided)
                opens = any(start < second + 1 and second < end for start, end in self._open(new["backend"]))
                require(opens, f"7: attempt {uid}/{new['number']} was decided at {decided}, and its backend is closed")

    def waits(self, status: Object) -> None:
        """Count how jobs come to wait."""
        if status.get("waiting"):
            self._evidence.reached[f"waits: {status['waiting']['reason']}"] += 1
        for option in (status.get("decision") or {}).get("rejected", []):
            if option["reason"] == "LatencyExceeded":
                self._evidence.reached["too slow"] += 1

    def _open(self, backend: str) -> tuple[tuple[float, float], ...]:
        return self._rules.open if backend == "paid" else self._rules.open_elsewhere

    def _is_open(self, attempt: Attempt, backend: str) -> None:
        """7: the backend is open; or was, a moment ago, when the start was decided."""
        now = round(self._world.time, 6)  # as clocks count
        opens = any(
            start <= now + skew.total_seconds() and self._evidence.earliest + skew.total_seconds() < end
            for start, end in self._open(backend)
            for skew in self._world.skews
        )
        require(opens, f"7: {attempt} starts on {backend}, which is closed")

    def _within_quotas(self, attempt: Attempt, namespace: str, backend: str) -> None:
        """No more attempts are under way at once than may be."""
        quantum = [
            (where, on)
            for found, (where, route, on) in self._evidence.under_way().items()
            if route == "Quantum" and self._is_known(found)
        ]
        limits = (
            ("", len(quantum), self._quotas.get("maxConcurrent")),
            (
                f" in {namespace}",
                sum(where == namespace for where, _ in quantum),
                self._quotas.get("maxConcurrentPerNamespace"),
            ),
            (f" on {backend}", sum(on == backend for _, on in quantum), self._limits.get(backend)),
        )
        for where, count, limit in limits:
            require(limit is None or count <= limit, f"quota: with {attempt}, {count} are under way{where}")

    def _is_known(self, attempt: Attempt) -> bool:
        """Whether the operator that acts can tell whose slot the attempt has: of a job that was deleted while another
        one led, it knows a solver, and no policy."""
        gone = self._evidence.job(attempt[0]) is None
        inherited = self._evidence.created_by.get(attempt) != self._evidence.network.actor
        return attempt not in self._world.removed and not (gone and inherited)

    def _within_period(self, attempt: Attempt, namespace: str, decided_before: bool) -> None:
        """No more jobs of a namespace begin in a period than may. Nobody need know of a job that is gone, nor of any
        that began before the policy was made again."""
        quota, uid, now = self._quotas.get("jobsPerPeriod"), attempt[0], self._world.time
        if uid in self._began:
            return
        self._began[uid] = namespace, now
        unknown = self._evidence.policy_was_gone or not self._evidence.clocks_are_right
        if quota is None or decided_before or unknown:
            return
        since = now - quota["seconds"] + DECIDED_WITHIN / 2
        recent = [
            other
            for other, (where, began) in self._began.items()
            if where == namespace and began > since and self._evidence.job(other) is not None
        ]
        require(len(recent) <= quota["count"], f"quota: {len(recent)} jobs began within {quota['seconds']} s")

    def _in_time(self, attempt: Attempt, backend: str) -> None:
        """Nothing starts that is expected to miss a deadline anyway."""
        expected = self._rules.paid.get("expectedLatency")
        job = self._evidence.job(attempt[0])
        if backend != "paid" or expected is None or job is None or "latency" in self._rules.policy:
            return
        limits, run = job["spec"]["limits"], expected["runSeconds"]
        in_time = run <= limits["activeDeadlineSeconds"] and run <= limits["completionDeadlineSeconds"]
        require(in_time, f"latency: {attempt} starts on {backend}, where it is expected to be too late")
