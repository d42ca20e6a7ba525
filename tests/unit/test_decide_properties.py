"""The decision under any schedule: a small model of the world drives it through crashes of the runtime and of solvers,
lost status writes and every kind of answer, and checks the invariants after every step."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.api.status import FALLBACK_REASONS
from hybridjob.contract.exit_codes import ExitCode
from hybridjob.contract.verdict import Usage
from hybridjob.engine import breaker, latency
from hybridjob.engine.accounts import LIFETIME, Series
from hybridjob.engine.actions import Action, CancelAttempt, KeepReserved, Note, Reserve, Settle, StartAttempt
from hybridjob.engine.decide import decide
from hybridjob.engine.facts import AttemptFacts, Facts, ReservationFacts
from hybridjob.engine.instants import millis
from hybridjob.engine.ledger_requests import SubmitRequest
from hybridjob.engine.lifecycle import TERMINAL, is_legal
from support.build import START, backend, job, policy, priced, verdict

MAX_STEPS = 100
MAX_FAULTS = 8
TOTAL = Series("USD", "Policy", "", LIFETIME)


@dataclass
class World:
    """A runtime, its solvers and its ledger, as simple as can be."""

    job: HybridJob
    policy: QuantumBackendPolicy
    data: st.DataObject
    now: datetime = START
    attempts: dict[int, AttemptFacts] = field(default_factory=dict)
    routes: dict[int, str] = field(default_factory=dict)
    reserved: dict[int, ReservationFacts] = field(default_factory=dict)
    charged: dict[int, Decimal] = field(default_factory=dict)
    begun: set[int] = field(default_factory=set)
    unknown: set[int] = field(default_factory=set)
    """The attempts that began, and those that ended and nobody knows the cost of, as the ledger knows them."""
    refused: ReservationFacts | None = None
    breakers: dict[str, breaker.Breaker] = field(default_factory=dict)
    latencies: dict[str, latency.History] = field(default_factory=dict)
    foreign: Decimal = Decimal(0)
    """What other jobs have used of the budget."""
    faults: int = 0
    """Deaths of the runtime and solvers that vanished: bounded, or nothing would ever end."""
    news: bool = False
    """Whether the facts have changed since they were last decided about."""

    @property
    def used(self) -> Decimal:
        open_ = sum((r.amount for n, r in self.reserved.items() if n not in self.charged), Decimal(0))
        return open_ + sum(self.charged.values(), Decimal(0)) + self.foreign

    def facts(self) -> Facts:
        status = self.job.status
        following = len(status.attempts) + 1 if status else 1
        granted = self.reserved.get(following) if following not in self.charged else None
        return Facts(
            attempts=dict(self.attempts),
            reservation=self.refused or granted,
            begun=frozenset(self.begun - self.charged.keys()),
            used={TOTAL: self.used},
            breakers=dict(self.breakers),
            latencies=dict(self.latencies),
            problem_size=3,
        )

    def step(self) -> None:
        """One pass of the runtime, which may die before any of its writes."""
        decision = decide(self.job, self.policy, self.facts(), self.now)
        self.refused, self.news = None, False
        before = self.job.status.state if self.job.status else "Pending"
        assert is_legal(before, decision.status.state)
        if before in TERMINAL:
            assert decision.actions == ()
            assert decision.status == self.job.status
        dies = self.faulty("the runtime dies")
        done = self.data.draw(st.integers(0, len(decision.actions)), label="after actions") if dies else None
        for action in decision.actions[:done]:
            self.do(action)
        if not dies:
            self.job = self.job.model_copy(update={"status": decision.status})
            self.check()
        self.pass_time(decision.wake_time, certain=not dies)

    def faulty(self, label: str) -> bool:
        happens = self.faults < MAX_FAULTS and self.data.draw(st.integers(0, 4), label=label) == 4
        self.faults += happens
        return happens

    def do(self, action: Action) -> None:
        match action:
            case Reserve():
                if action.attempt in self.reserved:
                    return
                granted = all(self.used + action.amount <= claim.limit for claim in action.claims)
                answer = ReservationFacts(action.attempt, action.backend, action.amount, granted, "no money left")
                if granted:
                    self.reserved[action.attempt] = answer
                else:
                    self.refused = answer
            case StartAttempt(attempt=number, route=route, backend=name):
                price = next((b.rate_card for b in self.policy.spec.backends if b.name == name), None)
                if price is not None and price.formula != "Free":
                    assert number in self.reserved, "a paid attempt was started before its money was reserved"
                    assert number not in self.charged, "an attempt was started after it was settled"
                self.attempts.setdefault(number, AttemptFacts())
                self.routes[number] = route
            case CancelAttempt(attempt=number):
                facts = self.attempts.get(number)
                if facts is not None and facts.end_time is None and not self.faulty("the cancel is lost"):
                    self.attempts[number] = AttemptFacts(facts.start_time, self.now, -9)
                    self.news = True
            case Settle(attempt=number, amount=amount):
                if number in self.reserved:
                    self.unknown.discard(number)
                    assert self.charged.setdefault(number, amount) == amount, "charged twice, differently"
            case KeepReserved(attempt=number):
                if number in self.reserved and number not in self.charged:
                    self.begun.add(number)
                    self.unknown.add(number)
            case Note(request=SubmitRequest(key=(_, number))):
                if number in self.reserved and number not in self.charged:
                    self.begun.add(number)
            case Note(request=latency.DurationRequest() as request):
                self.latencies[request.backend] = latency.remember(self.latencies.get(request.backend, ()), request)
            case Note(request=request):
                known = self.breakers.get(request.backend, breaker.Breaker())
                self.breakers[request.backend] = breaker.apply(known, request, millis(self.now))

    def pass_time(self, wake_time: datetime | None, certain: bool) -> None:
        """Something happens to a solver, or time passes to the wake-up."""
        open_ = [number for number, facts in self.attempts.items() if facts.end_time is None]
        self.now += timedelta(seconds=self.data.draw(st.integers(0, 20), label="seconds"))
        if open_ and self.faulty("a solver vanishes"):
            del self.attempts[self.data.draw(st.sampled_from(open_), label="vanishes")]
        elif open_ and self.data.draw(st.booleans(), label="a solver proceeds"):
            number = self.data.draw(st.sampled_from(open_), label="proceeds")
            self.attempts[number] = self.proceed(number, self.attempts[number])
        elif wake_time is not None:
            self.now = max(self.now, wake_time)
        else:
            state = self.job.status.state if self.job.status else "Pending"
            expected = self.news or open_ or self.refused or self.reserved.keys() - self.charged.keys()
            assert state in TERMINAL or expected or not certain, "nothing will ever wake this job"

    def proceed(self, number: int, facts: AttemptFacts) -> AttemptFacts:
        if facts.start_time is None:
            return AttemptFacts(start_time=self.now)
        if self.routes[number] == "Classical":
            result = verdict(number, objective=2.0, usage=Usage())
        else:
            code = self.data.draw(st.sampled_from([0, 0, *ExitCode, -9, 1]), label="exit code")
            usage = Usage(tasks=1, shots=self.data.draw(st.integers(0, 1024), label="shots used"), seconds=1.0)
            objective = self.data.draw(st.sampled_from([1.0, 2.0]), label="objective")
            result = verdict(number, int(code), objective, usage=usage)
            if code < 0 or code == 1 or self.data.draw(st.integers(0, 5), label="bad verdict") == 0:
                return AttemptFacts(facts.start_time, self.now, int(code), None, "unreadable")
        return AttemptFacts(facts.start_time, self.now, result.exit_code, result)

    def check(self) -> None:
        """What must hold after every step that was written."""
        status = self.job.status
        assert status is not None
        for budget in self.policy.spec.budgets:
            assert self.used <= budget.limit
        if self.job.spec.limits.max_cost is not None:
            unknown = sum((self.reserved[number].amount for number in self.unknown), Decimal(0))
            assert sum(self.charged.values(), unknown) <= self.job.spec.limits.max_cost
        assert [attempt.number for attempt in status.attempts] == list(range(1, len(status.attempts) + 1))
        if status.state in TERMINAL:
            left = self.reserved.keys() - self.charged.keys()
            assert left == self.unknown, "a job ended with money still reserved"
            untold = {a.number for a in status.attempts if a.reserved is not None and a.cost is None}
            assert untold == self.unknown, "the status says that its cost is known, and the ledger does not"
            assert all(attempt.state not in ("Pending", "Running", "Cancelling") for attempt in status.attempts)
            assert (status.state == "Succeeded") == (status.result is not None)
            assert (status.reason is None) == (status.state == "Succeeded")
            assert status.message
            probes = [c.probe for b in self.breakers.values() for c in b.circuits.values()]
            assert not any(probes), "a job ended and keeps a probe"


def jobs() -> st.SearchStrategy[HybridJob]:
    limits = st.fixed_dictionaries(
        {
            "queueDeadlineSeconds": st.integers(1, 60),
            "activeDeadlineSeconds": st.integers(1, 60),
            "completionDeadlineSeconds": st.integers(1, 120),
        },
        optional={"maxCost": st.sampled_from(["0.5", "1.5", "4"])},
    ).map(lambda drawn: drawn | ({"currency": "USD"} if "maxCost" in drawn else {}))
    return st.builds(
        lambda hedged, **spec: job(
            routing={"strategy": "Hedged"} if hedged and spec["quantum"] is not None else None, **spec
        ),
        hedged=st.booleans(),
        quantum=st.sampled_from([None, {}, {"backends": ["paid"]}, {"backends": ["free", "paid"]}]),
        limits=limits,
        fallback=st.fixed_dictionaries(
            {"on": st.lists(st.sampled_from(FALLBACK_REASONS), unique=True), "maxAttempts": st.integers(1, 3)}
        ),
        acceptance=st.sampled_from([{}, {"minImprovementOverBaseline": "0"}]),
        cancel=st.sampled_from([False, False, False, True]),
    )


def policies() -> st.SearchStrategy[QuantumBackendPolicy]:
    paid = backend("paid", rateCard=priced("0.001", per_task="0.3"))
    return st.builds(
        lambda backends, limit, exceeded, broken, learns: policy(
            *backends, budgets=[{"name": "all", "limit": limit, "currency": "USD"} | exceeded], **broken, **learns
        ),
        st.sampled_from([[paid], [backend("free")], [paid, backend("free")], [backend("free", qubits=2), paid]]),
        st.sampled_from(["1", "3", "100"]),
        st.sampled_from([{}, {}, {"onExceeded": "Hold", "holdSeconds": 45}, {"onExceeded": "Reject"}]),
        st.sampled_from([{}, {"circuitBreaker": {"consecutiveFailures": 1, "openSeconds": 1, "maxProbeCost": "1.4"}}]),
        st.sampled_from([{}, {"latency": {"minimumSamples": 1}}]),
    )


@settings(max_examples=300, deadline=None)
@given(jobs(), policies(), st.data())
def test_every_job_ends_with_an_answer_or_a_reason_and_its_money_settled(
    spec: HybridJob, rules: QuantumBackendPolicy, data: st.DataObject
) -> None:
    world = World(spec, rules, data, foreign=Decimal(data.draw(st.sampled_from(["0", "0.9"]), label="used by others")))
    for _ in range(MAX_STEPS):
        if world.job.status is not None and world.job.status.state in TERMINAL:
            break
        world.step()
    status = world.job.status
    assert status is not None
    assert status.state in TERMINAL, f"still {status.state} after {MAX_STEPS} steps: {status.message}"
    if not spec.spec.cancel and set(spec.spec.fallback.on) == set(FALLBACK_REASONS) and status.reason:
        # With every cause allowed, only a wrong problem, a classical solver out of time or a budget that rejects can
        # leave a job unanswered.
        rejects = any(budget.on_exceeded == "Reject" for budget in rules.spec.budgets)
        assert status.reason in ("InvalidProblem", "LatencyExceeded", *(["BudgetExceeded"] if rejects else []))
    world.step()
