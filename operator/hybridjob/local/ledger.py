"""The ledger on a laptop: one row per policy, which holds its book as JSON.

Every change reads the book and writes it back in one immediate transaction, so two runs at once cannot both take the
last of a budget. What a book does is decided in `engine.ledger`, here as on a cluster.
"""

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.engine import budgets, reservations
from hybridjob.engine.accounts import Key
from hybridjob.engine.actions import Reserve
from hybridjob.engine.budgets import Alert
from hybridjob.engine.facts import ReservationFacts
from hybridjob.engine.held_jobs import gives_room
from hybridjob.engine.ledger import Book
from hybridjob.engine.ledger_document import LedgerDocumentError, Written, dump, load
from hybridjob.engine.ledger_requests import Answer, NoteRequest, Request
from hybridjob.engine.unknown_outcomes import settle_by_hand
from hybridjob.local.database import Immediate, StateError

SCHEMA = """
CREATE TABLE IF NOT EXISTS ledgers (
  policy TEXT PRIMARY KEY,
  document TEXT NOT NULL            -- JSON, see engine/ledger_document.py
) STRICT;
"""


class Ledger:
    """The books of all policies. Raises StateError where a book cannot be read."""

    def __init__(self, connection: sqlite3.Connection, clock: Callable[[], datetime]) -> None:
        self._connection, self._clock = connection, clock
        self.on_room: Callable[[str], None] = lambda _: None
        """Told of each policy whose book may grant now what it refused before."""

    def reserve(self, policy: str, job: HybridJob, wanted: Reserve) -> ReservationFacts:
        """Set money aside for an attempt, if every budget still has room for it."""
        with Immediate(self._connection):
            (answer,) = self.apply(policy, [reservations.request(job, wanted)])
        return reservations.answered(wanted, answer)

    def charge_overdue(self, policy: str) -> None:
        """Charge what has stayed unknown for as long as the policy allows."""
        with Immediate(self._connection):
            self.apply(policy, self.book(policy).overdue(self._clock()))

    def settle_by_hand(self, policy: str, key: Key, cost: Decimal) -> None:
        """Charge what somebody found out that an attempt cost. Raises NotUnknownError."""
        with Immediate(self._connection):
            self._write(settle_by_hand(self.book(policy), key, cost, self._clock()))

    def note(self, policy: str, request: NoteRequest) -> None:
        """Note something that moves no money."""
        with Immediate(self._connection):
            self.apply(policy, [request])

    def give_alerts(self, policy: QuantumBackendPolicy) -> list[Alert]:
        """The alerts that became due, each of them once: it is written down that they were given before they are."""
        name = policy.metadata.name
        with Immediate(self._connection):
            due = budgets.due_alerts(policy, self.book(name), self._clock())
            answers = self.apply(name, [alert.request for alert in due])
        return [alert for alert, answer in zip(due, answers, strict=True) if answer.done]

    def book(self, policy: str) -> Book:
        row = self._connection.execute("SELECT document FROM ledgers WHERE policy = ?", (policy,)).fetchone()
        if row is None:
            return Book(policy)
        try:
            return load(row[0]).book
        except LedgerDocumentError as error:
            raise StateError(f"policy {policy}: {error}") from error

    def apply(self, policy: str, requests: Sequence[Request]) -> list[Answer]:
        """Ask the book. Runs inside the caller's transaction."""
        before = self.book(policy)
        book, answers = before.apply(requests, self._clock())
        if any(answer.done for answer in answers):
            self._write(book)
            if gives_room(before, book):
                self.on_room(policy)
        return answers

    def _write(self, book: Book) -> None:
        self._connection.execute(
            "INSERT INTO ledgers (policy, document) VALUES (?, ?)"
            " ON CONFLICT (policy) DO UPDATE SET document = excluded.document",
            (book.policy, dump(Written(book=book))),
        )
