"""Attempts that nobody knows the cost of: what a policy's status says of them, and how a person settles one."""

from datetime import UTC, datetime
from decimal import Decimal

from hybridjob.api.policy import UnknownOutcome
from hybridjob.engine.accounts import Key, to_micros
from hybridjob.engine.ledger import Book
from hybridjob.engine.ledger_requests import SettleRequest

MAX_REPORTED = 16


class NotUnknownError(Exception):
    """Nothing is reserved for an attempt of which nobody knows the cost; the message says what to do."""


def unknown_report(book: Book) -> list[UnknownOutcome]:
    """Those that are charged first, for people."""
    return [
        UnknownOutcome(
            job_uid=entry.job_uid,
            attempt=entry.attempt,
            namespace=entry.namespace,
            job=entry.job,
            backend=entry.backend,
            currency=entry.unit,
            reserved=entry.amount,
            charge_time=datetime.fromtimestamp(entry.until or 0, UTC),
        )
        for entry in book.unknown()[:MAX_REPORTED]
    ]


def settle_by_hand(book: Book, key: Key, cost: Decimal, now: datetime) -> Book:
    """Charge what somebody found out that an attempt cost. Raises NotUnknownError for one that is under way, which the
    operator settles itself, and for one that is settled."""
    entry = book.entries.get(key)
    uid, attempt = key
    if entry is None:
        raise NotUnknownError(
            f"policy {book.policy} has nothing reserved for {uid}/{attempt}: it was settled, or there is none; "
            f"`hybridjob policy {book.policy}` lists those whose cost is unknown"
        )
    if entry.state != "Unknown":
        raise NotUnknownError(f"{uid}/{attempt} is {entry.state}: what is under way is settled when it ends")
    return book.apply([SettleRequest(key, to_micros(cost))], now)[0]
