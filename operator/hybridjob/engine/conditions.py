"""The conditions of a job: what kstatus, `kubectl wait` and GitOps tools read."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from hybridjob.api.common import Condition
from hybridjob.api.status import FallbackStatus, HybridJobStatus, Reason, State

Status = Literal["True", "False", "Unknown"]

_RESUMED = "Resumed"
_SUCCEEDED: Mapping[State, Status] = {"Succeeded": "True", "Failed": "False", "Cancelled": "False"}


def conditions_of(
    previous: Sequence[Condition],
    *,
    state: State,
    reason: Reason | None,
    message: str,
    policy: str,
    policy_missing: str | None,
    admitted: bool,
    suspended: bool,
    fallback: FallbackStatus | None,
    generation: int,
    now: datetime,
) -> list[Condition]:
    """All conditions, present from the first visit on. A condition's time changes only with its status."""
    before = {condition.type: condition for condition in previous}

    def condition(type_: str, status: Status, reason_: str, message_: str) -> Condition:
        old = before.get(type_)
        changed = old is None or old.status != status
        return Condition(
            type=type_,
            status=status,
            observed_generation=generation,
            last_transition_time=now if changed or old is None else old.last_transition_time,
            reason=reason_,
            message=message_,
        )

    return [
        condition("Succeeded", _SUCCEEDED.get(state, "Unknown"), reason or state, message),
        condition("PolicyAccepted", "False", "PolicyNotFound", policy_missing)
        if policy_missing is not None
        else condition("PolicyAccepted", "True", "Accepted", f"held to policy {policy}"),
        condition(
            "Admitted",
            "True" if admitted else "False",
            "Admitted" if admitted else "NotAdmitted",
            "a solver was started" if admitted else "no solver was started",
        ),
        condition(
            "FellBack",
            "True" if fallback else "False",
            fallback.reason if fallback else "NotFallenBack",
            fallback.message if fallback else "",
        ),
        condition("Suspended", "True", "Suspended", "spec.suspend is true")
        if suspended
        else condition("Suspended", "False", _why_not_suspended(before.get("Suspended")), ""),
        condition("Stalled", "True", reason or state, message)
        if state == "Failed"
        else condition("Stalled", "False", "NotStalled", ""),
    ]


def malformed_status(problem: str, generation: int, now: datetime) -> HybridJobStatus:
    """The status of a stored job that does not parse: it ends, with a sentence that says what must hold."""
    message = f"the stored object is malformed: {problem}"[:2048]

    def condition(type_: str, status: Status) -> Condition:
        return Condition(
            type=type_,
            status=status,
            observed_generation=generation,
            last_transition_time=now,
            reason="InvalidProblem",
            message=message,
        )

    return HybridJobStatus(
        conditions=[condition("Succeeded", "False"), condition("Stalled", "True")],
        observed_generation=generation,
        state="Failed",
        reason="InvalidProblem",
        message=message,
        completion_time=now,
    )


def acknowledged(status: HybridJobStatus, generation: int) -> HybridJobStatus:
    """The same status, found to hold for a later spec: tools wait until every edit has been seen."""
    if status.observed_generation == generation:
        return status
    conditions = [condition.model_copy(update={"observed_generation": generation}) for condition in status.conditions]
    return status.model_copy(update={"conditions": conditions, "observed_generation": generation})


def _why_not_suspended(before: Condition | None) -> str:
    if before is None:
        return "NotSuspended"
    return _RESUMED if before.status == "True" else before.reason


def resumed_time(conditions: Sequence[Condition], now: datetime) -> datetime | None:
    """When a job that is not suspended was resumed, if it ever was suspended; `now` where that is just seen."""
    for condition in conditions:
        if condition.type == "Suspended" and condition.status == "True":
            return now
        if condition.type == "Suspended" and condition.reason == _RESUMED:
            return condition.last_transition_time
    return None
