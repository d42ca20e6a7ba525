"""What jobs take of their quotas when the operator starts: by their statuses, and by the solvers that exist."""

from collections.abc import Iterator
from datetime import datetime

from pydantic import ValidationError

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.cluster.cache import Cache, Record
from hybridjob.cluster.inputs import find_policy
from hybridjob.engine.loads import JobLoad, load_of


def known_loads(cache: Cache) -> Iterator[tuple[QuantumBackendPolicy, JobLoad]]:
    """The policy and the load of every job; of one that has ended, when it began. A job that cannot be parsed is passed
    over: it ends."""
    for record in cache.jobs.values():
        if not record.raw:
            if record.began is not None and (policy := _policy(cache, record.began[0])) is not None:
                yield policy, _past(record, record.began[1])
            continue
        try:
            job = HybridJob.model_validate_json(record.raw)
        except ValidationError:
            continue
        recorded = len(job.status.attempts) if job.status else 0
        views = [seen.job for number, seen in cache.attempts(record.uid).items() if number > recorded]
        untold = [view for view in views if view is not None and view.route == "Quantum"]
        running = [view.backend for view in untold if view.ended is None]
        since = min((view.created_time for view in untold), default=None)
        yield find_policy(job, cache)[0], load_of(job, unrecorded=running, known_start=since)


def _policy(cache: Cache, name: str) -> QuantumBackendPolicy | None:
    found = cache.policies.get(name)
    return found.policy if found is not None else None


def _past(record: Record, began: datetime) -> JobLoad:
    return JobLoad(record.uid, record.namespace, started=began, served=began)
