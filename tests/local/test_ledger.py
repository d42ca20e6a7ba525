"""The ledger never overspends and never charges twice, whoever else writes."""

import multiprocessing
import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridjob.engine.accounts import LIFETIME, Series, from_micros, to_micros
from hybridjob.engine.ledger_requests import SettleRequest
from hybridjob.local.database import Immediate, StateError
from hybridjob.local.ledger import SCHEMA, Ledger
from hybridjob.local.store import Store
from support.build import START, job_of, reserve


def memory_ledger() -> Ledger:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(SCHEMA)
    return Ledger(connection, lambda: START)


def used(ledger: Ledger, policy: str = "policy") -> Decimal:
    return from_micros(ledger.book(policy).used(Series("USD", "Policy", "", LIFETIME)))


def settle(ledger: Ledger, uid: str, amount: Decimal) -> None:
    ledger.apply("policy", [SettleRequest((uid, 1), to_micros(amount))])


def test_a_reservation_is_refused_with_the_money_that_is_left() -> None:
    ledger = memory_ledger()
    assert ledger.reserve("policy", job_of("a"), reserve("9.5")).granted
    refused = ledger.reserve("policy", job_of("b"), reserve("0.500001"))
    assert not refused.granted
    assert "0.5 USD left of 10 USD" in refused.message


def test_reserving_again_is_the_same_reservation() -> None:
    ledger = memory_ledger()
    ledger.reserve("policy", job_of("a"), reserve("4"))
    again = ledger.reserve("policy", job_of("a"), reserve("4"))
    assert again.granted
    assert used(ledger) == Decimal(4)


def test_settling_again_changes_nothing() -> None:
    ledger = memory_ledger()
    ledger.reserve("policy", job_of("a"), reserve("4"))
    settle(ledger, "a", Decimal("1.25"))
    settle(ledger, "a", Decimal("3"))
    assert used(ledger) == Decimal("1.25")


def test_policies_and_currencies_are_apart() -> None:
    ledger = memory_ledger()
    ledger.reserve("one", job_of("a"), reserve("9"))
    assert ledger.reserve("other", job_of("b"), reserve("9")).granted
    assert ledger.reserve("one", job_of("c"), reserve("9", currency="EUR")).granted


amounts = st.decimals("0.000001", "4", places=6)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["reserve", "settle"]), amounts), max_size=40))
def test_any_order_of_operations_stays_within_the_limit_and_charges_each_attempt_once(
    operations: list[tuple[int, str, Decimal]],
) -> None:
    ledger = memory_ledger()
    reserved: dict[int, Decimal] = {}
    charged: dict[int, Decimal] = {}
    for job, operation, amount in operations:
        if operation == "reserve" and job not in charged:
            if ledger.reserve("policy", job_of(str(job)), reserve(str(amount))).granted:
                reserved.setdefault(job, amount)
        elif operation == "settle" and job in reserved:
            actual = min(amount, reserved[job])
            settle(ledger, str(job), actual)
            charged.setdefault(job, actual)
        expected = sum((charged.get(job, amount) for job, amount in reserved.items()), Decimal(0))
        assert used(ledger) == expected <= 10


def test_a_failed_transaction_leaves_no_trace() -> None:
    ledger = memory_ledger()
    ledger.reserve("policy", job_of("a"), reserve("4"))
    try:
        with Immediate(ledger._connection):
            settle(ledger, "a", Decimal(1))
            raise RuntimeError
    except RuntimeError:
        pass
    assert ("a", 1) in ledger.book("policy").entries
    assert used(ledger) == Decimal(4)


def test_a_lock_that_is_not_given_up_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    """A process that was stopped in the middle of a write made others end with SQLite's own traceback."""
    holder, other = (sqlite3.connect(tmp_path / "db", timeout=0, isolation_level=None) for _ in range(2))
    with Immediate(holder), pytest.raises(StateError, match="locked by another process"), Immediate(other):
        pass


def _reserve_many(state: Path, writer: int, count: int, granted: "multiprocessing.Queue[int]") -> None:
    ledger = Store(state).ledger
    answers = [ledger.reserve("policy", job_of(f"{writer}-{n}"), reserve("0.1")) for n in range(count)]
    granted.put(sum(answer.granted for answer in answers))


def test_processes_that_reserve_at_once_never_overspend(tmp_path: Path) -> None:
    Store(tmp_path).close()
    context = multiprocessing.get_context("spawn")
    granted: multiprocessing.Queue[int] = context.Queue()
    writers = [context.Process(target=_reserve_many, args=(tmp_path, writer, 60, granted)) for writer in range(4)]
    for writer in writers:
        writer.start()
    total = sum(granted.get(timeout=120) for _ in writers)
    for writer in writers:
        writer.join()
    assert total == 100
    assert used(Store(tmp_path).ledger) == Decimal(10)


def test_a_state_directory_of_an_older_schema_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "state.db") as connection:
        connection.execute("PRAGMA user_version = 1")
    with pytest.raises(StateError, match=r"written by an older hybridjob.*--state"):
        Store(tmp_path)


def test_a_damaged_ledger_is_refused_and_not_overwritten(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.ledger.reserve("policy", job_of("a"), reserve("4"))
    store._connection.execute("UPDATE ledgers SET document = '{\"schemaVersion\": 9}'")
    with pytest.raises(StateError, match="schema version 9"):
        store.ledger.reserve("policy", job_of("b"), reserve("4"))
