"""What would become of a job if it were run at this instant: decide(), followed until it waits for the world. Pure.

Nothing is decided here a second time. The decision is asked as a runtime asks it, with a book and loads that nobody
writes down.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import BackendStatus, BudgetStatus, QuantumBackendPolicy
from hybridjob.api.status import CLASSICAL_BACKEND, HybridJobStatus, OptionStatus
from hybridjob.engine import reservations
from hybridjob.engine.actions import Action, CancelAttempt, Note, Reserve, StartAttempt
from hybridjob.engine.backend_report import backend_report
from hybridjob.engine.budgets import budgets_of
from hybridjob.engine.decide import decide
from hybridjob.engine.facts import Facts, ReservationFacts
from hybridjob.engine.hedge_attempts import next_step
from hybridjob.engine.ledger import Book
from hybridjob.engine.loads import Loads, load_of
from hybridjob.engine.quotas import QuotaUse, quota_report

ActionWord = Literal["Start", "Probe", "Wait", "Hold", "FallBack", "Fail"]
_MOST_STEPS = 256
"""Each backend, of 64 at most, is asked for, reserved for and refused once."""


@dataclass(frozen=True)
class Forecast:
    """What becomes of one job at this instant, and every limit that it meets."""

    job: HybridJob
    """With the status that would be written."""
    book: Book
    """With the money and the probe that it would have."""
    action: ActionWord
    message: str
    until: datetime | None
    """When its wait ends, at the latest, where it waits."""
    hedge: datetime | None
    """When the classical solver starts beside the quantum one, unless the job has its answer by then."""
    budgets: list[BudgetStatus]
    """Those that any of its options is held to, as they are without it."""
    quotas: list[QuotaUse]
    """What others use of them."""
    backends: list[BackendStatus]
    """The windows, breakers and latencies of its options, where they have any."""

    @property
    def status(self) -> HybridJobStatus:
        return self.job.status or HybridJobStatus()


def foretell(
    job: HybridJob, policy: QuantumBackendPolicy, known: Facts, book: Book, loads: Loads, now: datetime
) -> Forecast:
    """What becomes of a new job. `known`: the facts that no ledger and no other job has a say in. The job's load is put
    among `loads`, as that of a job that was decided about."""
    before, others = book, loads.of(policy, job, now)
    answered: ReservationFacts | None = None
    for _ in range(_MOST_STEPS):
        facts = _facts(known, job, policy, book, loads, answered, now)
        decision = decide(job, policy, facts, now)
        job = job.model_copy(update={"status": decision.status})
        loads.put(policy, load_of(job, decision.actions))
        book, answered = _apply(job, book, decision.actions, now)
        if any(isinstance(action, StartAttempt) for action in decision.actions):
            break
        if answered is None and (decision.wake_time is None or decision.wake_time > now):
            break
    options = _options(job)
    priced = [(option.backend, option.currency) for option in options if option.currency is not None]
    names = {option.backend for option in options} | {CLASSICAL_BACKEND}
    action, message, until = _told(job, book)
    return Forecast(
        job=job,
        book=book,
        action=action,
        message=message,
        until=until,
        hedge=_hedge(job, policy, _facts(known, job, policy, book, loads, None, now), now),
        budgets=budgets_of(policy, job, priced, before, now),
        quotas=quota_report(policy, job, others, now),
        backends=[status for status in backend_report(policy, before, now) if status.name in names],
    )


def _facts(
    known: Facts,
    job: HybridJob,
    policy: QuantumBackendPolicy,
    book: Book,
    loads: Loads,
    answered: ReservationFacts | None,
    now: datetime,
) -> Facts:
    return reservations.with_book(replace(known, load=loads.of(policy, job, now)), job, policy, book, answered, now)


def _apply(
    job: HybridJob, book: Book, actions: Sequence[Action], now: datetime
) -> tuple[Book, ReservationFacts | None]:
    """What the actions make of the book, and its answer to a reservation."""
    answered = None
    for action in actions:
        match action:
            case Reserve():
                book, (answer,) = book.apply([reservations.request(job, action)], now)
                answered = reservations.answered(action, answer)
            case Note(request=request):
                book, _ = book.apply([request], now)
            case StartAttempt() | CancelAttempt():
                pass
            case _:
                book, _ = book.apply([reservations.settlement(job.metadata.uid or "", action)], now)
    return book, answered


def _options(job: HybridJob) -> list[OptionStatus]:
    decision = job.status.decision if job.status else None
    return [*([decision.chosen] if decision.chosen else []), *decision.rejected] if decision else []


def _told(job: HybridJob, book: Book) -> tuple[ActionWord, str, datetime | None]:
    status = job.status or HybridJobStatus()
    if status.state == "Failed":
        return "Fail", f"fails with {status.reason}: {status.message}", None
    if status.fallback is not None:
        why = f"{status.fallback.reason}: {status.fallback.message}"
        return "FallBack", f"goes the classical way at once, for {why}", None
    if status.hold is not None and not status.attempts:
        return "Hold", status.message, status.hold.until_time
    if status.waiting is not None:
        return "Wait", status.message, status.waiting.until_time
    if not status.attempts:
        return "Wait", status.message, None
    backend, key = status.attempts[0].backend, (job.metadata.uid or "", 1)
    circuits = book.breakers[backend].circuits.values() if backend in book.breakers else ()
    if any(circuit.probe is not None and circuit.probe.key == key for circuit in circuits):
        return "Probe", f"starts on {backend}, as the probe of its circuit breaker", None
    return "Start", f"starts on {backend}", None


def _hedge(job: HybridJob, policy: QuantumBackendPolicy, facts: Facts, now: datetime) -> datetime | None:
    status = job.status or HybridJobStatus()
    if job.spec.strategy != "Hedged" or status.fallback is not None or status.state == "Failed":
        return None
    following = next_step(job, policy, facts, len(status.attempts) + 1, now)
    return following if isinstance(following, datetime) else now
