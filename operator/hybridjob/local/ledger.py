"""The ledger: what every attempt may cost and did cost. One row per attempt, amounts in millionths.

Money is set aside in one immediate transaction that also sums up what is there, so two runs at once cannot both take
the last of a budget. Every step may be repeated: the key is the attempt.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from hybridjob.api.common import format_timestamp
from hybridjob.engine.actions import Reserve
from hybridjob.engine.facts import ReservationFacts
from hybridjob.engine.pricing import ZERO, display
from hybridjob.local.database import Immediate

SCHEMA = """
CREATE TABLE IF NOT EXISTS ledger (
  job_uid TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  policy TEXT NOT NULL,
  backend TEXT NOT NULL,
  currency TEXT NOT NULL,
  reserved_micros INTEGER NOT NULL,
  charged_micros INTEGER,           -- NULL while reserved
  reserved_time TEXT NOT NULL,
  settled_time TEXT,
  PRIMARY KEY (job_uid, attempt)
) STRICT;
CREATE INDEX IF NOT EXISTS ledger_by_policy ON ledger (policy, currency);
"""

_MICROS = Decimal(1_000_000)


def _to_micros(amount: Decimal) -> int:
    micros = amount * _MICROS
    if micros != micros.to_integral_value():
        raise ValueError(f"{amount} must have at most 6 fraction digits")
    return int(micros)


def _from_micros(micros: int) -> Decimal:
    return (Decimal(micros) / _MICROS).normalize() + ZERO


@dataclass(frozen=True)
class Balance:
    """What one policy's jobs have used in one currency."""

    currency: str
    committed: Decimal
    reserved: Decimal

    @property
    def used(self) -> Decimal:
        return self.committed + self.reserved


class Ledger:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def reserve(self, job_uid: str, policy: str, wanted: Reserve, now: datetime) -> ReservationFacts:
        """Set money aside for an attempt, if every budget still has room for it."""

        def facts(granted: bool, message: str = "", amount: Decimal = wanted.amount) -> ReservationFacts:
            return ReservationFacts(wanted.attempt, wanted.backend, amount, granted, message)

        with Immediate(self._connection):
            existing = self.reservation(job_uid, wanted.attempt)
            if existing is not None:
                return existing
            used = self.used(policy).get(wanted.currency, ZERO)
            for name, limit in wanted.limits:
                if used + wanted.amount > limit:
                    left = display(max(ZERO, limit - used), wanted.currency)
                    return facts(
                        False,
                        f"needs {display(wanted.amount, wanted.currency)}, and budget {name} of policy {policy} has "
                        f"{left} left of {display(limit, wanted.currency)}",
                    )
            self._connection.execute(
                "INSERT INTO ledger (job_uid, attempt, policy, backend, currency, reserved_micros, reserved_time)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    job_uid,
                    wanted.attempt,
                    policy,
                    wanted.backend,
                    wanted.currency,
                    _to_micros(wanted.amount),
                    format_timestamp(now),
                ),
            )
        return facts(True)

    def reservation(self, job_uid: str, attempt: int) -> ReservationFacts | None:
        """The open reservation of an attempt."""
        row = self._connection.execute(
            "SELECT backend, reserved_micros FROM ledger WHERE job_uid = ? AND attempt = ? AND charged_micros IS NULL",
            (job_uid, attempt),
        ).fetchone()
        return ReservationFacts(attempt, row[0], _from_micros(row[1]), granted=True) if row else None

    def settle(self, job_uid: str, attempt: int, amount: Decimal, now: datetime) -> None:
        """Charge an attempt, once: settling again changes nothing. Runs inside the caller's transaction."""
        self._connection.execute(
            "UPDATE ledger SET charged_micros = ?, settled_time = ?"
            " WHERE job_uid = ? AND attempt = ? AND charged_micros IS NULL",
            (_to_micros(amount), format_timestamp(now), job_uid, attempt),
        )

    def used(self, policy: str) -> Mapping[str, Decimal]:
        """Committed and reserved together, by currency."""
        return {balance.currency: balance.used for balance in self.balances(policy)}

    def balances(self, policy: str) -> list[Balance]:
        rows = self._connection.execute(
            "SELECT currency, COALESCE(SUM(charged_micros), 0),"
            " COALESCE(SUM(CASE WHEN charged_micros IS NULL THEN reserved_micros END), 0)"
            " FROM ledger WHERE policy = ? GROUP BY currency ORDER BY currency",
            (policy,),
        )
        return [Balance(row[0], _from_micros(row[1]), _from_micros(row[2])) for row in rows]
