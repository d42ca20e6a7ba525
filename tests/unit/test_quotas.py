"""Quotas: what each limit does to a job, whose turn it is, and that no slot is ever taken twice."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.api.status import HybridJobStatus
from hybridjob.engine.actions import Decision, Reserve, StartAttempt
from hybridjob.engine.decide import decide
from hybridjob.engine.facts import AttemptFacts, Facts, PolicyLoad, ReservationFacts, Waiter
from hybridjob.engine.loads import Loads, load_of
from hybridjob.engine.quotas import in_turn
from support.build import START, after, backend, job, priced, verdict

HOUR = 3600
LIMITS = {"queueDeadlineSeconds": HOUR}


def policy(*backends: dict[str, Any], **quotas: Any) -> QuantumBackendPolicy:
    return QuantumBackendPolicy.model_validate(
        {
            "apiVersion": "hybridjob.dev/v1alpha1",
            "kind": "QuantumBackendPolicy",
            "metadata": {"name": "policy"},
            "spec": {"backends": list(backends) or [backend()], "quotas": quotas},
        },
        by_alias=True,
        by_name=False,
    )


def make(name: str, namespace: str = "default", created: float = 0, **spec: Any) -> HybridJob:
    made = job(**({"limits": LIMITS} | spec))
    metadata = made.metadata.model_copy(
        update={"name": name, "uid": name, "namespace": namespace, "creation_timestamp": after(created)}
    )
    return made.model_copy(update={"metadata": metadata})


class World:
    """A runtime that has nothing but quotas to heed: every solver runs until it is told to end."""

    def __init__(self, rules: QuantumBackendPolicy) -> None:
        self.policy = rules
        self.woken: list[str] = []
        self.loads = Loads(self.woken.append)
        self.jobs: dict[str, HybridJob] = {}
        self.facts: dict[str, dict[int, AttemptFacts]] = {}
        self.now = START

    def add(self, name: str, namespace: str = "default", **spec: Any) -> Decision:
        """A job arrives now, and is decided about."""
        made = make(name, namespace, (self.now - START).total_seconds(), **spec)
        self.jobs[name], self.facts[name] = made, {}
        return self.decide(name)

    def decide(self, name: str, reservation: ReservationFacts | None = None) -> Decision:
        before = self.jobs[name]
        load = self.loads.of(self.policy, before, self.now)
        facts = Facts(attempts=self.facts[name], load=load, reservation=reservation)
        decision = decide(before, self.policy, facts, self.now)
        self.jobs[name] = before.model_copy(update={"status": decision.status})
        self.loads.put(self.policy, load_of(self.jobs[name], decision.actions))
        for action in decision.actions:
            if isinstance(action, StartAttempt):
                self.facts[name].setdefault(action.attempt, AttemptFacts(start_time=self.now))
        return decision

    def end(self, name: str, exit_code: int = 0) -> None:
        """The job's solver ends; everybody whose turn has come is decided about."""
        number = max(self.facts[name])
        result = verdict(number, exit_code) if exit_code == 0 else None
        self.facts[name][number] = AttemptFacts(self.now, self.now, exit_code, result)
        self.decide(name)
        self.settle()

    def settle(self) -> None:
        while self.woken:
            self.decide(self.woken.pop(0))

    def status(self, name: str) -> HybridJobStatus:
        status = self.jobs[name].status
        assert status is not None
        return status

    def states(self) -> list[str]:
        return [self.status(name).state for name in self.jobs]

    @property
    def running(self) -> Counter[tuple[str, str]]:
        """Quantum attempts under way, counted anew from every status."""
        return Counter(
            (made.metadata.namespace or "", attempt.backend)
            for made in self.jobs.values()
            for attempt in (made.status.attempts if made.status else [])
            if attempt.route == "Quantum" and attempt.end_time is None
        )


class TestConcurrency:
    def test_beyond_the_limit_jobs_wait_and_start_when_a_slot_is_free(self) -> None:
        world = World(policy(maxConcurrent=2))
        decisions = [world.add(name) for name in "abc"]
        assert [bool(decision.actions) for decision in decisions] == [True, True, False]
        assert world.status("c").state == "Held"
        assert world.status("c").message == "waits to start: aer: no slot of policy policy: 2 of 2 in use"
        assert world.status("c").waiting is not None
        assert decisions[2].wake_time == after(HOUR)  # the deadline; a slot has no time
        world.end("a")
        assert world.status("c").state == "Pending"

    @pytest.mark.parametrize(
        ("rules", "message"),
        [
            (policy(backend(maxConcurrent=1)), "no slot of backend aer: 1 of 1 in use"),
            (policy(maxConcurrentPerNamespace=1), "no slot of namespace default under policy policy: 1 of 1 in use"),
        ],
    )
    def test_each_limit_says_which_it_is(self, rules: QuantumBackendPolicy, message: str) -> None:
        world = World(rules)
        world.add("a")
        world.add("b")
        assert message in world.status("b").message

    def test_a_namespace_at_its_limit_does_not_hold_up_another(self) -> None:
        world = World(policy(maxConcurrentPerNamespace=1))
        world.add("a", "one")
        world.add("b", "one")
        assert world.add("c", "two").actions == (StartAttempt(1, "Quantum", "aer"),)

    def test_a_backend_that_is_full_is_passed_over(self) -> None:
        world = World(policy(backend("first", maxConcurrent=1), backend("second")))
        world.add("a")
        assert world.add("b").actions == (StartAttempt(1, "Quantum", "second"),)
        decision = world.status("b").decision
        assert decision is not None
        assert (decision.rejected[0].backend, decision.rejected[0].reason) == ("first", "NoSlot")

    def test_classical_work_needs_no_slot(self) -> None:
        world = World(policy(maxConcurrent=1))
        world.add("a")
        assert world.add("b", quantum=None).actions == (StartAttempt(1, "Classical", "classical"),)

    def test_money_that_is_asked_for_takes_the_slot_already(self) -> None:
        world = World(policy(backend(rateCard=priced("0.001")), maxConcurrent=1))
        asked = world.add("a").actions[0]
        assert isinstance(asked, Reserve)
        assert world.add("b").actions == ()
        assert world.status("b").state == "Held"
        granted = ReservationFacts(1, "aer", asked.amount, granted=True)
        assert world.decide("a", granted).actions == (StartAttempt(1, "Quantum", "aer"),)

    def test_money_that_is_refused_frees_the_slot(self) -> None:
        world = World(policy(backend(rateCard=priced("0.001")), maxConcurrent=1))
        asked = world.add("a").actions[0]
        assert isinstance(asked, Reserve)
        world.add("b")
        world.decide("a", ReservationFacts(1, "aer", asked.amount, granted=False, message="none left"))
        assert world.woken == ["b"]

    def test_an_attempt_that_fails_gives_its_slot_up_before_it_is_tried_again(self) -> None:
        world = World(policy(maxConcurrent=1))
        world.add("a")
        world.add("b")
        world.end("a", exit_code=1)
        assert world.running == {("default", "aer"): 1}
        assert world.status("b").state == "Pending"

    def test_a_limit_that_is_lowered_ends_nothing(self) -> None:
        world = World(policy(maxConcurrent=2))
        world.add("a")
        world.add("b")
        world.policy = policy(maxConcurrent=1)
        assert world.decide("a").actions == ()
        world.add("c")
        assert "2 of 1 in use" in world.status("c").message
        world.end("a")
        assert world.status("c").state == "Held"

    def test_a_waiting_job_that_is_gone_leaves_its_place(self) -> None:
        world = World(policy(maxConcurrent=1))
        for name in "abc":
            world.add(name)
        world.loads.remove("b")
        world.end("a")
        assert world.status("c").state == "Pending"

    def test_a_deadline_that_passes_says_what_was_waited_for(self) -> None:
        world = World(policy(maxConcurrent=1))
        world.add("a")
        world.add("b")
        world.now = after(HOUR)
        world.decide("b")
        fallback = world.status("b").fallback
        assert fallback is not None
        assert fallback.reason == "LatencyExceeded"
        assert "no slot of policy" in fallback.message


class TestOtherQuotas:
    def test_too_many_shots_fall_back_at_once(self) -> None:
        world = World(policy(maxShotsPerJob=1000))
        world.add("a", quantum={"shots": 1001})
        fallback = world.status("a").fallback
        assert fallback is not None
        assert (fallback.reason, fallback.message) == (
            "QuotaExceeded",
            "aer: the job asks for 1001 shots, and policy policy allows 1000",
        )

    def test_a_full_queue_takes_no_more(self) -> None:
        world = World(policy(maxConcurrent=1, maxQueued=2))
        for name in "abcd":
            world.add(name)
        assert world.states() == ["Pending", "Held", "Held", "FallingBack"]
        assert world.status("d").reason == "QuotaExceeded"
        assert "2 jobs of namespace default wait already" in world.status("d").message
        world.decide("b")  # those in the queue stay
        assert world.status("b").state == "Held"

    def test_no_queue_at_all(self) -> None:
        world = World(policy(maxConcurrent=1, maxQueued=0))
        world.add("a")
        world.add("b", fallback={"on": []})
        assert (world.status("b").state, world.status("b").reason) == ("Failed", "QuotaExceeded")

    def test_jobs_of_a_period_wait_until_it_moves_on(self) -> None:
        world = World(policy(jobsPerPeriod={"count": 2, "seconds": 600}))
        world.add("a")
        world.now = after(100)
        world.add("b")
        world.end("a")
        decision = world.add("c")
        assert world.status("c").state == "Held"
        assert decision.wake_time == after(600)
        assert world.add("d", "other").actions
        world.now = after(600)
        assert world.decide("c").actions == (StartAttempt(1, "Quantum", "aer"),)

    def test_the_period_counts_jobs_and_not_attempts(self) -> None:
        world = World(policy(jobsPerPeriod={"count": 1, "seconds": 3000}))
        world.add("a")
        world.end("a", exit_code=1)
        world.now = after(10)
        assert world.decide("a").actions == (StartAttempt(2, "Quantum", "aer"),)

    def test_a_job_that_is_gone_still_counts_for_its_period(self) -> None:
        world = World(policy(jobsPerPeriod={"count": 1, "seconds": 3000}))
        world.add("a")
        world.loads.remove("a")
        assert world.add("b").actions == ()

    def test_a_period_that_moves_on_too_late_is_not_waited_for(self) -> None:
        world = World(policy(jobsPerPeriod={"count": 1, "seconds": 2 * HOUR}))
        world.add("a")
        world.add("b")
        assert world.status("b").reason == "QuotaExceeded"
        assert world.status("b").state == "FallingBack"


class TestRestart:
    def test_a_load_is_found_again_in_the_status(self) -> None:
        world = World(policy(backend("x", maxConcurrent=1), backend("y", maxConcurrent=1)))
        for name in "abc":
            world.add(name)
        again = World(world.policy)
        for made in world.jobs.values():
            again.loads.put(again.policy, load_of(made))
        probe = make("probe")
        assert again.loads.of(again.policy, probe, START) == world.loads.of(world.policy, probe, START)

    def test_a_solver_that_no_status_knows_of_takes_a_slot(self) -> None:
        world = World(policy(maxConcurrent=1))
        world.loads.put(world.policy, load_of(make("a"), unrecorded=["aer"]))
        assert world.add("b").actions == ()


def waiter(uid: str, namespace: str, since: float, *backends: str) -> Waiter:
    return Waiter(after(since), uid, namespace, backends or ("aer",))


def turns(rules: QuantumBackendPolicy, running: dict[tuple[str, str], int], *waiting: Waiter) -> list[str]:
    return [waiter.uid for waiter, _ in in_turn(rules.spec, running, waiting, {})]


class TestTurns:
    def test_the_namespace_with_the_fewest_under_way_comes_first_and_in_it_the_oldest(self) -> None:
        greedy = [waiter(f"g{n}", "greedy", n) for n in range(5)]
        small = [waiter("s1", "small", 101), waiter("s0", "small", 100)]
        running = {("greedy", "aer"): 1}
        assert turns(policy(maxConcurrent=5), running, *greedy, *small) == ["s0", "g0", "s1", "g1"]

    def test_what_does_not_fit_holds_up_nobody(self) -> None:
        rules = policy(backend("x", maxConcurrent=1), backend("y", maxConcurrent=1))
        waiting = waiter("a", "one", 0, "x"), waiter("b", "one", 1, "x"), waiter("c", "one", 2, "y")
        assert turns(rules, {("two", "x"): 1}, *waiting) == ["c"]


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 5), st.integers(1, 4), st.data())
def test_a_small_namespace_gets_its_share_at_once(slots: int, small: int, data: st.DataObject) -> None:
    """However many jobs a greedy namespace brings first: until the small one has its half of the slots, or the only
    one, the next is its."""
    world = World(policy(maxConcurrent=slots))
    for number in range(60):
        world.add(f"g{number}", "greedy")
    world.now = after(1)
    for number in range(small):
        world.add(f"s{number}", "small")
    for _ in range(min(small, max(1, slots // 2))):
        under_way = [n for n, made in world.jobs.items() if n.startswith("g") and world.facts[n]
                     and made.status and made.status.state in ("Pending", "Running")]  # fmt: skip
        before = sum(count for (namespace, _), count in world.running.items() if namespace == "small")
        world.end(data.draw(st.sampled_from(under_way)))
        after_ = sum(count for (namespace, _), count in world.running.items() if namespace == "small")
        assert after_ == before + 1


def test_a_thousand_jobs_of_one_namespace_and_one_of_another() -> None:
    rules = policy(maxConcurrent=3)
    greedy = [waiter(f"g{n:04}", "greedy", n) for n in range(1000)]
    assert turns(rules, {("greedy", "aer"): 2}, *greedy, waiter("s", "small", 5000)) == ["s"]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_interleaving_takes_a_slot_twice_and_none_stays_free_while_somebody_waits(data: st.DataObject) -> None:
    """Jobs of several namespaces on two backends, decided and ended in any order: the limits hold after every step, and
    when everybody whose turn has come was decided about, nobody could start who waits."""
    limit = st.none() | st.integers(1, 3)
    rules = policy(
        backend("x", maxConcurrent=data.draw(limit)),
        backend("y", maxConcurrent=data.draw(limit)),
        maxConcurrent=data.draw(limit),
        maxConcurrentPerNamespace=data.draw(limit),
        maxQueued=50,
    )
    world = World(rules)
    names = iter(range(100))
    for _ in range(data.draw(st.integers(5, 25))):
        alive = [name for name in world.jobs if world.facts[name] and world.status(name).state == "Running"]
        pending = [name for name in world.jobs if world.status(name).state == "Pending"]
        step = data.draw(st.sampled_from(["add", "add", "start", "end", "wake", "wake"]))
        world.now += timedelta(seconds=1)
        if step == "add":
            wanted = data.draw(st.sampled_from([["x"], ["y"], ["y", "x"], []]))
            world.add(str(next(names)), data.draw(st.sampled_from("abc")), quantum={"backends": wanted})
        elif step == "start" and pending:
            world.decide(data.draw(st.sampled_from(pending)))
        elif step == "end" and alive:
            name = data.draw(st.sampled_from(alive))
            world.facts[name][1] = AttemptFacts(world.now, world.now, 0, verdict())
            world.decide(name)
        elif world.woken:  # in any order, and perhaps late
            world.decide(world.woken.pop(data.draw(st.integers(0, len(world.woken) - 1))))
        check(world)
    world.settle()
    check(world)
    load = world.loads.of(rules, make("probe"), world.now)
    assert load.running == world.running
    assert not list(in_turn(rules.spec, world.running, load.waiting, load.served))


def check(world: World) -> None:
    running, quotas = world.running, world.policy.spec.quotas
    limits: list[tuple[int, int | None]] = [(sum(running.values()), quotas.max_concurrent)]
    for made in world.policy.spec.backends:
        limits.append((sum(n for (_, b), n in running.items() if b == made.name), made.max_concurrent))
    for namespace in "abc":
        count = sum(n for (ns, _), n in running.items() if ns == namespace)
        limits.append((count, quotas.max_concurrent_per_namespace))
    assert all(limit is None or count <= limit for count, limit in limits)


def test_no_quota_costs_nothing() -> None:
    world = World(policy())
    world.add("a")
    assert world.loads.of(world.policy, make("b"), datetime.max.replace(tzinfo=START.tzinfo)) == PolicyLoad()


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3), st.integers(2, 5), st.data())
def test_a_namespace_with_nothing_under_way_waits_for_at_most_one_slot_of_each_other(
    slots: int, namespaces: int, data: st.DataObject
) -> None:
    names = "abcdef"[:namespaces]
    world = World(policy(maxConcurrent=slots))
    for number in range(12):
        for name in names:
            world.add(f"{name}{number}", name)
    waited: Counter[str] = Counter()
    for _ in range(25):
        before = world.running
        under_way = [name for name, made in world.jobs.items() if world.status(name).state == "Running" or (
            world.facts[name] and world.status(name).state == "Pending")]  # fmt: skip
        if not under_way:
            break
        world.now += timedelta(seconds=1)
        world.end(data.draw(st.sampled_from(under_way)))
        for name in names:
            waits = any(world.status(job).state == "Held" for job in world.jobs if job.startswith(name))
            idle = not before[name, "aer"] and not world.running[name, "aer"] and waits
            waited[name] = waited[name] + 1 if idle else 0
            assert waited[name] < namespaces
