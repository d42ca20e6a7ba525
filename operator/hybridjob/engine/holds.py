"""Whether a job that no option has money for waits for it, and how long."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hybridjob.api.common import format_timestamp
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.api.status import HoldStatus
from hybridjob.engine.periods import period_at
from hybridjob.engine.routing import Option

POLL = timedelta(seconds=30)
"""How often a held job looks whether another one has released money."""


@dataclass(frozen=True)
class Hold:
    """The job waits. It holds no money while it does."""

    status: HoldStatus
    message: str
    wake_time: datetime


def hold(
    policy: QuantumBackendPolicy, options: Sequence[Option], previous: HoldStatus | None, now: datetime
) -> Hold | None:
    """How long the job is held, if it is. The first option is waited for that nothing rules out but budgets which say
    Hold; the time counts from when the job was first held, whichever budget it waited for then."""
    budgets = {budget.name: budget for budget in policy.spec.budgets}
    since = previous.since_time if previous is not None else now
    for option in options:
        lacking = [budgets[name] for name in option.budgets if name in budgets]
        if not lacking or any(budget.on_exceeded != "Hold" for budget in lacking):
            continue
        if option.estimate is not None and any(option.estimate > budget.limit for budget in lacking):
            continue  # it never fits
        until = since + timedelta(seconds=min(budget.hold_seconds or 0 for budget in lacking))
        if now >= until:
            continue
        ends = [period_at(budget.period, now).end for budget in lacking]
        following = [datetime.fromtimestamp(end, UTC) for end in ends if end is not None]
        begins = (
            f"; its next period begins at {format_timestamp(max(following))}" if len(following) == len(ends) else ""
        )
        wanted = f"{option.backend}: {option.message}"
        message = f"waits for money until {format_timestamp(until)} at the latest: {wanted}{begins}"
        names = [budget.name for budget in lacking]
        status = HoldStatus(budgets=names, since_time=since, until_time=until)
        return Hold(status, message, min([until, now + POLL, *following]))
    return None
