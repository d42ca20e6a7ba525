"""The ledger never overspends and never charges twice, whoever else writes."""

import multiprocessing
import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridjob.engine.actions import Reserve
from hybridjob.local.database import Immediate, StateError
from hybridjob.local.ledger import Ledger
from hybridjob.local.store import Store
from support.build import START


def reserve(amount: str, limit: str = "10", attempt: int = 1) -> Reserve:
    return Reserve(attempt, "aer", Decimal(amount), "USD", (("all", Decimal(limit)),))


def memory_ledger() -> Ledger:
    from hybridjob.local.ledger import SCHEMA

    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(SCHEMA)
    return Ledger(connection)


def test_a_reservation_is_refused_with_the_money_that_is_left() -> None:
    ledger = memory_ledger()
    assert ledger.reserve("a", "policy", reserve("9.5"), START).granted
    refused = ledger.reserve("b", "policy", reserve("0.500001"), START)
    assert not refused.granted
    assert "0.5 USD left of 10 USD" in refused.message


def test_reserving_again_is_the_same_reservation() -> None:
    ledger = memory_ledger()
    ledger.reserve("a", "policy", reserve("4"), START)
    again = ledger.reserve("a", "policy", reserve("4"), START)
    assert again.granted
    assert ledger.used("policy") == {"USD": Decimal(4)}


def test_settling_again_changes_nothing() -> None:
    ledger = memory_ledger()
    ledger.reserve("a", "policy", reserve("4"), START)
    ledger.settle("a", 1, Decimal("1.25"), START)
    ledger.settle("a", 1, Decimal("3"), START)
    assert ledger.used("policy") == {"USD": Decimal("1.25")}


def test_policies_and_currencies_are_apart() -> None:
    ledger = memory_ledger()
    ledger.reserve("a", "one", reserve("9"), START)
    assert ledger.reserve("b", "other", reserve("9"), START).granted
    euro = Reserve(1, "aer", Decimal(9), "EUR", (("euro", Decimal(9)),))
    assert ledger.reserve("c", "one", euro, START).granted


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
            if ledger.reserve(str(job), "policy", reserve(str(amount)), START).granted:
                reserved.setdefault(job, amount)
        elif operation == "settle" and job in reserved:
            actual = min(amount, reserved[job])
            ledger.settle(str(job), 1, actual, START)
            charged.setdefault(job, actual)
        expected = sum((charged.get(job, amount) for job, amount in reserved.items()), Decimal(0))
        assert ledger.used("policy").get("USD", Decimal(0)) == expected <= 10


def test_a_failed_transaction_leaves_no_trace() -> None:
    ledger = memory_ledger()
    try:
        with Immediate(ledger._connection):
            ledger._connection.execute("INSERT INTO ledger VALUES ('a', 1, 'p', 'b', 'USD', 1, NULL, 't', NULL)")
            raise RuntimeError
    except RuntimeError:
        pass
    assert ledger.balances("p") == []


def test_a_lock_that_is_not_given_up_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    """A process that was stopped in the middle of a write made others end with SQLite's own traceback."""
    holder, other = (sqlite3.connect(tmp_path / "db", timeout=0, isolation_level=None) for _ in range(2))
    with Immediate(holder), pytest.raises(StateError, match="locked by another process"), Immediate(other):
        pass


def _reserve_many(state: Path, writer: int, count: int, granted: "multiprocessing.Queue[int]") -> None:
    ledger = Store(state).ledger
    granted.put(sum(ledger.reserve(f"{writer}-{n}", "policy", reserve("0.1"), START).granted for n in range(count)))


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
    assert Store(tmp_path).ledger.used("policy") == {"USD": Decimal(10)}
