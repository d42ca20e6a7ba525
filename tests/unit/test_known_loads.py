"""What the operator counts when it starts: what each job's status says, and the solvers that no status knows of."""

import json
from typing import Any

from hybridjob.api.hybridjob import HybridJob
from hybridjob.cluster.cache import Cache
from hybridjob.cluster.loads import known_loads
from hybridjob.engine.decide import decide
from hybridjob.engine.facts import AttemptFacts, Facts, PolicyLoad
from hybridjob.engine.loads import JobLoad, load_of
from support.build import START, after, backend, job, policy, verdict

RULES = policy(backend(maxConcurrent=1))


def raw(made: HybridJob, version: int = 1) -> dict[str, Any]:
    """The job as the API server has it."""
    document = json.loads(made.model_dump_json(by_alias=True, exclude_none=True))
    document["metadata"]["resourceVersion"] = str(version)
    return dict(document)


def cache(*jobs: HybridJob) -> Cache:
    known = Cache(lambda _: None)
    document = json.loads(RULES.model_dump_json(by_alias=True, exclude_none=True))
    document["metadata"] |= {"resourceVersion": "1", "uid": "policy-uid"}
    known.put_policy(document)
    for made in jobs:
        known.put_job(raw(made))
    return known


def loads(known: Cache) -> list[JobLoad]:
    found = list(known_loads(known))
    assert all(policy.metadata.name == "policy" for policy, _ in found)
    return [load for _, load in found]


def decided(made: HybridJob, facts: Facts) -> HybridJob:
    return made.model_copy(update={"status": decide(made, RULES, facts, after(10)).status})


def solver(uid: str, **status: Any) -> dict[str, Any]:
    labels = {"job-uid": uid, "attempt": "1", "route": "Quantum", "backend": "aer"}
    metadata = {
        "uid": "solver",
        "namespace": "default",
        "name": "job-1",
        "resourceVersion": "5",
        "creationTimestamp": "2026-01-31T12:00:10Z",
        "labels": {f"hybridjob.dev/{name}": value for name, value in labels.items()},
        "ownerReferences": [{"kind": "HybridJob", "uid": uid, "controller": True}],
    }
    return {"metadata": metadata, "spec": {}, "status": status}


def test_a_running_job_has_its_slot() -> None:
    running = decided(job(), Facts())
    assert loads(cache(running)) == [load_of(running)]
    assert load_of(running).slots == ("aer",)


def test_a_waiting_job_has_its_place() -> None:
    waiting = decided(job(), Facts(load=PolicyLoad(running={("other", "aer"): 1})))
    (load,) = loads(cache(waiting))
    assert load.slots == ()
    assert load.waiter is not None
    assert (load.waiter.since, load.waiter.backends) == (START, ("aer",))


def test_a_solver_whose_start_was_never_written_down_has_a_slot() -> None:
    known = cache(job())
    known.put_batch_job(solver(job().metadata.uid or ""))
    assert [load.slots for load in loads(known)] == [("aer",)]


def test_a_solver_that_has_ended_has_none_and_its_job_has_begun() -> None:
    known = cache(job())
    known.put_batch_job(solver(job().metadata.uid or "", conditions=[{"type": "Complete", "status": "True"}]))
    assert [(load.slots, load.started) for load in loads(known)] == [((), after(10))]


def test_a_job_that_has_ended_is_remembered_by_when_it_began() -> None:
    ended = AttemptFacts(start_time=after(11), end_time=after(12), exit_code=0, verdict=verdict())
    done = decided(decided(job(), Facts()), Facts(attempts={1: ended}))
    assert done.status is not None
    assert done.status.state == "Succeeded"
    known = cache(done)
    assert known.jobs[done.metadata.uid or ""].raw == b""
    (load,) = loads(known)
    assert (load.slots, load.waiter, load.started) == ((), None, after(10))


def test_a_job_that_cannot_be_parsed_counts_for_nothing() -> None:
    known = cache()
    broken = raw(job())
    broken["spec"]["quantum"] = {"shots": "many"}
    known.put_job(broken)
    assert loads(known) == []
