"""One operator process: the real Operator with all its parts on a loop of its own, and Kopf's two watches in place of
Kopf."""

import asyncio
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from tests.simulation.loops import VirtualLoop
from tests.simulation.network import Network, SimulatedApi
from tests.simulation.scenario import SYSTEM

from hybridjob.cluster.api_client import ApiError
from hybridjob.cluster.elector import Elector, LeadershipLostError
from hybridjob.cluster.kinds import HYBRID_JOBS, POLICIES, Kind
from hybridjob.cluster.ledger import LedgerLostError
from hybridjob.cluster.operator import LEASE_NAME, Operator, OperatorSettings
from hybridjob.cluster.solver_jobs import SolverSettings

_SOLVERS = SolverSettings(images={None: "classical", "Qiskit": "qiskit", "Cirq": "cirq"})
_START_AGAIN_SECONDS = 5.0
"""How long Kopf waits before it repeats a handler of its startup that failed."""


class Replica:
    """A place where an operator process runs, dies and is started again."""

    def __init__(
        self,
        number: int,
        network: Network,
        monotonic: Callable[[], float],
        clock: Callable[[], datetime],
        elects: bool,
    ) -> None:
        self.number, self._network, self._monotonic, self._world_clock = number, network, monotonic, clock
        self._elects = elects
        self.skew = timedelta(0)
        """How far its host's clock is off."""
        self.frozen = False
        self.retired = False
        """Whether it is not started again."""
        self.lives = 0
        self.deaths: list[BaseException] = []
        """Errors of ours that ended it: not those by which one operator makes room for another."""
        self.operator: Operator | None = None
        self._loop: VirtualLoop | None = None
        self._main: asyncio.Task[Any] | None = None

    @property
    def owner(self) -> str:
        return f"operator-{self.number}.{self.lives}"

    @property
    def is_alive(self) -> bool:
        return self._loop is not None

    def clock(self) -> datetime:
        return self._world_clock() + self.skew

    def boot(self) -> None:
        self.lives += 1
        self.frozen = False
        self._loop = loop = VirtualLoop(self._monotonic)
        self._main = loop.create_task(self._run(loop))

    def drain(self) -> None:
        """Let it do what it can do now; take note if that was its end."""
        if self._loop is None or self.frozen:
            return
        self._loop.drain()
        if self._main is not None and self._main.done():
            error = self._main.exception()
            if error is not None and not isinstance(error, LeadershipLostError | LedgerLostError):
                self.deaths.append(error)
            self.kill()

    def kill(self) -> None:
        """SIGKILL: memory and all that it was about to do are gone."""
        if self._loop is None:
            return
        self._network.forget(self.owner)
        under_way = list(self._network.requests)
        self._loop.bury()
        self._network.requests[:] = under_way  # what its tasks asked for while they were buried was never sent
        self._network.forget(self.owner)
        self._loop = self._main = self.operator = None

    def next_timer(self) -> float | None:
        return None if self._loop is None or self.frozen else self._loop.next_timer()

    async def _run(self, loop: VirtualLoop) -> None:
        """As `run_operator` and `_lead` do it, with `os._exit` replaced by the end of this task."""
        api = SimulatedApi(self._network, self.owner, loop)
        elector = Elector(
            SimulatedApi(self._network, self.owner, loop), SYSTEM, LEASE_NAME, self.owner, self._monotonic
        )
        settings = OperatorSettings(_SOLVERS, SYSTEM, self.owner, leader_election=self._elects, workers=4)
        self.operator = operator = Operator(api, settings, self.clock)
        vital: list[asyncio.Future[Any]] = [operator.failed]
        if self._elects:
            api.guard = elector.guard
            await elector.acquire()
            vital.append(loop.create_task(elector.keep()))
        operator.leads = True
        vital.append(loop.create_task(self._watch(operator, api)))
        done, _ = await asyncio.wait(vital, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def _watch(self, operator: Operator, api: SimulatedApi) -> None:
        """What Kopf does: start the operator, then list and watch the project's own kinds."""
        while True:
            try:
                await operator.start()
                break
            except ApiError:
                await asyncio.sleep(_START_AGAIN_SECONDS)
                self._network.told.pop(self.owner, None)  # it lists all anew, and knows no more than that
        await asyncio.gather(
            _pump(api, HYBRID_JOBS, operator.on_job),
            _pump(api, POLICIES, operator.on_policy),
        )


async def _pump(api: SimulatedApi, kind: Kind, on_event: Callable[[str | None, Any], None]) -> None:
    """List, then watch; after a watch that is too old, list again: what was deleted meanwhile is never told of."""
    version = ""
    while True:
        try:
            if not version:
                async for page in api.pages(kind):
                    for item in page.items:
                        on_event(None, item)
                    version = page.resource_version
            async for event, item in api.watch(kind, None, "", version):
                version = item["metadata"]["resourceVersion"]
                on_event(event, item)
        except ApiError as error:
            if error.is_gone:
                version = ""
            await asyncio.sleep(random.uniform(0.5, 1.0))
