"""The concerns of the engine, each by itself: acceptance, policies, transitions."""

from itertools import pairwise
from typing import get_args

import pytest

from hybridjob.api.hybridjob import AcceptanceSpec
from hybridjob.api.status import State
from hybridjob.contract.verdict import Answer
from hybridjob.engine.acceptance import why_unacceptable
from hybridjob.engine.decide import retry_delay
from hybridjob.engine.lifecycle import MEANINGS, TERMINAL, TRANSITIONS, is_legal
from hybridjob.engine.policies import NoPolicyError, select_policy
from support.build import backend, job, policy


class TestAcceptance:
    @staticmethod
    def lacks(objective: float, baseline: float | None, wanted: str, sense: str = "Maximize") -> bool:
        answer = Answer.model_validate({"objective": objective, "baseline": baseline, "sense": sense, "feasible": True})
        spec = AcceptanceSpec.model_validate({"minImprovementOverBaseline": wanted})
        return why_unacceptable(answer, spec, "Quantum") is not None

    @pytest.mark.parametrize(
        ("objective", "baseline", "wanted", "sense", "lacking"),
        [
            (10.0, 10.0, "0", "Maximize", False),
            (9.99, 10.0, "0", "Maximize", True),
            (10.5, 10.0, "0.05", "Maximize", False),
            (10.4, 10.0, "0.05", "Maximize", True),
            (9.0, 10.0, "-0.1", "Maximize", False),
            (8.9, 10.0, "-0.1", "Maximize", True),
            (-11.0, -10.0, "0.1", "Minimize", False),
            (-10.5, -10.0, "0.1", "Minimize", True),
            (9.0, 10.0, "0.1", "Minimize", False),
            (-9.0, -10.0, "0", "Maximize", False),
            (0.2, 0.0, "0.1", "Maximize", False),
            (5.0, None, "0", "Maximize", True),
        ],
    )
    def test_improvement_is_relative_and_better_is_positive(
        self, objective: float, baseline: float | None, wanted: str, sense: str, lacking: bool
    ) -> None:
        assert self.lacks(objective, baseline, wanted, sense) is lacking

    def test_rounding_errors_of_the_sum_are_forgiven(self) -> None:
        assert not self.lacks(0.1 + 0.2, 0.3, "0")
        assert not self.lacks(0.3, 0.1 + 0.2, "0")


class TestPolicies:
    def test_the_named_policy_holds(self) -> None:
        assert select_policy(job(policyName="policy"), [policy()]) is not None

    def test_a_name_that_does_not_exist_is_an_error_that_lists_those_that_do(self) -> None:
        with pytest.raises(NoPolicyError, match=r"exists and selects this namespace \(policy\)"):
            select_policy(job(policyName="other"), [policy()])

    def test_the_only_policy_holds_without_a_name(self) -> None:
        only = policy()
        assert select_policy(job(), [only]) is only

    def test_of_several_the_default_holds(self) -> None:
        one, other = policy(), policy()
        default = other.model_copy(update={"spec": other.spec.model_copy(update={"default": True})})
        assert select_policy(job(), [one, default]) is default
        assert select_policy(job(), [one, other]) is None
        with pytest.raises(NoPolicyError, match="marked default"):
            select_policy(job(), [default, default])


class TestTransitions:
    def test_every_state_is_explained_and_reachable(self) -> None:
        states = set(get_args(State))
        assert set(TRANSITIONS) == set(MEANINGS) == states
        assert {target for targets in TRANSITIONS.values() for target in targets} == states

    def test_terminal_states_are_left_by_nothing(self) -> None:
        assert {"Succeeded", "Failed", "Cancelled"} == TERMINAL
        for state in TERMINAL:
            assert not any(is_legal(state, other) for other in TRANSITIONS if other != state)

    def test_every_state_leads_to_an_end(self) -> None:
        for state in TRANSITIONS.keys() - TERMINAL:
            assert TRANSITIONS[state] & TERMINAL


def test_retries_wait_longer_each_time_up_to_a_limit() -> None:
    delays = [retry_delay(failures).total_seconds() for failures in range(1, 12)]
    assert delays[:3] == [1, 2, 4]
    assert all(earlier <= later <= 30 for earlier, later in pairwise(delays))


def test_a_backend_may_not_take_the_name_of_the_classical_route() -> None:
    with pytest.raises(ValueError, match="names the classical route"):
        policy(backend("classical"))
