"""Who is woken when there may be room again: when, how many, and in which order."""

from datetime import datetime
from decimal import Decimal

import pytest

from hybridjob.api.breaker import CircuitBreakerSpec
from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.status import HoldStatus, HybridJobStatus, WaitingStatus
from hybridjob.engine import reservations
from hybridjob.engine.accounts import to_micros
from hybridjob.engine.breaker import ProbeRequest, ReleaseRequest, ReportRequest
from hybridjob.engine.held_jobs import AT_ONCE, ROUND, HeldJobs, gives_room
from hybridjob.engine.instants import millis
from hybridjob.engine.ledger import Book
from hybridjob.engine.ledger_requests import Request, SettleRequest
from support.build import START, after, job, job_of, reserve

RULES = CircuitBreakerSpec(consecutive_failures=1, open_seconds=10)


def held(uid: str, since: float = 0, namespace: str = "default") -> HybridJob:
    status = HoldStatus(budgets=["all"], since_time=after(since), until_time=after(3600))
    return _waiting(uid, namespace, HybridJobStatus(state="Held", hold=status))


def closed(uid: str, namespace: str = "default") -> HybridJob:
    """A job that waits for a window."""
    return _waiting(uid, namespace, HybridJobStatus(state="Held", waiting=WaitingStatus(reason="WindowClosed")))


def _waiting(uid: str, namespace: str, status: HybridJobStatus) -> HybridJob:
    made = job_of(uid)
    metadata = made.metadata.model_copy(update={"namespace": namespace})
    return made.model_copy(update={"metadata": metadata, "status": status})


class Line:
    """Held jobs of one policy, and who was woken when."""

    def __init__(self, *jobs: HybridJob) -> None:
        self.woken: list[tuple[str, datetime]] = []
        self.jobs = HeldJobs(lambda uid, time: self.woken.append((uid, time)))
        for made in jobs:
            self.jobs.put("policy", made, START)

    def room(self, seconds: float) -> None:
        self.jobs.room("policy", after(seconds))

    @property
    def uids(self) -> list[str]:
        return [uid for uid, _ in self.woken]


class TestRounds:
    def test_whoever_waits_is_woken_at_once(self) -> None:
        line = Line(held("a"))
        line.room(5)
        assert line.woken == [("a", after(5))]

    def test_whoever_does_not_wait_is_not(self) -> None:
        line = Line(held("a"), held("b"))
        line.jobs.put("policy", job(HybridJobStatus(state="Running")), START)
        line.jobs.remove("a")
        line.room(5)
        assert line.uids == ["b"]

    def test_another_policys_jobs_are_left_alone(self) -> None:
        line = Line(held("a"))
        line.jobs.room("other", START)
        assert line.woken == []

    def test_a_hundred_settlements_at_once_are_two_rounds(self) -> None:
        line = Line(held("a"))
        for number in range(100):
            line.room(number / 1000)
        assert line.woken == [("a", after(0)), ("a", START + ROUND)]

    def test_of_a_thousand_jobs_a_bounded_number_looks_in_a_second(self) -> None:
        line = Line(*(held(f"{number:04}", since=number) for number in range(1000)))
        for tenth in range(30):
            line.room(tenth / 10)
        assert len(line.woken) <= 4 * AT_ONCE
        assert line.uids[:AT_ONCE] == [f"{number:04}" for number in range(AT_ONCE)]

    def test_when_one_has_got_its_money_more_of_them_look(self) -> None:
        line = Line(held("a"), held("b"))
        line.room(0)
        line.jobs.put("policy", job_of("a"), after(0.1))
        assert line.woken[2:] == [("b", START + ROUND)]

    def test_a_clock_that_is_set_back_stops_nothing(self) -> None:
        line = Line(held("a"))
        line.room(7200)
        line.room(0)
        assert line.woken[-1] == ("a", START)


class TestOrder:
    def test_each_namespace_in_turn_and_in_it_the_one_that_has_waited_longest(self) -> None:
        line = Line(held("a1", 1, "a"), held("a3", 3, "a"), held("a2", 2, "a"), held("b1", 9, "b"), held("b2", 10, "b"))
        line.room(20)
        assert line.uids == ["a1", "b1", "a2", "b2", "a3"]

    def test_those_that_wait_for_money_come_first(self) -> None:
        line = Line(*(closed(f"c{number}") for number in range(AT_ONCE)), held("late", 100))
        line.room(200)
        assert line.uids[0] == "late"
        assert len(line.uids) == AT_ONCE


class TestRoom:
    """What of a book's changes is worth waking anybody."""

    def changes(self, book: Book, *requests: Request, seconds: float = 0) -> tuple[Book, bool]:
        after_, _ = book.apply(requests, after(seconds))
        return after_, gives_room(book, after_)

    @pytest.fixture
    def reserved(self) -> Book:
        book, room = self.changes(Book("policy"), reservations.request(job_of("a"), reserve("1")))
        assert not room
        return book

    @pytest.mark.parametrize(("cost", "room"), [("0", True), ("0.999999", True), ("1", False), ("2", False)])
    def test_an_attempt_that_cost_less_than_was_reserved(self, reserved: Book, cost: str, room: bool) -> None:
        assert self.changes(reserved, SettleRequest(("a", 1), to_micros(Decimal(cost))))[1] is room

    def test_a_settlement_that_another_reservation_uses_up_in_the_same_write(self, reserved: Book) -> None:
        taken = reservations.request(job_of("b"), reserve("1"))
        assert not self.changes(reserved, SettleRequest(("a", 1), 0), taken)[1]

    def test_a_circuit_that_closes_and_a_probe_that_is_given_back(self) -> None:
        fault = ReportRequest(("a", 1), "aer", "team", millis(START), True, RULES)
        opened, room = self.changes(Book("policy"), fault)
        assert not room
        probed, room = self.changes(opened, ProbeRequest(("b", 1), "aer", "team", RULES), seconds=20)
        assert not room
        assert self.changes(probed, ReleaseRequest(("b", 1), "aer"), seconds=21)[1]
        answered = ReportRequest(("b", 1), "aer", "team", millis(after(22)), False, RULES)
        assert self.changes(probed, answered, seconds=22)[1]
        failed = ReportRequest(("b", 1), "aer", "team", millis(after(22)), True, RULES)
        assert not self.changes(probed, failed, seconds=22)[1]
