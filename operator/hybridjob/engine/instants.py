"""Instants as the policy's book holds them: milliseconds since 1970, as integers."""

from datetime import UTC, datetime


def millis(time: datetime) -> int:
    return int(time.timestamp() * 1000)


def instant(time: int) -> datetime:
    return datetime.fromtimestamp(time / 1000, UTC)
