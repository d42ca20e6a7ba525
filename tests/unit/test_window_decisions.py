"""Jobs and windows: what waits, what wakes, what falls back, and what is refused."""

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.contract.exit_codes import ExitCode
from hybridjob.engine.actions import Decision, Reserve, Settle, StartAttempt
from hybridjob.engine.facts import AttemptFacts, Facts, ReservationFacts
from hybridjob.engine.windows import window_report
from support import build
from support.build import START, after, backend, job, priced
from support.driver import Driver

HOUR = 3600
LIMITS = {"queueDeadlineSeconds": 4 * HOUR, "completionDeadlineSeconds": 5 * HOUR}


def window(start: str = "15:00", until: str = "18:00", name: str = "open", **fields: Any) -> dict[str, Any]:
    """START is noon in UTC, and 13:00 in Berlin."""
    return {"name": name, "timeZone": "Europe/Berlin", "from": start, "until": until} | fields


def policy(*backends: dict[str, Any], **spec: Any) -> QuantumBackendPolicy:
    """Nobody is spread, unless it says so."""
    return QuantumBackendPolicy.model_validate(
        {
            "apiVersion": "hybridjob.dev/v1alpha1",
            "kind": "QuantumBackendPolicy",
            "metadata": {"name": "policy"},
            "spec": {"backends": list(backends) or [backend()], "spreadSeconds": 0} | spec,
        },
        by_alias=True,
        by_name=False,
    )


class Drive(Driver):
    """Decides again and again, keeping the status."""

    def __init__(self, rules: QuantumBackendPolicy, **spec: Any) -> None:
        super().__init__(job(**({"limits": LIMITS} | spec)), rules)

    def at(self, seconds: float, facts: Facts | None = None) -> Decision:
        return self.decide(seconds, facts or Facts())


class TestWaiting:
    def test_a_job_waits_for_the_next_opening_and_starts_then(self) -> None:
        drive = Drive(policy(windows=[window()]))
        decision = drive.at(0)
        assert decision.actions == ()
        assert decision.wake_time == after(2 * HOUR)
        assert drive.status.state == "Held"
        assert drive.status.waiting is not None
        assert (drive.status.waiting.reason, drive.status.waiting.until_time) == ("WindowClosed", after(2 * HOUR))
        assert drive.status.message == (
            "waits to start: aer: outside window open of policy policy; "
            "opens at 2026-01-31T14:00:00Z (Sat 2026-01-31 15:00 in Europe/Berlin)"
        )
        assert drive.at(HOUR).status == decision.status  # nothing to write
        assert drive.at(2 * HOUR).actions == (StartAttempt(1, "Quantum", "aer"),)
        assert drive.status.state == "Pending"
        assert drive.status.waiting is None

    def test_the_decision_says_why_and_when_it_opens(self) -> None:
        drive = Drive(policy(windows=[window()]))
        drive.at(0)
        assert drive.status.decision is not None
        assert drive.status.decision.chosen is None
        (option,) = drive.status.decision.rejected
        assert (option.backend, option.reason, option.next_open) == ("aer", "WindowClosed", after(2 * HOUR))

    def test_a_job_that_cannot_wait_so_long_falls_back_at_once(self) -> None:
        drive = Drive(policy(windows=[window()]), limits={"queueDeadlineSeconds": 2 * HOUR})
        assert drive.at(0).actions == (StartAttempt(1, "Classical", "classical"),)
        assert drive.status.fallback is not None
        assert drive.status.fallback.reason == "WindowClosed"

    def test_or_fails_where_its_fallback_does_not_allow_it(self) -> None:
        drive = Drive(policy(windows=[window()]), limits={}, fallback={"on": ["SolverFailed"]})
        assert drive.at(0).actions == ()
        assert (drive.status.state, drive.status.reason) == ("Failed", "WindowClosed")

    def test_the_completion_deadline_binds_too(self) -> None:
        drive = Drive(policy(windows=[window()]), limits=LIMITS | {"completionDeadlineSeconds": HOUR})
        assert drive.at(0).actions == (StartAttempt(1, "Classical", "classical"),)

    def test_a_deadline_that_passes_says_what_was_waited_for(self) -> None:
        """The policy moved the opening away, and the operator slept."""
        drive = Drive(policy(windows=[window()]))
        drive.at(0)
        drive.at(4 * HOUR)
        assert drive.status.fallback is not None
        assert drive.status.fallback.reason == "LatencyExceeded"
        assert "outside window open" in drive.status.fallback.message

    def test_a_new_policy_that_opens_later_is_seen_at_once(self) -> None:
        drive = Drive(policy(windows=[window()]))
        drive.at(0)
        drive.policy = policy(windows=[window("17:30")])
        drive.at(1)
        assert drive.status.fallback is not None
        assert drive.status.fallback.reason == "WindowClosed"

    def test_money_is_given_back_when_the_window_closes_before_the_start(self) -> None:
        rules = policy(backend("paid", rateCard=priced("0.001")), windows=[window("12:00", "13:01"), window(name="b")])
        drive = Drive(rules)
        assert isinstance(drive.at(30).actions[0], Reserve)
        granted = Facts(reservation=ReservationFacts(1, "paid", Decimal("1.024"), True))
        assert drive.at(60, granted).actions == (Settle(1, Decimal(0)),)
        assert drive.status.state == "Held"

    def test_a_waiting_job_asks_for_no_money(self) -> None:
        drive = Drive(policy(backend("paid", rateCard=priced("0.001")), windows=[window()]))
        assert drive.at(0).actions == ()

    def test_what_is_too_dear_is_not_waited_for(self) -> None:
        drive = Drive(
            policy(backend("paid", rateCard=priced("0.001")), windows=[window()]),
            limits=LIMITS | {"maxCost": "1", "currency": "USD"},
        )
        drive.at(0)
        assert drive.status.fallback is not None
        assert drive.status.fallback.reason == "BudgetExceeded"

    def test_a_failed_attempt_waits_for_the_window_to_be_tried_again(self) -> None:
        drive = Drive(policy(windows=[window("12:00", "13:01"), window(name="b")]))
        drive.at(0)
        crashed = AttemptFacts(start_time=after(1), end_time=after(120), exit_code=ExitCode.INTERNAL_ERROR)
        drive.at(121, Facts(attempts={1: crashed}))
        assert drive.status.state == "Held"
        assert drive.at(2 * HOUR, Facts(attempts={1: crashed})).actions == (StartAttempt(2, "Quantum", "aer"),)


class TestSpread:
    """Jobs that waited start one after the other."""

    def start_of(self, uid: str, rules: QuantumBackendPolicy, **spec: Any) -> float:
        """How many seconds after the opening at 14:00 UTC the job starts. It does so at the moment that it named."""
        drive = Drive(rules, **spec)
        drive.job = drive.job.model_copy(update={"metadata": drive.job.metadata.model_copy(update={"uid": uid})})
        drive.at(0)
        assert drive.status.waiting is not None
        start = drive.status.waiting.until_time
        assert start is not None
        seconds = (start - after(2 * HOUR)).total_seconds()
        assert drive.at(2 * HOUR + seconds - 0.001).actions == ()
        assert drive.at(2 * HOUR + seconds).actions == (StartAttempt(1, "Quantum", "aer"),)
        return seconds

    def test_each_job_has_a_moment_of_its_own_within_half_a_minute(self) -> None:
        starts = [self.start_of(f"uid-{number}", policy(windows=[window()], spreadSeconds=30)) for number in range(200)]
        assert all(0 <= start < 30 for start in starts)
        tally = Counter(int(start // 10) for start in starts)
        assert all(40 < tally[third] < 95 for third in range(3))

    def test_it_is_always_the_same_one(self) -> None:
        rules = policy(windows=[window()], spreadSeconds=30)
        assert self.start_of("a", rules) == self.start_of("a", rules)

    def test_zero_starts_all_at_once(self) -> None:
        assert self.start_of("a", policy(windows=[window()], spreadSeconds=0)) == 0

    def test_the_default_is_half_a_minute(self) -> None:
        assert build.policy().spec.spread_seconds == 30

    def test_no_job_is_put_off_beyond_a_short_window(self) -> None:
        rules = policy(windows=[window("15:00", "15:01")], spreadSeconds=3600)
        assert all(self.start_of(f"uid-{number}", rules) < 60 for number in range(50))

    def test_or_beyond_its_own_deadline(self) -> None:
        rules = policy(windows=[window()], spreadSeconds=3600)
        limits = LIMITS | {"queueDeadlineSeconds": 2 * HOUR + 10}
        assert all(self.start_of(f"uid-{number}", rules, limits=limits) < 10 for number in range(50))

    def test_a_job_that_comes_while_it_is_open_starts_at_once(self) -> None:
        rules = policy(windows=[window("12:00")], spreadSeconds=3600)  # open since an hour
        assert Drive(rules).at(0).actions == (StartAttempt(1, "Quantum", "aer"),)

    def test_the_message_has_the_opening_and_what_follows_it(self) -> None:
        drive = Drive(policy(windows=[window()], spreadSeconds=30))
        drive.at(0)
        assert drive.status.waiting is not None
        assert drive.status.waiting.until_time is not None
        later = (drive.status.waiting.until_time - after(2 * HOUR)).total_seconds()
        assert later > 0
        message = drive.status.message
        assert "opens at 2026-01-31T14:00:00Z" in message
        assert message.endswith(f"; this job starts {later:g} s later: those that waited are spread")
        drive.at(2 * HOUR)
        assert "aer: opened at 2026-01-31T14:00:00Z" in drive.status.message
        assert drive.status.decision is not None
        assert drive.status.decision.rejected[0].next_open == after(2 * HOUR)


class TestOpen:
    def test_what_runs_when_a_window_closes_runs_on(self) -> None:
        drive = Drive(policy(windows=[window("12:00", "13:01")]))
        drive.at(0)
        running = Facts(attempts={1: AttemptFacts(start_time=after(1))})
        assert drive.at(120, running).actions == ()
        assert drive.status.state == "Running"

    def test_classical_work_is_never_held(self) -> None:
        drive = Drive(policy(windows=[window()]), quantum=None)
        assert drive.at(0).actions == (StartAttempt(1, "Classical", "classical"),)

    def test_another_backend_that_is_open_is_used(self) -> None:
        drive = Drive(policy(backend("first", windows=[window()]), backend("second")))
        assert drive.at(0).actions == (StartAttempt(1, "Quantum", "second"),)
        assert drive.status.decision is not None
        assert next((o.backend, o.reason) for o in drive.status.decision.rejected) == ("first", "WindowClosed")

    def test_of_several_that_are_closed_the_first_to_open_is_waited_for(self) -> None:
        late, soon = backend("late", windows=[window("16:00")]), backend("soon", windows=[window("14:00", "15:00")])
        drive = Drive(policy(late, soon))
        assert drive.at(0).wake_time == after(HOUR)
        assert drive.at(HOUR).actions == (StartAttempt(1, "Quantum", "soon"),)

    def test_a_backend_is_open_when_its_own_windows_and_the_policys_are(self) -> None:
        drive = Drive(policy(backend(windows=[window("14:00", "19:00")]), windows=[window("15:30", "20:00")]))
        assert drive.at(0).wake_time == after(2.5 * HOUR)

    def test_deny_is_the_opposite_of_allow(self) -> None:
        lunch = policy(windows=[window("12:00", "13:30", name="lunch")], windowsMode="Deny")
        drive = Drive(lunch)
        assert drive.at(0).wake_time == after(HOUR / 2)
        assert "inside window lunch of policy policy" in drive.status.message

    def test_a_maintenance_closes_one_backend_once(self) -> None:
        repair = {"startTime": "2026-01-31T11:00:00Z", "endTime": "2026-01-31T13:00:00+00:00", "reason": "new fridge"}
        drive = Drive(policy(backend(maintenance=[repair])))
        assert drive.at(0).wake_time == after(HOUR)
        assert "in maintenance until 2026-01-31T13:00:00Z (new fridge)" in drive.status.message
        assert drive.at(HOUR).actions == (StartAttempt(1, "Quantum", "aer"),)


class TestReports:
    def test_the_policy_says_which_backends_are_open(self) -> None:
        never = window(dates={"from": "2026-01-01", "until": "2026-01-02"})
        rules = policy(
            backend("always"),
            backend("open", windows=[window("12:00")]),
            backend("shut", windows=[window()]),
            backend("past", windows=[never]),
        )
        report = window_report(rules, START)
        assert [(b.name, b.open, b.next_open, b.next_close) for b in report] == [
            ("open", True, None, after(5 * HOUR)),
            ("shut", False, after(2 * HOUR), None),
            ("past", False, None, None),
        ]
        assert "does not open within 400 days" in report[-1].message


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"windows": [window(timeZone="Europe/Berln")]}, "time zone of the IANA database"),
    ({"windows": [window("08:00", "08:00")]}, "must differ from from"),
    ({"windows": [window(days=[])]}, "at least one day"),
    ({"windows": [window("00:00", "24:00")], "windowsMode": "Deny"}, "windows must leave some time open"),
    ({"windowsMode": "Allow"}, "only be given with at least one"),
    ({"windows": [window(), window()]}, "unique names"),
    (
        {"windows": [window("08:00", "12:00")], "backends": [backend(windows=[window("12:00", "16:00")])]},
        "backends[0] must leave some time open",
    ),
]


@pytest.mark.parametrize(("spec", "must"), REFUSED)
def test_bad_windows_are_refused(spec: dict[str, Any], must: str) -> None:
    spec = dict(spec)
    with pytest.raises(ValidationError) as error:
        policy(*spec.pop("backends", []), **spec)
    assert must in str(error.value)
