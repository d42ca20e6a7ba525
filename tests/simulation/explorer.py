"""Chooses what happens next. A schedule is a scenario's number and a list of choices, and nothing else: the same one
gives the same world every time, in any process.

A choice is a number: its last three digits say what sort of thing happens, the others which one of them. Zero is what
would come next if nothing went wrong, so a schedule is simpler the shorter it is and the more zeros it has.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

from tests.simulation import scenario as scenarios
from tests.simulation.api_server import Key, key_of
from tests.simulation.evidence import ViolationError
from tests.simulation.faults import FAULTS, USER_ACTIONS
from tests.simulation.invariants import Invariants
from tests.simulation.loops import SpinningError
from tests.simulation.network import Network, Request, Subscription
from tests.simulation.replica import Replica
from tests.simulation.scenario import NAMESPACES, Scenario
from tests.simulation.world import OUTCOMES, World, fair_outcome

_T = TypeVar("_T")

CHOICES = 1_000_000
FAIR_SECONDS = 900.0
"""How long everything may take once nothing goes wrong any more: some of the patience of each kind, one after the
other."""
_FAIR_STEPS = 20_000
_LONGEST_PAUSE = 20.0
_START_AFTER = 4.5
"""Longer than a request of the process before may be under way."""


@dataclass
class Report:
    """What a schedule was like."""

    schedules: int = 1
    steps: int = 0
    """Choices, and what happened by itself afterwards."""
    faults: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    """How jobs ended."""
    reached: Counter[str] = field(default_factory=Counter)
    """Which rules have had something to say."""
    violation: str = ""
    trace: list[str] = field(default_factory=list)

    def add(self, other: "Report") -> None:
        self.schedules += other.schedules
        self.violation = self.violation or other.violation
        self.steps += other.steps
        self.faults += other.faults
        self.states += other.states
        self.reached += other.reached


class Explorer:
    """One schedule, while it is played."""

    def __init__(self, number: int, trace: bool = False) -> None:
        self.scenario: Scenario = scenarios.build(number)
        self.world = World(self.scenario.rules)
        self.network = Network(self.world.server)
        self.invariants = Invariants(self.world, self.network, self.scenario)
        self.report = Report()
        self.faults_left = self.scenario.max_faults
        self._tracing = trace
        self.chance = random.Random(number)
        random.seed(number)  # the operator's jitter
        self._coming = list(zip(self.scenario.arrivals, self.scenario.jobs, strict=True))
        """The jobs that are still to be made, and when."""
        self._upgrade = self.scenario.rules.upgrade
        self._is_fair = False
        """Whether nothing goes wrong any more."""
        self._resting: dict[int, float] = {}
        """When the replicas that are dead are started again."""
        self.replicas = [
            Replica(number, self.network, lambda: self.world.time, self.world.clock, self.scenario.elects)
            for number in range(self.scenario.replicas)
        ]

    # A schedule

    def play(self, choices: Iterable[int]) -> Report:
        """Play all of it. The report says what was violated, if anything was."""
        try:
            self._set_up()
            for choice in choices:
                self.step(choice)
            self._settle()
        except (ViolationError, SpinningError) as error:
            self.report.violation = str(error) or type(error).__name__
        finally:
            self.report.reached = self.invariants.evidence.reached
            for replica in self.replicas:
                replica.kill()
        return self.report

    def _set_up(self) -> None:
        server = self.world.server
        for name in NAMESPACES:
            server.create(Key("namespaces", "", name), {"metadata": {"labels": {}}})
        server.create(Key("quantumbackendpolicies", "", "policy"), deepcopy(self.scenario.policy))
        self._arrive()
        for replica in self.replicas:
            replica.boot()
            self._drain()

    def _arrive(self) -> None:
        while self._coming and self._coming[0][0] <= self.world.time:
            _, job = self._coming.pop(0)
            self.note(f"{job['metadata']['name']} is made")
            spec = job["spec"] | {"suspend": False} if self._is_fair else job["spec"]
            self.world.server.create(key_of("hybridjobs", job), deepcopy(job | {"spec": spec}))

    def step(self, choice: int) -> None:
        """One thing happens."""
        sort, index = choice % 1000, choice // 1000
        self.report.steps += 1
        for bound, act in self._SORTS:
            if sort < bound:
                if not act(self, index):
                    self._go(0)
                break
        self._drain()

    # Sorts of things that happen. Each says whether there was one.

    def _go(self, index: int) -> bool:
        """What would come next if all went well, and nobody were slow."""
        if self.network.requests:
            self._answer(self.network.requests[0])
        elif ready := self.network.ready():
            self._deliver(ready[0])
        elif moves := list(self.world.moves()):
            self._move(moves[0], "good")
        else:
            self._pass_time()
        return True

    def _request(self, index: int) -> bool:
        """Any request is executed; its answer comes at once, or later."""
        if not self.network.requests:
            return False
        request = _pick(self.network.requests, index)
        self.network.execute(request)
        if (index // 7) % 4 == 0:
            self.note(f"executes {request.brief()}")
        else:
            self._answer(request)
        return True

    def _event(self, index: int) -> bool:
        ready = self.network.ready()
        if not ready:
            return False
        subscription = _pick(ready, index)
        self._deliver(subscription)
        return True

    def _moves(self, index: int) -> bool:
        moves = list(self.world.moves())
        if not moves:
            return False
        self._move(_pick(moves, index), _pick(OUTCOMES, index // 11))
        return True

    def _time(self, index: int) -> bool:
        match index % 4:
            case 0:
                self._pass_time()
            case rest:
                self._advance((0.0, 0.5, 3.0, 8.0)[rest])
        return True

    def _user(self, index: int) -> bool:
        return _pick(USER_ACTIONS, index)(self, index // 13)

    def _fault(self, index: int) -> bool:
        if self.faults_left <= 0:
            return False
        name, act = _pick(FAULTS, index)
        if not act(self, index // 17):
            return False
        self.faults_left -= 1
        self.report.faults[name] += 1
        return True

    _SORTS: tuple[tuple[int, Callable[["Explorer", int], bool]], ...] = (
        (480, _go),
        (600, _request),
        (700, _event),
        (820, _moves),
        (870, _time),
        (900, _user),
        (1000, _fault),
    )

    # Parts

    def note(self, text: str) -> None:
        if self._tracing:
            self.report.trace.append(f"{self.world.time:8.2f}  {text}"[:400])

    def _answer(self, request: Request) -> None:
        self.network.execute(request)
        self.note(f"answers {request.brief()}")
        self.network.respond(request, request.result)

    def _deliver(self, subscription: Subscription) -> None:
        change = subscription.stream.peek()
        if change is not None:
            self.note(f"brings to {subscription}: {change.type} {change.key.name} at {change.version}")
        self.network.deliver(subscription)

    def _move(self, move: tuple[str, Key], outcome: str) -> None:
        kind, key = move
        self.note(f"{kind} {key.name} {outcome if kind in ('end', 'reap') else ''}")
        if kind in ("end", "reap") and outcome == "over":
            if self.faults_left <= 0:
                outcome = "good"
            else:
                self.faults_left -= 1
                self.report.faults["provider takes too much"] += 1
        self.world.move(kind, key, outcome)

    def _drain(self) -> None:
        for replica in self.replicas:
            was_alive = replica.is_alive
            replica.drain()
            if was_alive and not replica.is_alive:
                self.note(f"operator {replica.number} ends: {replica.deaths}")
            if not replica.is_alive and not replica.retired and replica.number not in self._resting:
                self._resting[replica.number] = self.world.time + _START_AFTER
            if replica.deaths:
                raise ViolationError(f"the operator broke: {replica.deaths[0]!r}") from replica.deaths[0]

    def _next_time(self) -> float | None:
        timers = [timer for replica in self.replicas if (timer := replica.next_timer()) is not None]
        planned = (self.world.next_end(), self._upgrade, *(time for time, _ in self._coming[:1]))
        times = [*timers, *self._resting.values(), *(time for time in planned if time is not None)]
        return min(times, default=None)

    def _pass_time(self) -> None:
        """To the next instant at which anybody wants to do something."""
        following = self._next_time()
        self._advance(min(_LONGEST_PAUSE, max(0.0, following - self.world.time)) if following is not None else 1.0)

    def _advance(self, seconds: float) -> None:
        self.world.time += seconds
        self.world.stopped += seconds * any(replica.frozen for replica in self.replicas)
        self.note(f"{seconds:.2f} s pass")
        self.network.expire(self.world.time)
        self.world.kill_overdue()
        self._arrive()
        if self._upgrade is not None and self._upgrade <= self.world.time:
            self._upgrade = None
            self.note("every operator is ended, to be upgraded")
            for replica in self.replicas:
                replica.kill()
        for number, time in list(self._resting.items()):
            if time <= self.world.time:
                del self._resting[number]
                self.replicas[number].boot()
                self.note(f"operator {number} starts")

    # The fair end

    def _settle(self) -> None:
        """Nothing goes wrong any more: everything must come to its end, and in time."""
        self.note("from here on nothing goes wrong")
        self._is_fair = True
        self._mend()
        since = self.world.time
        for _ in range(_FAIR_STEPS):
            self.report.steps += 1
            self._drain()
            if not self._fair_step():
                if not self._coming and not self.invariants.unfinished():
                    break
                if self.world.time > since + FAIR_SECONDS:
                    raise ViolationError(f"4: after {FAIR_SECONDS:g} s: {'; '.join(self.invariants.unfinished())}")
                self.invariants.check_waits(since)
                self._pass_time()
        else:
            raise ViolationError("4: it never ends")
        self.invariants.check_end()
        for job in self.world.server.all("hybridjobs"):
            self.report.states[job["status"]["state"]] += 1

    def _mend(self) -> None:
        for key in [key for key in self.world.server.objects if key.name in self.world.lost]:
            self.world.vanish(key)
        for replica in self.replicas:
            replica.frozen = False
            replica.skew = timedelta(0)
        if not self.scenario.elects:
            for replica in self.replicas[1:]:
                replica.retired = True
            if len(self.replicas) > 1:  # what two have done at once, one that begins anew finds and ends
                for replica in self.replicas:
                    replica.kill()
                self._resting = {0: self.world.time + _START_AFTER}
        server = self.world.server
        for job in server.all("hybridjobs"):
            if job["spec"].get("suspend"):
                server.put(key_of("hybridjobs", job), job | {"spec": job["spec"] | {"suspend": False}})
        policy = Key("quantumbackendpolicies", "", "policy")
        if policy not in server.objects:
            server.create(policy, deepcopy(self.scenario.policy))

    def _fair_step(self) -> bool:
        """Everything that can happen without time passing; whether there was anything."""
        if self.network.requests:
            for request in list(self.network.requests):
                self._answer(request)
            return True
        if ready := self.network.ready():
            for subscription in ready:
                self._deliver(subscription)
            return True
        if moves := list(self.world.moves()):
            self._move(moves[0], fair_outcome(self.chance))
            return True
        return False


def _pick(items: Sequence[_T], index: int) -> _T:
    return items[index % len(items)]


def random_choices(number: int) -> Iterator[int]:
    """The choices of the random schedule of that number."""
    chance = random.Random(f"choices {number}")
    steps = scenarios.build(number).steps
    return (chance.randrange(CHOICES) for _ in range(steps))
