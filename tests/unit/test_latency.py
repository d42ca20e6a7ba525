"""How long attempts take: what is remembered, what is concluded from it, and what it rules out."""

import random
from datetime import datetime
from typing import Any

import pytest

from hybridjob.api.latency import MAX_SAMPLES, LatencySpec
from hybridjob.engine.actions import Decision, Note, StartAttempt
from hybridjob.engine.decide import decide
from hybridjob.engine.facts import AttemptFacts, Facts
from hybridjob.engine.instants import millis
from hybridjob.engine.latency import DurationRequest, History, Sample, estimate, latency_report, quantile, remember
from hybridjob.engine.ledger import Book
from hybridjob.engine.ledger_document import Written, dump, load
from support.build import START, after, backend, job, policy, verdict

RULES = LatencySpec(minimum_samples=5)
LEARNS: dict[str, Any] = {"latency": {"minimumSamples": 5}}


def history(*seconds: float, end: datetime = START, rules: LatencySpec = RULES) -> History:
    """Attempts that ran so long one after the other, the last of them at `end`; each had waited for a second."""
    found: History = ()
    for number, run in enumerate(seconds):
        time = millis(end) - len(seconds) + number
        found = remember(found, DurationRequest("aer", Sample(time, 1000, int(run * 1000)), rules))
    return found


class TestHistory:
    def test_telling_twice_is_telling_once(self) -> None:
        once = history(1, 2)
        assert remember(once, DurationRequest("aer", once[0], RULES)) is once

    def test_it_is_bounded(self) -> None:
        assert len(history(*range(MAX_SAMPLES + 9))) == MAX_SAMPLES

    def test_it_survives_in_the_book(self) -> None:
        book = Book("p", latencies={"aer": history(1, 2, 3, 4, 5, 6)})
        assert load(dump(Written(book=book))).book.latencies == book.latencies

    def test_the_book_notes_it(self) -> None:
        request = DurationRequest("aer", Sample(millis(START), 1, 2), RULES)
        book, answers = Book("p").apply([request, request], START)
        assert [answer.done for answer in answers] == [True, False]
        assert len(book.latencies["aer"]) == 1


class TestEstimates:
    def test_quantiles_are_order_statistics_rounded_up(self) -> None:
        assert [quantile(range(1, 20), q) for q in (0.5, 0.9, 0.99)] == [10, 18, 19]
        assert quantile([7], 0.5) == 7

    def test_too_few_attempts_tell_nothing(self) -> None:
        assert estimate(policy(**LEARNS), "aer", {"aer": history(1, 2, 3, 4)}, START) is None
        found = estimate(policy(**LEARNS), "aer", {"aer": history(1, 2, 3, 4, 5)}, START)
        assert found is not None
        assert (found.queue, found.run, found.total) == (1, 5, 6)

    def test_old_attempts_do_not_count(self) -> None:
        histories = {"aer": history(1, 2, 3, 4, 5)}
        assert estimate(policy(**LEARNS), "aer", histories, after(604_799)) is not None
        assert estimate(policy(**LEARNS), "aer", histories, after(604_801)) is None

    def test_what_is_expected_holds_until_enough_are_measured(self) -> None:
        rules = policy(backend(expectedLatency={"queueSeconds": 10, "runSeconds": 20}), **LEARNS)
        expected = estimate(rules, "aer", {"aer": history(1, 2)}, START)
        measured = estimate(rules, "aer", {"aer": history(1, 2, 3, 4, 5)}, START)
        assert expected is not None
        assert measured is not None
        assert (expected.total, measured.total) == (30, 6)

    def test_the_coverage_that_is_measured_is_the_one_that_is_promised(self) -> None:
        draw = random.Random(7)
        covered = estimated = 0
        for _ in range(30):
            found = history(*(draw.lognormvariate(1, 1) for _ in range(MAX_SAMPLES)), rules=LatencySpec())
            covered += sum(sample.covered is True for sample in found)
            estimated += sum(sample.covered is not None for sample in found)
        assert estimated == 30 * (MAX_SAMPLES - 20)
        assert covered / estimated == pytest.approx(0.9, abs=0.02)

    def test_the_report_shows_them(self) -> None:
        (status,) = latency_report(policy(**LEARNS), {"aer": history(5, 1, 2, 4, 3, 9)}, [], START)
        found = status.latency
        assert found is not None
        assert (found.samples, found.run.p50, found.run.p90, found.total.p99) == (6, 4, 9, 10)
        assert (found.estimated, found.covered) == (1, 0)
        assert latency_report(policy(), {"aer": history(1)}, [], START) == []


def decided(histories: dict[str, History], *backends: dict[str, Any], **limits: int) -> Decision:
    rules = policy(*backends, **LEARNS)
    return decide(job(limits=limits), rules, Facts(latencies=histories), START)


class TestDecisions:
    def test_no_data_rules_out_nothing(self) -> None:
        assert decided({}, completionDeadlineSeconds=1).actions == (StartAttempt(1, "Quantum", "aer"),)

    @pytest.mark.parametrize(
        ("limits", "message"),
        [
            (
                {"completionDeadlineSeconds": 8},
                "nine of ten attempts take up to 10 s to end (measured on 6 attempts), and "
                "completionDeadlineSeconds (8) leaves 8 s",
            ),
            ({"activeDeadlineSeconds": 8}, "up to 9 s to run (measured on 6 attempts), and activeDeadlineSeconds"),
        ],
    )
    def test_what_would_be_late_goes_the_classical_way_at_once(self, limits: dict[str, int], message: str) -> None:
        decision = decided({"aer": history(5, 1, 2, 4, 3, 9)}, **limits)
        assert decision.actions == (StartAttempt(1, "Classical", "classical"),)
        assert decision.status.fallback is not None
        assert decision.status.fallback.reason == "LatencyExceeded"
        assert message in decision.status.fallback.message

    def test_a_queue_that_is_too_long_counts_before_the_first_start(self) -> None:
        slow = backend(expectedLatency={"queueSeconds": 20, "runSeconds": 1})
        assert decided({}, slow, queueDeadlineSeconds=19).actions == (StartAttempt(1, "Classical", "classical"),)
        assert decided({}, slow, queueDeadlineSeconds=20).actions == (StartAttempt(1, "Quantum", "aer"),)

    def test_a_quicker_backend_is_taken(self) -> None:
        slow = backend(expectedLatency={"runSeconds": 100})
        decision = decided({}, slow, backend("quick"), completionDeadlineSeconds=99)
        assert decision.actions == (StartAttempt(1, "Quantum", "quick"),)

    def test_the_decision_has_the_estimate(self) -> None:
        rules = policy(backend(expectedLatency={"runSeconds": 100}))
        decision = decide(job(), rules, Facts(), START).status.decision
        assert decision is not None
        assert decision.chosen is not None
        assert decision.chosen.message.endswith("nine of ten attempts take up to 100 s (as the policy expects)")


class TestWhatIsTold:
    def told(self, end: AttemptFacts, rules: Any = LEARNS) -> list[Sample]:
        spec = job(limits={"activeDeadlineSeconds": 20, "completionDeadlineSeconds": 100})
        samples = []
        for seconds, facts in [(0, {}), (5, {1: AttemptFacts(after(5))}), (30, {1: end}), (31, {1: end})]:
            decision = decide(spec, policy(**rules), Facts(attempts=facts), after(seconds))
            spec = spec.model_copy(update={"status": decision.status})
            requests = [action.request for action in decision.actions if isinstance(action, Note)]
            samples += [request.sample for request in requests if isinstance(request, DurationRequest)]
        return samples

    def test_an_answer_tells_how_long_it_took(self) -> None:
        assert self.told(AttemptFacts(after(5), after(12), 0, verdict())) == [Sample(millis(after(12)), 5000, 7000)]

    def test_a_failure_tells_nothing(self) -> None:
        assert self.told(AttemptFacts(after(5), after(12), 70)) == []

    def test_where_the_policy_does_not_learn_nothing_is_told(self) -> None:
        assert self.told(AttemptFacts(after(5), after(12), 0, verdict()), {}) == []

    def test_an_attempt_that_a_deadline_ends_took_at_least_so_long(self) -> None:
        spec = job(limits={"activeDeadlineSeconds": 20})
        running = AttemptFacts(after(5))
        spec = spec.model_copy(update={"status": decide(spec, policy(**LEARNS), Facts(), START).status})
        samples: list[Sample] = []
        for seconds, facts in [
            (5, running),
            (25, running),
            (25, running),
            (26, AttemptFacts(after(5), after(26), -9)),
        ]:
            decision = decide(spec, policy(**LEARNS), Facts(attempts={1: facts}), after(seconds))
            spec = spec.model_copy(update={"status": decision.status})
            requests = [action.request for action in decision.actions if isinstance(action, Note)]
            samples += [request.sample for request in requests if isinstance(request, DurationRequest)]
        assert samples == [Sample(millis(after(26)), 5000, 21_000)]
