"""A policy that has become invalid: nothing paid starts under it, what runs is settled, no job goes elsewhere."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.cluster.cache import Cache
from hybridjob.cluster.inputs import find_policy
from hybridjob.contract.verdict import Usage
from hybridjob.engine.actions import Decision, KeepReserved, Reserve, Settle, StartAttempt
from hybridjob.engine.decide import decide
from hybridjob.engine.facts import AttemptFacts, Facts, ReservationFacts
from hybridjob.engine.policies import stand_in
from support.build import START, after, backend, job, policy, priced, verdict
from support.driver import Driver

PAID = policy(backend(rateCard=priced("0.001")), budgets=[{"name": "all", "limit": "2", "currency": "USD"}])
GONE = stand_in("policy")
WRONG = "policy policy is invalid: spec.windows[0].timeZone: must be a time zone"
GRANTED = ReservationFacts(1, "aer", Decimal("1.024"), True)
START_CLASSICAL = StartAttempt(2, "Classical", "classical")


class Drive(Driver):
    """A job under a policy that is valid until it is not."""

    def __init__(self, **spec: Any) -> None:
        super().__init__(job(**spec), PAID)
        self.missing = ""

    def turns_invalid(self) -> None:
        self.policy, self.missing = GONE, WRONG

    def at(self, seconds: float, attempt: AttemptFacts | None = None, **more: Any) -> Decision:
        return self.decide(seconds, Facts({1: attempt} if attempt else {}, policy_missing=self.missing or None, **more))


class TestJobsUnderIt:
    def runs(self, **spec: Any) -> Drive:
        drive = Drive(**spec)
        assert any(isinstance(action, Reserve) for action in drive.at(0).actions)
        assert drive.at(0, reservation=GRANTED).actions == (StartAttempt(1, "Quantum", "aer"),)
        drive.at(1, AttemptFacts(after(1)))
        drive.turns_invalid()
        return drive

    def test_what_runs_ends_with_its_answer_and_is_charged_by_its_own_rate_card(self) -> None:
        drive = self.runs()
        assert drive.at(2, AttemptFacts(after(1))).actions == ()
        usage = Usage(tasks=1, shots=1024, seconds=1.0)
        ended = drive.at(9, AttemptFacts(after(1), after(9), 0, verdict(usage=usage)))
        assert ended.actions == (Settle(1, Decimal("1.024")),)
        assert (drive.status.state, drive.status.route) == ("Succeeded", "Quantum")

    def test_what_fails_is_not_repeated_and_falls_back_with_what_is_wrong(self) -> None:
        drive = self.runs()
        failed = AttemptFacts(after(1), after(2), 70, verdict(1, 70, usage=Usage()))
        assert Settle(1, Decimal(0)) in drive.at(2, failed).actions
        decision = drive.at(4, failed)
        assert decision.actions == (START_CLASSICAL,)
        assert drive.status.fallback is not None
        assert drive.status.fallback.reason == "BackendUnavailable"
        assert drive.status.fallback.message == WRONG

    def test_the_message_is_about_the_policy_also_where_the_job_names_its_backend(self) -> None:
        drive = self.runs(quantum={"backends": ["aer"]})
        failed = AttemptFacts(after(1), after(2), 70, verdict(1, 70, usage=Usage()))
        drive.at(2, failed)
        drive.at(4, failed)
        assert drive.status.fallback is not None
        assert drive.status.fallback.message == f"aer: {WRONG}"

    def test_money_of_what_is_gone_and_had_begun_stays_reserved(self) -> None:
        drive = self.runs()
        assert drive.at(2).actions[0] == KeepReserved(1, after(2) + timedelta(hours=1))

    def test_an_attempt_that_is_not_there_yet_is_not_started_on_another_solver(self) -> None:
        """Its solver's Job was deleted before it ran: started anew it would be the classical one, in the name of a
        backend that nobody knows any more."""
        drive = Drive()
        drive.at(0)
        drive.at(0, reservation=GRANTED)
        drive.turns_invalid()
        assert drive.at(2).actions == (Settle(1, Decimal(0)), START_CLASSICAL)
        lost = drive.status.attempts[0]
        assert (lost.state, lost.reason, lost.cost) == ("Failed", "BackendUnavailable", 0)
        assert WRONG in lost.message

    def test_a_backend_that_a_valid_policy_has_dropped_is_no_different(self) -> None:
        drive = Drive()
        drive.at(0)
        drive.at(0, reservation=GRANTED)
        drive.policy = policy(backend("other"))
        assert drive.at(2).actions == (Settle(1, Decimal(0)), StartAttempt(2, "Quantum", "other"))
        assert "policy policy has no backend named aer any more" in drive.status.attempts[0].message

    def test_a_job_that_has_not_begun_waits_gives_back_its_money_and_goes_on_when_it_is_mended(self) -> None:
        drive = Drive()
        drive.at(0)
        drive.turns_invalid()
        assert drive.at(1, reservation=GRANTED).actions == (Settle(1, Decimal(0)),)
        assert (drive.status.state, drive.status.message) == ("Pending", WRONG)
        drive.policy, drive.missing = PAID, ""
        assert any(isinstance(action, Reserve) for action in drive.at(2).actions)

    def test_it_does_not_wait_for_ever(self) -> None:
        drive = Drive()
        drive.turns_invalid()
        assert drive.at(0).wake_time == after(600)
        drive.at(600)
        assert (drive.status.state, drive.status.reason, drive.status.message) == ("Failed", "PolicyNotFound", WRONG)

    def test_a_job_that_was_held_for_money_waits_for_the_policy(self) -> None:
        drive = Drive()
        hold = {"onExceeded": "Hold", "holdSeconds": 60}
        budget = {"name": "all", "limit": "1.5", "currency": "USD"}
        drive.policy = policy(backend(rateCard=priced("0.001")), budgets=[budget | hold])
        refused = ReservationFacts(1, "aer", Decimal("1.024"), False, "no room", "BudgetExceeded", ("all",))
        drive.at(0, reservation=refused)
        assert drive.status.state == "Held"
        drive.turns_invalid()
        drive.at(1)
        assert drive.status.message == WRONG


def cache(*policies: dict[str, Any]) -> Cache:
    known = Cache(lambda _: None)
    for number, raw in enumerate(policies, start=1):
        raw["metadata"] |= {"resourceVersion": str(number), "uid": f"uid-{number}"}
        known.put_policy(raw)
    known.put_namespace({"metadata": {"name": "default", "labels": {"team": "a"}}})
    return known


def stored(name: str, *, invalid: bool = False, **spec: Any) -> dict[str, Any]:
    """A policy as the API server has it; invalid ones name a time zone that does not exist."""
    windows = [{"name": "nights", "timeZone": "Europe/Berlyn", "from": "22:00", "until": "06:00"}] if invalid else []
    return {
        "apiVersion": "hybridjob.dev/v1alpha1",
        "kind": "QuantumBackendPolicy",
        "metadata": {"name": name},
        "spec": {"backends": [backend()], "windows": windows} | spec,
    }


def held_to(known: Cache, spec: HybridJob | None = None) -> tuple[QuantumBackendPolicy, str | None]:
    return find_policy(spec or job(), known)


TEAM_A, TEAM_B = ({"matchLabels": {"team": team}} for team in "ab")


class TestChoice:
    def test_a_job_that_names_it_is_told_what_is_wrong(self) -> None:
        held, missing = held_to(cache(stored("p", invalid=True)), job(policyName="p"))
        assert missing is not None
        assert missing.startswith("policy p is invalid: spec.windows[0].timeZone: must be a time zone of the IANA")
        assert (held.metadata.name, held.spec.backends) == ("p", [])

    def test_the_jobs_of_an_invalid_default_do_not_go_to_another_policy(self) -> None:
        known = cache(stored("valid"), stored("fallen", invalid=True, default=True))
        held, missing = held_to(known)
        assert held.metadata.name == "fallen"
        assert missing is not None

    def test_where_several_select_it_and_none_is_the_default_nobody_guesses(self) -> None:
        held, missing = held_to(cache(stored("valid"), stored("fallen", invalid=True)))
        assert held.metadata.name == "none"
        assert missing is not None
        assert "exactly one must select it" in missing

    def test_an_invalid_policy_of_other_namespaces_is_nothing_to_a_job(self) -> None:
        known = cache(
            stored("ours", namespaceSelector=TEAM_A), stored("theirs", invalid=True, namespaceSelector=TEAM_B)
        )
        held, missing = held_to(known)
        assert (held.metadata.name, missing) == ("ours", None)

    @pytest.mark.parametrize("spec", [{"namespaceSelector": 7}, {"default": "yes"}])
    def test_one_that_does_not_even_say_whom_it_is_for_stops_nobody(self, spec: dict[str, Any]) -> None:
        held, missing = held_to(cache(stored("ours"), stored("broken", **spec)))
        assert (held.metadata.name, missing) == ("ours", None)

    def test_a_job_that_has_begun_stays_with_its_policy(self) -> None:
        status = decide(job(), policy(), Facts(), START).status
        for known, wrong in ((cache(), "policy policy is gone"), (cache(stored("policy", invalid=True)), "is invalid")):
            held, missing = held_to(known, job(status))
            assert (held.metadata.name, held.spec.backends) == ("policy", [])
            assert missing is not None
            assert wrong in missing


class TestStatus:
    """Or the operator would write it anew every few seconds, with another time of the transition."""

    def test_what_was_written_of_an_invalid_policy_is_read_again(self) -> None:
        status = {
            "conditions": [
                {
                    "type": "Ready",
                    "status": "False",
                    "reason": "Invalid",
                    "message": "m",
                    "lastTransitionTime": "2026-01-31T12:00:00Z",
                }
            ],
            "openReservations": 3,
        }
        record = cache(stored("p", invalid=True) | {"status": status}).policies["p"]
        assert record.status is not None
        assert record.status.open_reservations == 3
        assert record.status.conditions[0].last_transition_time == START

    @pytest.mark.parametrize("status", [{}, {"status": {"unheardOf": 1}}])
    def test_what_cannot_be_read_is_written_anew(self, status: dict[str, Any]) -> None:
        raw = json.loads(json.dumps(stored("p", invalid=True) | status))
        assert cache(raw).policies["p"].status is None
