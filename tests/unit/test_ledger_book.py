"""The book under any order of operations, repeated and lost, against the simplest ledger there can be."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hybridjob.api.breaker import CircuitBreakerSpec
from hybridjob.api.latency import LatencySpec
from hybridjob.engine import ledger
from hybridjob.engine.accounts import LIFETIME, Claim, Series, from_micros, to_micros
from hybridjob.engine.breaker import ReportRequest
from hybridjob.engine.latency import DurationRequest, Sample
from hybridjob.engine.ledger import Book, Key
from hybridjob.engine.ledger_document import MAX_BYTES, LedgerDocumentError, Written, dump, load
from hybridjob.engine.ledger_requests import (
    AlertRequest,
    Answer,
    Entry,
    Request,
    ReserveRequest,
    SettleRequest,
    SubmitRequest,
    UnknownRequest,
)
from hybridjob.engine.unknown_outcomes import NotUnknownError, settle_by_hand
from support.build import START

NOW = int(START.timestamp())
DAY = 86_400
TOTAL = Series("USD", "Policy", "", LIFETIME)


def entry(uid: str = "a", micros: int = 4, **fields: Any) -> Entry:
    facts: dict[str, Any] = {
        "attempt": 1,
        "namespace": "default",
        "job": f"job-{uid}",
        "backend": "aer",
        "unit": "USD",
        "time": NOW,
    }
    return Entry(job_uid=uid, micros=micros, **(facts | fields))


def claim(limit: int, series: Series = TOTAL, **period: Any) -> Claim:
    return Claim("all", from_micros(limit), series, **period)


def apply(book: Book, *requests: Request) -> tuple[Book, list[Answer]]:
    return book.apply(requests, START)


def reserve(limit: int, uid: str = "a", micros: int = 4) -> ReserveRequest:
    return ReserveRequest(entry(uid, micros), (claim(limit),))


class TestOperations:
    def test_a_reservation_beyond_the_limit_is_refused_with_the_budget_and_what_is_left(self) -> None:
        book, (first, second) = apply(Book("p"), reserve(10, "a", 6), reserve(10, "b", 5))
        assert first.entry is not None
        assert (second.entry, second.refusal, second.budgets) == (None, "BudgetExceeded", ("all",))
        assert "needs 0.000005 USD, and budget all of policy p has 0.000004 USD left of 0.00001 USD" in second.message
        assert book.used(TOTAL) == 6

    def test_all_budgets_hold_or_nothing_is_reserved(self) -> None:
        namespace = Series("USD", "Namespace", "default", LIFETIME)
        both = ReserveRequest(entry(micros=5), (claim(10), claim(4, namespace)))
        book, (answer,) = apply(Book("p"), both)
        assert answer.refusal == "BudgetExceeded"
        assert (book.used(TOTAL), book.used(namespace)) == (0, 0)

    def test_a_key_that_exists_is_answered_as_it_was(self) -> None:
        book, _ = apply(Book("p"), reserve(10, "a", 6))
        after, (again,) = apply(book, reserve(1, "a", 9))
        assert again.entry == entry("a", 6)
        assert not again.done
        assert after == book

    def test_settling_folds_into_the_total_once(self) -> None:
        book, _ = apply(Book("p"), reserve(10, "a", 6))
        book, (first, second) = apply(book, SettleRequest(("a", 1), 2), SettleRequest(("a", 1), 3))
        assert (first.done, second.done) == (True, False)
        assert book.used(TOTAL) == 2
        assert book.entries == {}

    def test_a_providers_overrun_is_recorded_and_blocks_what_follows(self) -> None:
        book, _ = apply(Book("p"), reserve(10, "a", 6))
        book, (_, refused) = apply(book, SettleRequest(("a", 1), 12), reserve(10, "b", 1))
        assert book.used(TOTAL) == 12
        assert "0 USD left" in refused.message

    def test_a_charge_is_never_negative(self) -> None:
        book, _ = apply(Book("p"), reserve(10), SettleRequest(("a", 1), -5))
        assert book.used(TOTAL) == 0

    def test_unknown_outcomes_stay_reserved(self) -> None:
        book, (_, submitted, unknown, again) = apply(
            Book("p"), reserve(10), SubmitRequest(("a", 1)), UnknownRequest(("a", 1), NOW), UnknownRequest(("a", 1), 0)
        )
        assert (submitted.done, unknown.done, again.done) == (True, True, False)
        assert (book.entries["a", 1].state, book.entries["a", 1].until) == ("Unknown", NOW)
        assert book.used(TOTAL) == 4

    def test_what_is_unknown_never_seems_to_be_under_way_again(self) -> None:
        book, (*_, late) = apply(Book("p"), reserve(10), UnknownRequest(("a", 1), NOW), SubmitRequest(("a", 1)))
        assert not late.done
        assert book.entries["a", 1].state == "Unknown"

    def test_what_stays_unknown_is_charged_in_full_when_its_time_is_over(self) -> None:
        book, _ = apply(Book("p"), reserve(10), UnknownRequest(("a", 1), NOW + 60))
        assert book.overdue(START + timedelta(seconds=59)) == []
        due = book.overdue(START + timedelta(seconds=60))
        assert due == [SettleRequest(("a", 1), 4)]
        book, _ = apply(book, *due)
        assert (book.used(TOTAL), book.entries) == (4, {})

    def test_what_has_begun_is_known_until_it_is_settled(self) -> None:
        book, _ = apply(Book("p"), reserve(10), ReserveRequest(entry(attempt=2)), SubmitRequest(("a", 2)))
        assert book.begun("a", 3) == {2}
        book, _ = apply(book, SettleRequest(("a", 2), 1))
        assert book.begun("a", 3) == frozenset()

    def test_a_person_who_found_out_settles_it(self) -> None:
        book, _ = apply(Book("p"), reserve(10), UnknownRequest(("a", 1), NOW))
        book = settle_by_hand(book, ("a", 1), from_micros(3), START)
        assert (book.used(TOTAL), book.entries) == (3, {})

    @pytest.mark.parametrize("key", [("a", 1), ("a", 2)])
    def test_nobody_settles_by_hand_what_is_under_way_or_settled(self, key: Key) -> None:
        book, _ = apply(Book("p"), reserve(10))
        with pytest.raises(NotUnknownError, match=r"under way|nothing reserved"):
            settle_by_hand(book, key, from_micros(3), START)

    def test_a_lowered_limit_blocks_new_work_and_kills_nothing(self) -> None:
        book, _ = apply(Book("p"), reserve(10, "a", 6))
        book, (refused,) = apply(book, reserve(5, "b", 1))
        assert refused.refusal == "BudgetExceeded"
        assert ("a", 1) in book.entries

    def test_a_new_budget_counts_what_is_under_way(self) -> None:
        book, _ = apply(Book("p"), reserve(10, "a", 6))
        aer = Series("USD", "Backend", "aer", LIFETIME)
        book, (refused,) = apply(book, ReserveRequest(entry("b", 5), (claim(10, aer),)))
        assert refused.refusal == "BudgetExceeded"
        book, _ = apply(book, SettleRequest(("a", 1), 6))
        assert book.accounts[aer][0].committed == 6

    def test_a_charge_belongs_to_the_period_of_its_reservation(self) -> None:
        days = Series("USD", "Policy", "", "Day UTC")
        today = claim(10, days, start=NOW, end=NOW + DAY, since=NOW, until=NOW + 2 * DAY)
        tomorrow = claim(10, days, start=NOW + DAY, end=NOW + 2 * DAY, since=NOW + DAY, until=NOW + 3 * DAY)
        book, _ = apply(Book("p"), ReserveRequest(entry("a", 6), (today,)))
        book, (answer, _) = apply(
            book, ReserveRequest(entry("b", 9, time=NOW + DAY), (tomorrow,)), SettleRequest(("a", 1), 6)
        )
        assert answer.entry is not None
        assert [account.committed for account in book.accounts[days].values()] == [6, 0]

    def test_periods_that_roll_count_together(self) -> None:
        hours = Series("USD", "Policy", "", "Rolling 7200")
        first = claim(10, hours, start=NOW, end=NOW + 3600, since=NOW - 3600)
        second = claim(10, hours, start=NOW + 3600, end=NOW + 7200, since=NOW)
        third = claim(10, hours, start=NOW + 7200, end=NOW + 10_800, since=NOW + 3600)
        _, (_, refused, granted) = apply(
            Book("p"),
            ReserveRequest(entry("a", 6), (first,)),
            ReserveRequest(entry("b", 6, time=NOW + 3600), (second,)),
            ReserveRequest(entry("c", 6, time=NOW + 7200), (third,)),
        )
        assert refused.refusal == "BudgetExceeded"
        assert granted.entry is not None

    def test_past_periods_are_forgotten_when_nothing_is_to_be_charged_to_them(self) -> None:
        days = Series("USD", "Policy", "", "Day UTC")
        past = claim(10, days, start=NOW - 2 * DAY, end=NOW - DAY, since=NOW - 2 * DAY, until=NOW)
        book, _ = apply(Book("p"), ReserveRequest(entry("a", 6, time=NOW - 2 * DAY), (past,)))
        book, _ = apply(book)
        assert days in book.accounts
        book, _ = apply(book, SettleRequest(("a", 1), 6))
        book, _ = apply(book)
        assert days not in book.accounts
        assert book.used(TOTAL) == 6

    def test_an_alert_is_given_once(self) -> None:
        book, _ = apply(Book("p"), reserve(10))
        asked = AlertRequest(TOTAL, 0, "all 80% of 10")
        book, (first, second) = apply(book, asked, asked)
        assert (first.done, second.done) == (True, False)
        assert load(dump(Written(book=book))).book == book

    def test_open_entries_are_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ledger, "MAX_OPEN_ENTRIES", 1)
        _, (_, refused, again) = apply(Book("p"), reserve(10, "a"), reserve(10, "b"), reserve(10, "a"))
        assert refused.refusal == "LedgerFull"
        assert "until one of them ends" in refused.message
        assert again.entry is not None

    def test_a_full_book_charges_the_oldest_unknown_to_make_room(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ledger, "MAX_OPEN_ENTRIES", 2)
        asked = reserve(20, "a"), reserve(20, "b"), UnknownRequest(("a", 1), NOW + 9), UnknownRequest(("b", 1), NOW + 5)
        book, (*_, third) = apply(Book("p"), *asked, reserve(20, "c"))
        assert third.entry is not None
        assert book.entries.keys() == {("a", 1), ("c", 1)}
        assert book.used(TOTAL) == 12

    def test_accounts_are_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ledger, "MAX_ACCOUNTS", 1)
        spaces = Series("USD", "Namespace", "default", LIFETIME)
        _, (_, refused) = apply(Book("p"), reserve(10), ReserveRequest(entry("b"), (claim(9, spaces),)))
        assert refused.refusal == "LedgerFull"


class TestDocument:
    def test_a_full_book_fits_into_a_config_map(self, monkeypatch: pytest.MonkeyPatch) -> None:
        requests = [
            ReserveRequest(
                entry(f"{n:036}", 10**15, namespace="n" * 63, backend="b" * 63, job="j" * 253), (claim(10**18),)
            )
            for n in range(ledger.MAX_OPEN_ENTRIES)
        ]
        book, _ = apply(Book("p" * 253), *requests)
        text = dump(Written(book=book, epoch=10**6, writer="w" * 32))
        assert len(book.entries) == ledger.MAX_OPEN_ENTRIES
        assert len(text) < 700_000

    def test_a_book_never_outgrows_a_config_map_and_still_settles(self) -> None:
        """Long names, all backends with breakers and latencies, and more jobs than there is room for."""
        book, backends = Book("p" * 253), [f"{number:063}" for number in range(64)]
        for batch in range(40):
            requests: list[Request] = []
            for number in range(batch * 100, batch * 100 + 100):
                backend, key = backends[number % 64], (f"{number:036}", 1)
                space = Series("USD", "Namespace", f"{number % 40:063}", f"Rolling {number}")
                held = entry(key[0], 10**15, namespace=space.value, backend=backend, job="j" * 253)
                requests += [
                    ReserveRequest(held, (claim(10**18, space),)),
                    ReportRequest(key, backend, space.value, NOW * 1000, True, CircuitBreakerSpec()),
                    DurationRequest(backend, Sample(NOW * 1000, 10**6, 10**6), LatencySpec()),
                ]
            size = len(dump(Written(book=book, writer="w" * 32)))
            book, answers = book.apply(requests, START, MAX_BYTES - size)
        assert answers[0].refusal == "LedgerFull"
        assert len(book.entries) > 500
        assert 900_000 < len(dump(Written(book=book, writer="w" * 32))) < 2**20
        key = next(iter(book.entries))
        book, (settled,) = book.apply([SettleRequest(key, 1)], START, 0)
        assert settled.done

    @pytest.mark.parametrize(
        ("text", "must"),
        [
            ('{"schemaVersion": 1, "policy": "p"}', "schema version 1.*reads 2"),
            ('{"policy": "p"}', "damaged, at schemaVersion"),
            ("", "damaged"),
            ('{"schemaVersion": 2, "policy": "p", "series": [], "entries": [], "more": 1}', "damaged, at more"),
            ('{"schemaVersion": 2, "policy": "p", "series": [], "entries": [{"micros": -1}]}', "damaged, at entries"),
        ],
    )
    def test_what_cannot_be_read_is_never_guessed(self, text: str, must: str) -> None:
        with pytest.raises(LedgerDocumentError, match=must):
            load(text)


UIDS = ["a", "b", "c", "d"]
SPACES = ["one", "two"]
LIMITS = {"": 20, "one": 9, "two": 12}


class BookMachine(RuleBasedStateMachine):
    """Batches of requests, with answers that get lost and are asked for again, and restarts in between. The model is
    a list of everything that ever happened, summed up anew each time."""

    @initialize()
    def start(self) -> None:
        self.book = Book("p")
        self.charged: list[tuple[str, int]] = []
        """Namespace and micros of everything that was settled."""
        self.open: dict[Key, tuple[str, int]] = {}
        self.overrun = 0

    def model_used(self, namespace: str) -> int:
        everything = [*self.charged, *self.open.values()]
        return sum(micros for space, micros in everything if namespace in ("", space))

    @rule(
        data=st.lists(
            st.tuples(
                st.sampled_from(["reserve", "reserve", "settle", "submit", "unknown"]),
                st.sampled_from(UIDS),
                st.integers(1, 2),
                st.sampled_from(SPACES),
                st.integers(0, 8),
            ),
            max_size=8,
        ),
        outcome=st.sampled_from(["written", "answer lost", "write lost"]),
    )
    def batch(self, data: list[tuple[str, str, int, str, int]], outcome: str) -> None:
        requests = [self.request(*drawn) for drawn in data]
        after, answers = self.book.apply(requests, START)
        if outcome == "write lost":
            after, answers = self.book.apply(requests, START)
        for request, answer in zip(requests, answers, strict=True):
            self.model(request, answer)
        self.book = after
        if outcome == "answer lost":
            again, repeated = self.book.apply([r for r in requests if not isinstance(r, SettleRequest)], START)
            for request, answer in zip(
                (r for r in requests if not isinstance(r, SettleRequest)), repeated, strict=True
            ):
                self.model(request, answer)
            self.book = again

    def request(self, kind: str, uid: str, attempt: int, space: str, micros: int) -> Request:
        key = (uid, attempt)
        match kind:
            case "reserve":
                series = Series("USD", "Namespace", space, LIFETIME)
                claims = (claim(LIMITS[""]), claim(LIMITS[space], series))
                return ReserveRequest(entry(uid, micros, attempt=attempt, namespace=space), claims)
            case "settle":
                return SettleRequest(key, micros)
            case "submit":
                return SubmitRequest(key)
            case _:
                return UnknownRequest(key, NOW)

    def model(self, request: Request, answer: Answer) -> None:
        match request:
            case ReserveRequest(entry=wanted):
                if wanted.key in self.open:
                    assert answer.entry is not None
                    assert (answer.entry.namespace, answer.entry.micros) == self.open[wanted.key]
                    return
                fits = all(self.model_used(space) + wanted.micros <= LIMITS[space] for space in ("", wanted.namespace))
                assert (answer.entry is not None) == fits
                if fits:
                    self.open[wanted.key] = (wanted.namespace, wanted.micros)
            case SettleRequest(key=key, micros=micros):
                assert answer.done == (key in self.open)
                if key in self.open:
                    space, reserved = self.open.pop(key)
                    self.overrun += max(0, micros - reserved)
                    self.charged.append((space, micros))
            case _:
                pass

    @rule()
    def restart(self) -> None:
        self.book = load(dump(Written(book=self.book))).book

    @invariant()
    def agrees_with_the_model_and_never_overspends(self) -> None:
        assert self.book.used(TOTAL) == self.model_used("")
        assert self.book.used(TOTAL) <= LIMITS[""] + self.overrun
        for space in SPACES:
            series = Series("USD", "Namespace", space, LIFETIME)
            if series in self.book.accounts:
                assert self.book.used(series) == self.model_used(space)
                assert self.book.used(series) <= LIMITS[space] + self.overrun
        assert {key: (e.namespace, e.micros) for key, e in self.book.entries.items()} == self.open


TestBookMachine = BookMachine.TestCase
TestBookMachine.settings = settings(max_examples=200, stateful_step_count=20, deadline=None)


def test_amounts_are_never_rounded_in_silence() -> None:
    assert from_micros(to_micros(Decimal("0.000425"))) == Decimal("0.000425")
    with pytest.raises(ValueError, match="6 fraction digits"):
        to_micros(Decimal("0.0000001"))
