"""What the store and the ledger share of SQLite: transactions, and their errors in words for people."""

import sqlite3

from hybridjob.local.errors import StateError, UnknownJobError

__all__ = ["BUSY_SECONDS", "Immediate", "StateError", "UnknownJobError"]

BUSY_SECONDS = 60
"""How long to wait for another process's transaction; they take milliseconds."""


class Immediate:
    """A transaction that takes the write lock at once, so that what it reads cannot change before it writes.

    Raises StateError when another process does not give the lock up.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            raise StateError(
                f"the state directory is locked by another process ({error}): is a `hybridjob` stopped in the middle "
                "of a write? Let it go on, or end it, and try again"
            ) from error

    def __exit__(self, kind: object, *_: object) -> None:
        self._connection.execute("COMMIT" if kind is None else "ROLLBACK")
