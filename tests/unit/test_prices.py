"""Prices: the public price lists, with totals that were computed by hand."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.rates import RateCard
from hybridjob.api.status import AttemptStatus, Route
from hybridjob.contract.verdict import GateShots, Usage
from hybridjob.engine.decide import decide
from hybridjob.engine.facts import AttemptFacts, Facts
from hybridjob.engine.outcomes import end_attempt
from hybridjob.engine.pricing import (
    Estimate,
    PriceUnknownError,
    Workload,
    charge,
    classical_workload,
    estimate,
    qaoa_gate_shots,
    round_up,
    workload,
)
from support.build import START, after, backend, job, policy, priced, verdict


def card(**fields: object) -> RateCard:
    return RateCard.model_validate(fields)


def running(route: Route, reserved: str, rates: RateCard) -> AttemptStatus:
    """A paid attempt under way."""
    return AttemptStatus(
        number=1,
        route=route,
        backend="q",
        state="Running",
        created_time=START,
        reserved=Decimal(reserved),
        rate_card=rates,
    )


def most(rates: RateCard, spec: HybridJob, problem_size: int | None = None) -> Decimal:
    return estimate(rates, workload(spec.spec, problem_size), START).maximum


@pytest.mark.parametrize(
    ("per_task", "per_shot", "shots", "total"),
    [
        # Amazon Braket's public list: per task and per shot, USD.
        ("0.30", "0.08000", 1000, "80.3"),  # IonQ Forte
        ("0.30", "0.02350", 200, "5"),  # AQT IBEX-Q1
        ("0.30", "0.01000", 100, "1.3"),  # QuEra Aquila
        ("0.30", "0.00160", 1000, "1.9"),  # IQM Emerald
        ("0.30", "0.00145", 1024, "1.7848"),  # IQM Garnet
        ("0.30", "0.00090", 2000, "2.1"),  # Rigetti Ankaa-3
        ("0.30", "0.000425", 4096, "2.0408"),  # Rigetti Cepheus-1-108Q
    ],
)
def test_per_task_and_per_shot(per_task: str, per_shot: str, shots: int, total: str) -> None:
    rates = card(**priced(per_shot, per_task))
    assert most(rates, job(quantum={"shots": shots})) == Decimal(total)
    assert charge(rates, Usage(tasks=1, shots=shots, seconds=9.0)) == Decimal(total)


def test_per_second_is_estimated_by_the_deadline() -> None:
    """IBM's pay-as-you-go: 1.60 USD a second."""
    per_second = card(formula="PerSecond", currency="USD", perSecond="1.60")
    assert most(per_second, job(limits={"activeDeadlineSeconds": 120})) == Decimal("192")
    assert charge(per_second, Usage(seconds=3.25)) == Decimal("5.2")


@pytest.mark.parametrize(
    ("per_hour", "seconds", "total"),
    [
        # Amazon Braket's reservations, USD an hour, charged by the second.
        ("7000", 900, "1750"),  # IonQ Forte
        ("4800", 3600, "4800"),  # AQT IBEX-Q1
        ("4000", 1, "1.111112"),  # IQM Emerald
        ("3000", 7, "5.833334"),  # IQM Garnet
        ("5750", 60, "95.833334"),  # Rigetti Ankaa-3
        ("4100", 60, "68.333334"),  # Rigetti Cepheus-1-108Q
    ],
)
def test_per_hour(per_hour: str, seconds: int, total: str) -> None:
    rates = card(formula="PerHour", currency="USD", perHour=per_hour)
    assert most(rates, job(limits={"activeDeadlineSeconds": seconds})) == Decimal(total)
    assert charge(rates, Usage(seconds=float(seconds))) == Decimal(total)


FOUR = {"type": "MaxCut", "inline": {"nodes": 4, "edges": [[0, 1, 1.0]]}}


def test_the_gates_of_qaoa() -> None:
    """Four qubits have six pairs: 4 H, then in each layer 6 × (CX, RZ, CX), 4 RZ and 4 RX."""
    assert qaoa_gate_shots(4, 1, 1) == GateShots(one_qubit=18, two_qubit=12, preparations=4, measurements=4)
    assert qaoa_gate_shots(4, 3, 10) == GateShots(one_qubit=460, two_qubit=360, preparations=40, measurements=40)


IONQ_ON_AZURE = {
    "formula": "GateShots",
    "currency": "AQT",
    "perTask": "12.4166",
    "perOneQubitGateShot": "0.000220",
    "perTwoQubitGateShot": "0.000975",
}
QUANTINUUM = {"formula": "HQC", "currency": "HQC", "perHqc": "1"}


def test_gate_shots() -> None:
    """IonQ on Azure, in its tokens: m + 0.000220 N1q C + 0.000975 N2q C; here 12.4166 + 0.396 + 1.17."""
    spec = job(problem=FOUR, quantum={"shots": 100, "layers": 1})
    assert most(card(**IONQ_ON_AZURE), spec, 4) == Decimal("13.9826")
    mitigated = card(**IONQ_ON_AZURE | {"perTask": "97.5"})
    assert most(mitigated, spec, 4) == Decimal("99.066")


def test_quantinuums_credits() -> None:
    """5 + C (N1q + 10 N2q + 5 Nm) / 5000, and of four qubits Nm counts preparation and measurement:
    5 + 1000 × (18 + 120 + 40) / 5000 = 40.6."""
    spec = job(problem=FOUR, quantum={"shots": 1000, "layers": 1})
    assert most(card(**QUANTINUUM), spec, 4) == Decimal("40.6")
    assert most(card(formula="HQC", currency="USD", perHqc="12.5"), spec, 4) == Decimal("507.5")


def test_gates_are_charged_as_they_ran() -> None:
    ran = GateShots(one_qubit=3000, two_qubit=2000, preparations=500, measurements=501)
    usage = Usage(tasks=2, shots=500, gate_shots=ran)
    assert charge(card(**IONQ_ON_AZURE), usage) == Decimal("27.4432")  # 2 × 12.4166 + 0.66 + 1.95
    assert charge(card(**QUANTINUUM), usage) == Decimal("15.601")  # 2 × 5 + (3000 + 20000 + 5005) / 5000
    one = Usage(tasks=1, shots=1, gate_shots=GateShots(one_qubit=1))
    assert charge(card(formula="HQC", currency="USD", perHqc="0.001"), one) == Decimal("0.005001"), "rounded up"


@pytest.mark.parametrize(
    "rates",
    [
        IONQ_ON_AZURE,
        QUANTINUUM,
    ],
)
def test_without_the_gates_the_price_is_unknown_and_never_zero(rates: dict[str, Any]) -> None:
    with pytest.raises(PriceUnknownError, match="needs the gates"):
        most(card(**rates), job(), None)
    assert charge(card(**rates), Usage(tasks=1, shots=1)) is None
    ended = end_attempt(running("Quantum", "7", card(**rates)), AttemptFacts(START, after(1), 0, verdict()))
    assert ended.cost is None, "nobody knows what it cost: it stays reserved"


@pytest.mark.parametrize(("exit_code", "cost"), [(-9, Decimal(3)), (None, None)])
def test_time_that_nobody_has_measured_has_no_price(exit_code: int | None, cost: Decimal | None) -> None:
    attempt = running("Classical", "7", card(formula="PerSecond", currency="USD", perSecond="1"))
    assert end_attempt(attempt, AttemptFacts(START, after(3), exit_code)).cost == cost


def test_units_of_a_provider_are_counted_like_money() -> None:
    seconds = card(formula="PerSecond", currency="QPUSeconds", perSecond="1")
    assert most(seconds, job(limits={"activeDeadlineSeconds": 60})) == 60


def test_an_expectation_value_may_need_a_task_for_each_pauli_string() -> None:
    spec = job(
        problem={
            "type": "Expectation",
            "text": "OPENQASM 3.0;",
            "parameters": {"observable": [["ZI", 1.0], ["XX", 0.5], ["YY", 0.5]]},
        },
        quantum={"shots": 100},
    ).spec
    assert (workload(spec).tasks, workload(spec).shots) == (3, 300)


def test_what_is_expected_never_exceeds_what_is_reserved() -> None:
    rates = card(formula="PerSecond", currency="USD", perSecond="2")
    assert estimate(rates, Workload(1, 1, 100, expected_seconds=3.5), START) == Estimate(Decimal(7), Decimal(200))
    assert estimate(rates, Workload(1, 1, 100, expected_seconds=400), START) == Estimate(Decimal(200), Decimal(200))


def test_a_rate_card_holds_from_its_first_instant_until_its_last() -> None:
    dated = card(**priced("1", validFrom="2026-01-31T12:00:05Z", validUntil="2026-01-31T12:00:10Z"))
    work = workload(job().spec)
    with pytest.raises(PriceUnknownError, match="holds from 2026-01-31T12:00:05"):
        estimate(dated, work, after(4.999))
    assert estimate(dated, work, after(5)).maximum > 0
    assert estimate(dated, work, after(9.999)).maximum > 0
    with pytest.raises(PriceUnknownError, match="expired at 2026-01-31T12:00:10"):
        estimate(dated, work, after(10))


def test_an_unknown_price_has_its_own_word_in_the_decision() -> None:
    rules = policy(backend(rateCard=priced("1", validUntil="2026-01-01T00:00:00Z")))
    decision = decide(job(), rules, Facts(), START).status.decision
    assert decision is not None
    assert [option.reason for option in decision.rejected] == ["PriceUnknown"]


@given(st.decimals("0", "1000", places=9))
def test_rounding_is_up_and_by_less_than_a_millionth(amount: Decimal) -> None:
    assert 0 <= round_up(amount) - amount < Decimal("0.000001")


@given(st.decimals("0", "1", places=6), st.decimals("0", "1", places=6), st.integers(0, 1), st.integers(0, 1024))
def test_a_charge_never_exceeds_the_estimate_for_usage_within_the_workload(
    per_task: Decimal, per_shot: Decimal, tasks: int, shots: int
) -> None:
    rates = card(**priced(format(per_shot, "f"), format(per_task, "f")))
    charged = charge(rates, Usage(tasks=tasks, shots=shots))
    assert charged is not None
    assert charged <= most(rates, job())


class TestClassical:
    """The classical solver's time can have a price."""

    @staticmethod
    def rules(limit: str) -> Any:
        built = policy(budgets=[{"name": "all", "limit": limit, "currency": "USD"}])
        rates = card(formula="PerHour", currency="USD", perHour="0.36")
        classical = built.spec.classical.model_copy(update={"rate_card": rates})
        return built.model_copy(update={"spec": built.spec.model_copy(update={"classical": classical})})

    def test_it_is_reserved_by_the_deadline_and_charged_by_the_second(self) -> None:
        spec = job(quantum=None, limits={"activeDeadlineSeconds": 100})
        assert estimate(card(formula="PerHour", currency="USD", perHour="0.36"), classical_workload(spec.spec), START)
        (reserve,) = decide(spec, self.rules("1"), Facts(), START).actions
        assert (reserve.backend, reserve.amount) == ("classical", Decimal("0.01"))  # type: ignore[union-attr]
        attempt = running("Classical", "0.01", card(formula="PerHour", currency="USD", perHour="0.36"))
        ended = end_attempt(attempt, AttemptFacts(START, after(20), 0, verdict(usage=Usage())))
        assert ended.cost == Decimal("0.002")

    def test_without_money_for_it_the_job_fails_and_says_so(self) -> None:
        spec = job(quantum=None, limits={"activeDeadlineSeconds": 100})
        status = decide(spec, self.rules("0.009999"), Facts(), START).status
        assert (status.state, status.reason) == ("Failed", "BudgetExceeded")
        assert "budget all of policy policy has 0.009999 USD left" in status.message
