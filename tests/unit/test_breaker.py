"""The state machine of a circuit breaker: by example, and under any order of reports, probes and time."""

from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hybridjob.api.breaker import MAX_OUTCOMES, CircuitBreakerSpec
from hybridjob.engine.breaker import (
    ALL,
    Breaker,
    BreakerRequest,
    ProbeRequest,
    ReleaseRequest,
    ReportRequest,
    apply,
    counted,
    settled,
    to_pass,
)
from hybridjob.engine.ledger import Book
from hybridjob.engine.ledger_document import Written, dump, load

RULES = CircuitBreakerSpec(open_seconds=60, max_open_seconds=200, probe_deadline_seconds=30)


class Bench:
    """A breaker, and a clock in seconds."""

    def __init__(self, rules: CircuitBreakerSpec = RULES) -> None:
        self.rules, self.breaker, self.now, self.told = rules, Breaker(), 1000, 0

    def ask(self, request: BreakerRequest) -> bool:
        before = self.breaker
        self.breaker = apply(self.breaker, request, self.now * 1000)
        return self.breaker != before

    def tell(self, namespace: str, fault: bool, key: str | None = None) -> bool:
        self.told += 1
        return self.ask(
            ReportRequest((key or f"job-{self.told}", 1), "aer", namespace, self.now * 1000, fault, self.rules)
        )

    def faults(self, *namespaces: str) -> None:
        for namespace in namespaces:
            self.tell(namespace, True)

    def probe(self, key: str, namespace: str = "a") -> bool:
        """Whether that job is the probe now."""
        self.ask(ProbeRequest((key, 1), "aer", namespace, self.rules))
        circuits = [circuit for _, circuit in self.circuits(namespace)]
        return bool(circuits) and all(c.probe is not None and c.probe.key == (key, 1) for c in circuits)

    def circuits(self, namespace: str) -> list[Any]:
        return list(to_pass(settled(self.breaker, self.rules, self.now * 1000), namespace, self.now * 1000))

    def state(self, namespace: str) -> str:
        """What a job of the namespace meets: the strictest of its circuits."""
        states = {circuit.state(self.now * 1000) for _, circuit in self.circuits(namespace)}
        return next((state for state in ("Open", "HalfOpen") if state in states), "Closed")

    def open_seconds(self, name: str) -> float:
        circuit = self.breaker.circuits[name]
        assert circuit.opened is not None
        return (circuit.until - circuit.opened) / 1000


class TestOpening:
    def test_faults_in_a_row_open_the_namespaces_own_circuit_only(self) -> None:
        bench = Bench()
        bench.faults("a", "a")
        assert bench.state("a") == "Closed"
        bench.faults("a")
        assert (bench.state("a"), bench.state("b")) == ("Open", "Closed")

    def test_however_many_they_are(self) -> None:
        bench = Bench()
        bench.faults(*["a"] * MAX_OUTCOMES * 3)
        assert bench.state("b") == "Closed"

    def test_a_second_namespace_opens_it_for_all(self) -> None:
        bench = Bench()
        bench.faults("a", "a", "a", "b")
        assert [bench.state(namespace) for namespace in "abc"] == ["Open"] * 3

    def test_a_success_in_between_begins_a_new_row(self) -> None:
        bench = Bench()
        bench.faults("a", "a")
        bench.tell("a", False)
        bench.faults("a", "a")
        assert bench.state("a") == "Closed"

    def test_a_success_of_another_namespace_speaks_for_the_backend_and_not_for_that_namespace(self) -> None:
        bench = Bench()
        bench.faults("a", "b")
        bench.tell("c", False)
        bench.faults("a", "a")
        assert [bench.state(namespace) for namespace in "abc"] == ["Open", "Closed", "Closed"]

    def test_a_share_of_faults_opens_it_once_there_are_enough_attempts(self) -> None:
        bench = Bench(CircuitBreakerSpec(consecutive_failures=64, failure_ratio="0.5", minimum_attempts=6))
        for namespace, fault in [("a", True), ("c", False), ("b", True), ("c", False), ("c", False)]:
            bench.tell(namespace, fault)
            assert bench.state("c") == "Closed"
        bench.tell("a", True)
        assert bench.state("c") == "Open"

    def test_faults_beyond_the_window_do_not_count(self) -> None:
        bench = Bench()
        bench.faults("a", "a")
        bench.now += 601
        bench.faults("a", "a")
        assert bench.state("a") == "Closed"

    def test_telling_twice_is_telling_once(self) -> None:
        bench = Bench()
        assert bench.tell("a", True, key="same")
        assert not any(bench.tell("a", True, key="same") for _ in range(5))
        assert bench.state("a") == "Closed"

    def test_what_is_told_again_after_it_was_forgotten_is_not_counted(self) -> None:
        bench = Bench()
        first = ReportRequest(("old", 1), "aer", "a", bench.now * 1000, True, RULES)
        bench.ask(first)
        bench.now += 1
        for _ in range(MAX_OUTCOMES):
            bench.tell("b", False)
        assert not bench.ask(first)

    def test_a_backend_without_faults_costs_no_writes(self) -> None:
        bench = Bench()
        assert not bench.tell("a", False)


class TestProbes:
    def half_open(self, *namespaces: str) -> Bench:
        bench = Bench()
        bench.faults(*(namespaces or ("a", "a", "a")))
        bench.now += 72
        assert bench.state("a") == "HalfOpen"
        return bench

    def test_it_is_half_open_after_its_time_give_or_take_a_fifth(self) -> None:
        bench = Bench()
        bench.faults("a", "a", "a")
        assert 48 <= bench.open_seconds("a") <= 72
        bench.now += 47
        assert (bench.state("a"), bench.probe("p")) == ("Open", False)
        bench.now += 25
        assert (bench.state("a"), bench.probe("p")) == ("HalfOpen", True)

    def test_there_is_one_probe_at_a_time(self) -> None:
        bench = self.half_open()
        assert bench.probe("first")
        assert not bench.probe("second")
        assert bench.probe("first")

    def test_a_probe_that_answers_closes_it_and_old_faults_do_not_count(self) -> None:
        bench = self.half_open()
        bench.probe("p")
        bench.tell("a", False, key="p")
        assert bench.state("a") == "Closed"
        bench.faults("a", "a")
        assert bench.state("a") == "Closed"

    def test_a_probe_that_fails_opens_it_for_twice_as_long_up_to_the_limit(self) -> None:
        bench = self.half_open()
        lengths = []
        for number in range(4):
            assert bench.probe(f"p{number}")
            bench.tell("a", True, key=f"p{number}")
            assert bench.state("a") == "Open"
            lengths.append(bench.open_seconds("a"))
            bench.now += 200
        assert 96 <= lengths[0] <= 144
        assert all(160 <= length <= 200 for length in lengths[1:])

    def test_a_probe_that_is_lost_has_failed_when_its_lease_expires(self) -> None:
        bench = self.half_open()
        bench.probe("lost")
        bench.now += 29
        assert bench.state("a") == "HalfOpen"
        bench.now += 1
        assert bench.state("a") == "Open"
        assert not bench.probe("next")
        bench.now += 144
        assert bench.probe("next")

    def test_a_probe_that_is_given_back_is_free_at_once(self) -> None:
        bench = self.half_open()
        bench.probe("p")
        bench.ask(ReleaseRequest(("p", 1), "aer"))
        assert bench.probe("next")

    def test_what_started_before_neither_closes_nor_opens_it(self) -> None:
        bench = self.half_open()
        bench.tell("a", False)
        bench.tell("a", True)
        assert bench.state("a") == "HalfOpen"

    def test_one_namespace_alone_does_not_keep_it_open_for_all(self) -> None:
        bench = self.half_open("a", "a", "b")
        for number in range(5):
            if bench.probe(f"p{number}", "a"):
                bench.tell("a", True, key=f"p{number}")
            assert bench.state("a") == "Open"
            assert bench.state("c") == "HalfOpen"
            bench.now += 200
        assert bench.probe("c", "c")
        bench.tell("c", False, key="c")
        assert bench.state("c") == "Closed"

    def test_probes_of_two_namespaces_open_it_for_all_again(self) -> None:
        bench = self.half_open("a", "a", "b")
        bench.probe("first", "a")
        bench.tell("a", True, key="first")
        bench.probe("second", "c")
        bench.tell("c", True, key="second")
        assert [bench.state(namespace) for namespace in "abc"] == ["Open"] * 3
        assert 96 <= bench.open_seconds(ALL) <= 144

    def test_a_job_is_the_probe_of_both_its_circuits_or_of_none(self) -> None:
        bench = self.half_open("a", "a", "b")
        bench.probe("p", "a")
        bench.tell("a", True, key="p")  # now the namespace's own is open, too
        bench.now += 200
        assert len(bench.circuits("a")) == 2
        assert bench.probe("both", "a")
        assert not bench.probe("other", "c")
        bench.tell("a", False, key="both")
        assert [bench.state(namespace) for namespace in "ac"] == ["Closed"] * 2


NAMESPACES = st.sampled_from("abc")


class Machine(RuleBasedStateMachine):
    """Many namespaces, jobs that report, probe, vanish and come back, and a clock."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(CircuitBreakerSpec(open_seconds=20, max_open_seconds=100, probe_deadline_seconds=30))
        self.probes: dict[str, str] = {}
        """The namespace of each job that was let through as a probe, and has told nothing yet."""
        self.jobs = 0
        self.was_open = False

    @rule(namespace=NAMESPACES, fault=st.booleans())
    def report(self, namespace: str, fault: bool) -> None:
        self.bench.tell(namespace, fault)

    @rule(seconds=st.integers(0, 60))
    def wait(self, seconds: int) -> None:
        self.bench.now += seconds

    @rule(namespace=NAMESPACES)
    def probe(self, namespace: str) -> None:
        self.jobs += 1
        key = f"probe-{self.jobs}"
        free = [c.probe is None for _, c in self.bench.circuits(namespace)]
        state = self.bench.state(namespace)
        if self.bench.probe(key, namespace):
            assert state == "HalfOpen"
            assert all(free), "a second probe at once"
            self.probes[key] = namespace
        else:
            assert state != "HalfOpen" or not all(free)

    @precondition(lambda self: self.probes)
    @rule(data=st.data(), end=st.sampled_from(["fault", "success", "neutral", "lost"]))
    def end_probe(self, data: st.DataObject, end: str) -> None:
        key = data.draw(st.sampled_from(sorted(self.probes)))
        namespace = self.probes.pop(key)
        if end == "neutral":
            self.bench.ask(ReleaseRequest((key, 1), "aer"))
        elif end != "lost":
            self.bench.tell(namespace, end == "fault", key=key)

    @rule()
    def restart(self) -> None:
        book = Book("p", breakers={"aer": self.bench.breaker})
        assert load(dump(Written(book=book))).book.breakers["aer"] == self.bench.breaker

    @rule()
    def always_becomes_half_open(self) -> None:
        """Nobody has to do anything for it but wait: for a lease, and for the longest opening after it."""
        later = (self.bench.now + 130) * 1000
        for circuit in settled(self.bench.breaker, self.bench.rules, later).circuits.values():
            assert circuit.state(later) != "Open"
            assert circuit.probe is None

    @invariant()
    def opens_for_all_only_when_two_namespaces_agree(self) -> None:
        now = self.bench.now * 1000
        is_open = ALL in settled(self.bench.breaker, self.bench.rules, now).circuits and any(
            name == ALL for name, _ in self.bench.circuits("z")
        )
        if is_open and not self.was_open:
            shared = self.bench.breaker.circuits[ALL]
            before = replace(self.bench.breaker, circuits={ALL: replace(shared, opened=None)})
            faults = [o for o in counted(before, ALL, self.bench.rules, now) if o.fault]
            assert len({outcome.namespace for outcome in faults}) >= 2
        self.was_open = is_open

    @invariant()
    def no_opening_is_longer_than_the_limit(self) -> None:
        for circuit in self.bench.breaker.circuits.values():
            if circuit.opened is not None:
                assert 0 < circuit.until - circuit.opened <= 100_000


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
