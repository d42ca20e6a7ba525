"""The audit finds each way in which a book and the jobs can disagree, and nothing where they agree."""

from decimal import Decimal
from typing import Any

import pytest

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.rates import RateCard
from hybridjob.api.status import AttemptStatus, HybridJobStatus
from hybridjob.engine import reservations
from hybridjob.engine.audit import audit
from hybridjob.engine.ledger import Book
from hybridjob.engine.ledger_requests import SettleRequest
from support.build import START, job_of, priced, reserve

CARD = RateCard.model_validate(priced("0.001"))


def attempt(state: str = "Running", **fields: Any) -> AttemptStatus:
    facts: dict[str, Any] = {"number": 1, "reserved": Decimal(4), "rate_card": CARD, "route": "Quantum"}
    return AttemptStatus(state=state, backend="aer", created_time=START, **(facts | fields))  # type: ignore[arg-type]


def having(*attempts: AttemptStatus, **status: Any) -> HybridJob:
    return job_of("a").model_copy(update={"status": HybridJobStatus(attempts=list(attempts), **status)})


def held() -> Book:
    return Book("p").apply([reservations.request(job_of("a"), reserve("4"))], START)[0]


def charged(micros: int) -> Book:
    return held().apply([SettleRequest(("a", 1), micros)], START)[0]


ENDED = attempt("Succeeded", cost=Decimal(3))


@pytest.mark.parametrize(
    ("book", "jobs"),
    [
        (Book("p"), []),
        (held(), [job_of("a")]),
        (held(), [having(attempt())]),
        (charged(3_000_000), [having(ENDED)]),
    ],
)
def test_they_agree(book: Book, jobs: list[HybridJob]) -> None:
    assert audit(book, jobs, complete=True) == []


@pytest.mark.parametrize(
    ("book", "jobs", "message", "repair"),
    [
        (held(), [], "the job is gone", 4_000_000),
        (held(), [having(ENDED)], "it has ended and cost 3 USD", 3_000_000),
        (held(), [having(state="Failed", completion_time=START)], "there is no such attempt", 0),
        (held(), [having(attempt(reserved=Decimal(5)))], "the job says 5 USD", None),
        (Book("p"), [having(attempt())], "the 4 USD that it says are held for it are not", None),
        (charged(2_000_000), [having(ENDED)], "2 USD are charged, and the jobs' attempts cost 3 USD", None),
        (charged(4_000_000), [having(ENDED)], "4 USD are charged, and the jobs' attempts cost 3 USD", None),
    ],
)
def test_they_disagree(book: Book, jobs: list[HybridJob], message: str, repair: int | None) -> None:
    (finding,) = audit(book, jobs, complete=True)
    assert message in finding.message
    assert finding.repair == (None if repair is None else SettleRequest(("a", 1), repair))


def test_where_jobs_may_have_been_deleted_charges_without_a_job_are_right() -> None:
    assert audit(charged(4_000_000), [having(ENDED)], complete=False) == []
