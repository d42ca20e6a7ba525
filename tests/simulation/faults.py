"""What goes wrong, and what users do. Each entry says whether it could be done now."""

from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.simulation.api_server import Key, Object, key_of

from hybridjob.cluster.api_client import ApiError
from hybridjob.cluster.views import ATTEMPT_LABEL, BACKEND_LABEL, MANAGED_BY, ROUTE_LABEL, UID_LABEL
from hybridjob.engine.lifecycle import TERMINAL

if TYPE_CHECKING:
    from tests.simulation.explorer import Explorer

Act = Callable[["Explorer", int], bool]
_POLICY = Key("quantumbackendpolicies", "", "policy")


def _pick(items: list[Any], index: int) -> Any:
    return items[index % len(items)] if items else None


# The network


def _refuse(status: int, reason: str, retry_after: float | None = None) -> Act:
    def act(explorer: "Explorer", index: int) -> bool:
        network = explorer.network
        request = _pick([r for r in network.requests if not r.executed and _may_be(r.method, status)], index)
        if request is None:
            return False
        explorer.note(f"refuses {request}: {status}")
        network.respond(request, ApiError(status, reason, f"{request}: {status}", retry_after))
        return True

    return act


def _may_be(method: str, status: int) -> bool:
    """A conflict is said of updates only."""
    return status != 409 or method == "PUT"


def _lose_answer(explorer: "Explorer", index: int) -> bool:
    request = _pick(explorer.network.requests, index)
    if request is None:
        return False
    explorer.note(f"executes {request}, and loses the answer")
    explorer.network.execute(request)
    explorer.network.respond(request, ApiError(0, "Unreachable", f"{request}: no answer"))
    return True


def _lose_request(explorer: "Explorer", index: int) -> bool:
    request = _pick([r for r in explorer.network.requests if not r.executed], index)
    if request is None:
        return False
    explorer.note(f"loses {request}")
    explorer.network.respond(request, ApiError(0, "Unreachable", f"{request}: no answer"))
    return True


def _break_watch(explorer: "Explorer", index: int) -> bool:
    subscription = _pick([s for s in explorer.network.subscriptions if s.waiting is not None], index)
    if subscription is None:
        return False
    explorer.note(f"breaks {subscription}")
    explorer.network.break_watch(subscription, ApiError(0, "WatchBroken", "the watch broke"))
    return True


def _expire_watch(explorer: "Explorer", index: int) -> bool:
    """The history is forgotten: what the watch had not brought yet, it never will."""
    subscription = _pick([s for s in explorer.network.subscriptions if s.waiting is not None], index)
    if subscription is None:
        return False
    explorer.note(f"expires {subscription}")
    server = explorer.world.server
    server.compacted[subscription.stream.plural] = server.version
    explorer.network.break_watch(subscription, ApiError(410, "Expired", "too old resource version"))
    return True


# Processes and clocks


def _crash(explorer: "Explorer", index: int) -> bool:
    replica = _pick([r for r in explorer.replicas if r.is_alive], index)
    if replica is None:
        return False
    explorer.note(f"operator {replica.number} is killed")
    replica.kill()
    return True


def _freeze(explorer: "Explorer", index: int) -> bool:
    """Stop a process, or let one go on."""
    replica = _pick([r for r in explorer.replicas if r.is_alive], index)
    if replica is None:
        return False
    replica.frozen = not replica.frozen
    explorer.note(f"operator {replica.number} is {'stopped' if replica.frozen else 'continued'}")
    return True


def _step_clock(explorer: "Explorer", index: int) -> bool:
    replica = _pick(explorer.replicas, index)
    seconds = (-60, -3, 2, 45)[(index // 3) % 4]
    replica.skew = max(timedelta(seconds=-60), min(timedelta(seconds=45), replica.skew + timedelta(seconds=seconds)))
    explorer.world.skews.add(replica.skew)
    explorer.note(f"the clock of operator {replica.number} is set by {seconds} s")
    return True


# Pods


def _pods(explorer: "Explorer", *phases: str) -> list[Key]:
    return [
        key
        for key, pod in explorer.world.server.objects.items()
        if key.plural == "pods" and pod["status"]["phase"] in phases
    ]


def _pull_error(explorer: "Explorer", index: int) -> bool:
    key = _pick(_pods(explorer, "Pending"), index)
    if key is None:
        return False
    explorer.note(f"{key.name} cannot pull its image")
    explorer.world.stick(key)
    return True


def _silence(explorer: "Explorer", index: int) -> bool:
    """Its provider never answers."""
    key = _pick([key for key in _pods(explorer, "Pending", "Running") if key.name not in explorer.world.silent], index)
    if key is None:
        return False
    explorer.note(f"{key.name} will never end")
    explorer.world.silent.add(key.name)
    return True


def _vanish(explorer: "Explorer", index: int) -> bool:
    key = _pick(_pods(explorer, "Pending", "Running"), index)
    if key is None:
        return False
    explorer.note(f"{key.name} vanishes with its node")
    explorer.world.vanish(key)
    return True


def _lose_node(explorer: "Explorer", index: int) -> bool:
    """Its node does not answer: the pod is to be deleted, and stays."""
    key = _pick(_pods(explorer, "Pending", "Running"), index)
    if key is None:
        return False
    explorer.note(f"the node of {key.name} does not answer")
    explorer.world.lost.add(key.name)
    explorer.world.delete(key)
    return True


def _delete_job_by_hand(explorer: "Explorer", index: int) -> bool:
    server = explorer.world.server
    ours = [k for k, job in server.objects.items() if k.plural == "jobs" and k not in explorer.invariants.foreign]
    key = _pick(ours, index)
    if key is None:
        return False
    explorer.note(f"somebody deletes Job {key.name}")
    explorer.world.delete(key)
    return True


def _take_name(explorer: "Explorer", index: int) -> bool:
    """Somebody makes a Job with the name and the labels that the next attempt's would have, but not its owner."""
    server = explorer.world.server
    job = _pick([j for j in server.all("hybridjobs") if j.get("status", {}).get("state") not in TERMINAL], index)
    if job is None:
        return False
    number = len(job.get("status", {}).get("attempts", [])) + 1
    uid = job["metadata"]["uid"].replace("-", "")[:12]
    key = Key("jobs", job["metadata"]["namespace"], f"{job['metadata']['name']}-{uid}-{number}")
    if key in server.objects:
        return False
    explorer.note(f"somebody takes the name {key.name}")
    labels = {
        MANAGED_BY: "hybridjob",
        UID_LABEL: job["metadata"]["uid"],
        ATTEMPT_LABEL: str(number),
        ROUTE_LABEL: "Quantum",
        BACKEND_LABEL: "free",
    }
    body: Object = {"metadata": {"labels": labels}, "spec": {}}
    explorer.invariants.foreign[key] = server.create(key, body)
    return True


FAULTS: list[tuple[str, Act]] = [
    ("refused 429", _refuse(429, "TooManyRequests", 1.0)),
    ("refused 500", _refuse(500, "InternalError")),
    ("refused 409", _refuse(409, "Conflict")),
    ("answer lost", _lose_answer),
    ("request lost", _lose_request),
    ("watch broken", _break_watch),
    ("watch expired", _expire_watch),
    ("operator killed", _crash),
    ("operator killed", _crash),
    ("operator stopped", _freeze),
    ("clock step", _step_clock),
    ("image pull error", _pull_error),
    ("provider silent", _silence),
    ("pod vanished", _vanish),
    ("node lost", _lose_node),
    ("Job deleted by hand", _delete_job_by_hand),
    ("name taken", _take_name),
]


# What users do


def _edit_job(field: str, value: bool) -> Act:
    def act(explorer: "Explorer", index: int) -> bool:
        server = explorer.world.server
        job = _pick(server.all("hybridjobs"), index)
        if job is None or job["spec"].get(field, False) == value:
            return False
        explorer.note(f"user sets {field} of {job['metadata']['name']} to {value}")
        key = key_of("hybridjobs", job)
        server.put(key, job | {"spec": job["spec"] | {field: value}})
        return True

    return act


def _delete_hybrid_job(explorer: "Explorer", index: int) -> bool:
    """Delete a job; half of the time it is made again at once."""
    server = explorer.world.server
    job = _pick(server.all("hybridjobs"), index)
    if job is None:
        return False
    name = job["metadata"]["name"]
    key = key_of("hybridjobs", job)
    server.remove(key)
    again = (index // 5) % 2 == 0
    explorer.note(f"user deletes {name}{', and makes it again' if again else ''}")
    if again:
        server.create(key, {**job, "metadata": {"name": name, "namespace": key.namespace}, "status": None})
    return True


def _edit_limit(explorer: "Explorer", index: int) -> bool:
    server = explorer.world.server
    if _POLICY not in server.objects:
        return False
    old = server.objects[_POLICY]
    limit = ("0.5", "1.3", "5")[index % 3]
    budgets = [budget | {"limit": limit} for budget in old["spec"]["budgets"]]
    explorer.note(f"the limit becomes {limit}")
    server.put(_POLICY, old | {"spec": old["spec"] | {"budgets": budgets}})
    return True


def _drop_backend(explorer: "Explorer", index: int) -> bool:
    server = explorer.world.server
    if _POLICY not in server.objects:
        return False
    old = server.objects[_POLICY]
    if len(old["spec"]["backends"]) < 3:
        return False
    explorer.note("the policy drops a backend")
    server.put(_POLICY, old | {"spec": old["spec"] | {"backends": old["spec"]["backends"][1:]}})
    return True


def _delete_policy(explorer: "Explorer", index: int) -> bool:
    server = explorer.world.server
    explorer.note("the policy is deleted, or made again")
    if _POLICY in server.objects:
        server.remove(_POLICY)
    else:
        server.create(_POLICY, deepcopy(explorer.scenario.policy))
    return True


USER_ACTIONS: list[Act] = [
    _edit_job("cancel", True),
    _edit_job("suspend", True),
    _edit_job("suspend", False),
    _edit_job("suspend", False),
    _delete_hybrid_job,
    _edit_limit,
    _drop_backend,
    _delete_policy,
]
