"""What an attempt is expected to cost: by the time that those before it took, and never more than is reserved."""

from decimal import Decimal
from typing import Any

import pytest

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.api.status import OptionStatus
from hybridjob.engine.actions import Reserve
from hybridjob.engine.decide import decide
from hybridjob.engine.facts import Facts
from hybridjob.engine.instants import millis
from hybridjob.engine.latency import History, Sample
from support.build import START, after, backend, job, policy, priced

IBM = {"formula": "PerSecond", "currency": "USD", "perSecond": "1.60"}
MINUTES = {"limits": {"activeDeadlineSeconds": 120}}
MOST = Decimal("192")


def history(*seconds: float) -> History:
    return tuple(Sample(millis(START) - number, 5000, int(run * 1000)) for number, run in enumerate(seconds))


def learning(rate_card: dict[str, Any] = IBM, **latency: Any) -> QuantumBackendPolicy:
    return policy(backend(rateCard=rate_card), latency=latency)


def costs(rules: QuantumBackendPolicy, *seconds: float) -> tuple[Decimal, Decimal]:
    """What stands in the status as estimated, and what is reserved."""
    decision = decide(job(**MINUTES), rules, Facts(latencies={"aer": history(*seconds)}), START)
    (reserve,) = decision.actions
    assert isinstance(reserve, Reserve)
    assert decision.status.cost is not None
    return decision.status.cost.estimated, reserve.amount


def test_a_price_by_time_is_expected_by_the_mean_of_those_before() -> None:
    assert costs(learning(), *[2.0] * 10, *[4.5] * 10) == (Decimal("5.2"), MOST)


def test_nineteen_attempts_tell_nothing() -> None:
    assert costs(learning(), *[2.0] * 19) == (MOST, MOST)
    assert costs(learning(minimumSamples=19), *[2.0] * 19) == (Decimal("3.2"), MOST)


def test_attempts_that_never_ran_do_not_count() -> None:
    assert costs(learning(), *[2.0] * 19, *[0.0] * 19) == (MOST, MOST)
    assert costs(learning(), *[2.0] * 20, *[0.0] * 19) == (Decimal("3.2"), MOST)


def test_without_a_policy_that_learns_the_most_is_expected() -> None:
    assert costs(policy(backend(rateCard=IBM)), *[2.0] * 30) == (MOST, MOST)


def test_what_is_expected_never_exceeds_what_is_reserved() -> None:
    assert costs(learning(), *[2.0] * 19, 10_000.0) == (MOST, MOST)


def test_other_prices_do_not_depend_on_time() -> None:
    assert costs(learning(priced("0.001")), *[2.0] * 20) == (Decimal("1.024"), Decimal("1.024"))


def test_it_stays_in_the_status_while_the_attempt_runs() -> None:
    facts = Facts(latencies={"aer": history(*[2.0] * 20)})
    waiting = decide(job(**MINUTES), learning(), facts, START).status
    later = decide(job(waiting, **MINUTES, suspend=True), learning(), Facts(), after(1)).status
    assert later.cost is not None
    assert later.cost.estimated == Decimal("3.2")


def chosen_of(spec: HybridJob, rules: QuantumBackendPolicy, facts: Facts) -> OptionStatus:
    decision = decide(spec, rules, facts, START).status.decision
    assert decision is not None
    assert decision.chosen is not None
    return decision.chosen


@pytest.mark.parametrize("measured", [20, 0])
def test_the_decision_has_both(measured: int) -> None:
    facts = Facts(latencies={"aer": history(*[2.0] * measured)})
    chosen = chosen_of(job(**MINUTES), learning(), facts)
    assert (chosen.estimated_cost, chosen.maximum_cost) == (Decimal("3.2") if measured else MOST, MOST)


def test_the_classical_solver_learns_too() -> None:
    built = policy(latency={})
    per_hour = {"formula": "PerHour", "currency": "USD", "perHour": "3.60"}
    classical = built.spec.classical.model_validate({"rateCard": per_hour})
    rules = built.model_copy(update={"spec": built.spec.model_copy(update={"classical": classical})})
    facts = Facts(latencies={"classical": history(*[2.5] * 20)})
    chosen = chosen_of(job(quantum=None, **MINUTES), rules, facts)
    assert (chosen.estimated_cost, chosen.maximum_cost) == (Decimal("0.0025"), Decimal("0.12"))
