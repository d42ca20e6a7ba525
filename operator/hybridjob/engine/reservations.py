"""Between a job's money, as the engine sees it, and an entry in the book, as a ledger does."""

from dataclasses import replace
from datetime import datetime

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.engine.accounts import to_micros
from hybridjob.engine.actions import KeepReserved, Reserve, Settlement
from hybridjob.engine.budgets import used
from hybridjob.engine.facts import Facts, ReservationFacts
from hybridjob.engine.ledger import Book
from hybridjob.engine.ledger_requests import Answer, Entry, ReserveRequest, SettleRequest, UnknownRequest


def request(job: HybridJob, wanted: Reserve) -> ReserveRequest:
    """Raises ValueError for an amount that is negative, or finer than a millionth."""
    if wanted.amount < 0:
        raise ValueError(f"{wanted.amount} {wanted.currency}: what is reserved must not be negative")
    entry = Entry(
        job_uid=job.metadata.uid or "",
        attempt=wanted.attempt,
        namespace=job.metadata.namespace or "",
        job=job.metadata.name,
        backend=wanted.backend,
        unit=wanted.currency,
        micros=to_micros(wanted.amount),
        time=int(wanted.time.timestamp()),
    )
    return ReserveRequest(entry, wanted.claims)


def answered(wanted: Reserve, answer: Answer) -> ReservationFacts:
    """What the job learns of the ledger's answer."""
    if answer.entry is not None:
        return granted(answer.entry)
    return ReservationFacts(
        wanted.attempt, wanted.backend, wanted.amount, False, answer.message, answer.refusal, answer.budgets
    )


def with_book(
    known: Facts,
    job: HybridJob,
    policy: QuantumBackendPolicy,
    book: Book,
    answered: ReservationFacts | None,
    now: datetime,
) -> Facts:
    """The facts, with those that the policy's book knows. `answered`: what it said last, where the engine has not heard
    it."""
    uid, following = job.metadata.uid or "", (len(job.status.attempts) if job.status else 0) + 1
    entry = book.entries.get((uid, following))
    return replace(
        known,
        reservation=answered or (granted(entry) if entry is not None else None),
        begun=book.begun(uid, following),
        used=used(policy, job, book, now),
        breakers=book.breakers,
        latencies=book.latencies,
        hedges=book.hedges,
    )


def granted(entry: Entry) -> ReservationFacts:
    return ReservationFacts(entry.attempt, entry.backend, entry.amount, granted=True)


def settlement(uid: str, ended: Settlement) -> SettleRequest | UnknownRequest:
    """What the end of a job's attempt asks of the book."""
    key = uid, ended.attempt
    if isinstance(ended, KeepReserved):
        return UnknownRequest(key, int(ended.until.timestamp()))
    return SettleRequest(key, to_micros(ended.amount))
