"""The audit: a policy's book compared with what its jobs say. It reports, and names what would repair."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.status import AttemptStatus
from hybridjob.engine.accounts import from_micros, to_micros
from hybridjob.engine.ledger import Book
from hybridjob.engine.ledger_requests import Entry, SettleRequest, charge_in_full
from hybridjob.engine.lifecycle import OPEN
from hybridjob.engine.pricing import ZERO, display


@dataclass(frozen=True)
class Finding:
    """One thing that does not agree."""

    message: str
    repair: SettleRequest | None = None
    """What sets it right; None where only a person can tell."""


def audit(book: Book, jobs: Sequence[HybridJob], *, complete: bool) -> list[Finding]:
    """What does not agree between the book and the policy's jobs, read at the same instant.

    `complete`: whether no job was ever deleted, so that all that was charged must be found in the jobs.
    """
    by_uid = {job.metadata.uid or "": job for job in jobs}
    findings = [finding for entry in book.entries.values() if (finding := _entry(entry, by_uid.get(entry.job_uid)))]
    for job in jobs:
        findings += _without_entry(book, job)
    return findings + list(_totals(book, jobs, complete))


def _entry(entry: Entry, job: HybridJob | None) -> Finding | None:
    """Money that is held, and for what."""
    if entry.state == "Unknown":
        return None  # the book knows that it has ended, and charges it in time
    held = f"{display(entry.amount, entry.unit)} held for job {entry.namespace}/{entry.job}, attempt {entry.attempt}"
    if job is None:
        message = f"{held}: the job is gone, and nobody saw its end; all of it is to be charged"
        return Finding(message, charge_in_full(entry))
    attempts = job.status.attempts if job.status else []
    attempt = next((a for a in attempts if a.number == entry.attempt), None)
    if attempt is not None and attempt.state not in OPEN:
        if attempt.cost is None:
            message = f"{held}: it has ended, and nobody knows what it cost; all of it is to be charged"
            return Finding(message, charge_in_full(entry))
        message = f"{held}: it has ended and cost {display(attempt.cost, entry.unit)}"
        return Finding(message, SettleRequest(entry.key, to_micros(attempt.cost)))
    if attempt is None and (entry.attempt <= len(attempts) or (job.status and job.status.completion_time)):
        return Finding(f"{held}: there is no such attempt, and there will be none", SettleRequest(entry.key, 0))
    if attempt is not None and attempt.reserved != entry.amount:
        return Finding(f"{held}: the job says {display(attempt.reserved or ZERO, entry.unit)}")
    return None


def _without_entry(book: Book, job: HybridJob) -> Iterator[Finding]:
    for attempt in job.status.attempts if job.status else []:
        if attempt.reserved and attempt.state in OPEN and (job.metadata.uid or "", attempt.number) not in book.entries:
            yield Finding(
                f"job {job.metadata.namespace}/{job.metadata.name}, attempt {attempt.number}: it runs, and the "
                f"{display(attempt.reserved, _currency(attempt))} that it says are held for it are not"
            )


def _totals(book: Book, jobs: Iterable[HybridJob], complete: bool) -> Iterator[Finding]:
    least: dict[str, Decimal] = {}
    most: dict[str, Decimal] = {}
    for job in jobs:
        for attempt in job.status.attempts if job.status else []:
            unsettled = (job.metadata.uid or "", attempt.number) in book.entries
            currency = _currency(attempt)
            if currency is None or unsettled or attempt.state in OPEN:
                continue
            least[currency] = least.get(currency, ZERO) + (attempt.cost or ZERO)
            unknown = attempt.reserved if attempt.cost is None else attempt.cost
            most[currency] = most.get(currency, ZERO) + (unknown or ZERO)
    totals = {unit: from_micros(account.committed) for unit, account in book.totals().items()}
    for unit in sorted(least.keys() | totals.keys()):
        low, high, book_says = least.get(unit, ZERO), most.get(unit, ZERO), totals.get(unit, ZERO)
        if book_says < low or (complete and book_says > high):
            cost = display(low, unit) if low == high else f"between {low:f} and {display(high, unit)}"
            yield Finding(f"{display(book_says, unit)} are charged, and the jobs' attempts cost {cost}")


def _currency(attempt: AttemptStatus) -> str | None:
    return attempt.rate_card.currency if attempt.rate_card is not None else None
