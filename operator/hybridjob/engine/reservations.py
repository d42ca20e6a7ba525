"""Between a job's money, as the engine sees it, and an entry in the book, as a ledger does."""

from hybridjob.api.hybridjob import HybridJob
from hybridjob.engine.accounts import to_micros
from hybridjob.engine.actions import KeepReserved, Reserve, Settlement
from hybridjob.engine.facts import ReservationFacts
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


def granted(entry: Entry) -> ReservationFacts:
    return ReservationFacts(entry.attempt, entry.backend, entry.amount, granted=True)


def settlement(uid: str, ended: Settlement) -> SettleRequest | UnknownRequest:
    """What the end of a job's attempt asks of the book."""
    key = uid, ended.attempt
    if isinstance(ended, KeepReserved):
        return UnknownRequest(key, int(ended.until.timestamp()))
    return SettleRequest(key, to_micros(ended.amount))
