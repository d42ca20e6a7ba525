"""When a decided status is written: each transition at once, mere words seldom.

API writes are what limits how many jobs a cluster can take, so two kinds of news wait a little, and are overtaken by
better news more often than not: that the first attempt was created (most run within a second or two), and that only the
wording of a message has changed.
"""

from datetime import timedelta

from hybridjob.api.status import HybridJobStatus

FIRST_PENDING_DELAY = timedelta(seconds=2)
WORDING_DELAY = timedelta(seconds=5)


def delay(written: HybridJobStatus | None, decided: HybridJobStatus) -> timedelta | None:
    """How long the decided status may wait for better news; None when it is the written one."""
    if written == decided:
        return None
    if written is None:
        begins = all(attempt.state == "Pending" for attempt in decided.attempts)
        waits = decided.state == "Pending" and len(decided.attempts) <= 1 and begins
        return FIRST_PENDING_DELAY if waits else timedelta(0)
    return WORDING_DELAY if _essence(written) == _essence(decided) else timedelta(0)


def _essence(status: HybridJobStatus) -> object:
    """All of a status that is more than wording."""
    return (
        status.state,
        status.reason,
        status.observed_generation,
        status.policy,
        [(attempt.number, attempt.state, attempt.reserved, attempt.cost) for attempt in status.attempts],
        [(condition.type, condition.status, condition.reason) for condition in status.conditions],
    )
