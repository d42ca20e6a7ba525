"""The operator process: one leader that acts, standbys that wait; Kopf watches the project's own kinds."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import kopf

from hybridjob.cluster.api_client import ApiError, KubernetesApi, Object
from hybridjob.cluster.cache import Cache
from hybridjob.cluster.elector import Elector, LeadershipLostError
from hybridjob.cluster.events import Events
from hybridjob.cluster.executor import Executor
from hybridjob.cluster.informer import Informer
from hybridjob.cluster.kinds import HYBRID_JOBS, JOBS, NAMESPACES, PODS, POLICIES, Kind
from hybridjob.cluster.kopf_registry import kopf_registry
from hybridjob.cluster.ledger import ClusterLedger, LedgerLostError
from hybridjob.cluster.metrics import Metrics
from hybridjob.cluster.policy_reports import PolicyReports
from hybridjob.cluster.reconciler import Reconciler
from hybridjob.cluster.server import serve
from hybridjob.cluster.solver_jobs import SolverSettings
from hybridjob.cluster.views import CHILDREN
from hybridjob.cluster.work_queue import WorkQueue

LEASE_NAME = "hybridjob-operator"
_SWEEP_SECONDS = 600
"""What watches have missed is found so often."""
_DRAIN_SECONDS = 10

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OperatorSettings:
    """What the installation says."""

    solvers: SolverSettings
    namespace: str
    """The operator's own: its Lease and its ledgers are there."""
    identity: str
    namespaces: tuple[str, ...] = ()
    """Whose jobs it looks after; empty for all."""
    leader_election: bool = True
    host: str = "0.0.0.0"  # noqa: S104 — in a pod, where a NetworkPolicy says who may come
    port: int = 8080
    workers: int = 16


def utc_now() -> datetime:
    return datetime.now(UTC)


class Operator:
    """All the parts, put together. One process runs one."""

    def __init__(self, api: KubernetesApi, settings: OperatorSettings, clock: Callable[[], datetime] = utc_now) -> None:
        self.api, self._settings, self._clock = api, settings, clock
        self.queue = WorkQueue(clock, self._work_failed)
        self.cache = Cache(self.queue.add)
        self.metrics = Metrics(self.cache, lambda: self.queue.depth)
        self.ledger = ClusterLedger(api, settings.namespace, clock)
        executor = Executor(api, self.cache, self.queue, self.ledger, settings.solvers, clock)
        events = Events(api, settings.identity)
        self._reconciler = Reconciler(api, self.cache, self.queue, self.ledger, executor, events, self.metrics, clock)
        self._reports = PolicyReports(api, self.cache, self.ledger, self.metrics, clock)
        self._tasks: list[asyncio.Task[Any]] = []
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Set when a part that must never end has ended."""
        self.leads = self._knows_all = False

    def is_healthy(self) -> bool:
        return not self.failed.done()

    def is_ready(self) -> bool:
        """A standby is ready to take over; a leader is when it works."""
        return self.is_healthy() and (self._knows_all or not self.leads)

    # Start and stop, called by Kopf

    async def start(self) -> None:
        """Know all there is, then begin to work: a job whose solvers have not been seen yet would get them twice."""
        await self.ledger.start()
        informers = self._informers()
        await asyncio.gather(self._list_policies(), *(informer.list() for informer in informers))
        await self._list_jobs()
        self._reconciler.count_all()
        for _, entry in self.ledger.open_entries():
            self.queue.add(entry.job_uid)
        self._knows_all = True
        log.info("knows %d jobs and %d policies", len(self.cache.jobs), len(self.cache.policies))
        self._spawn(self.queue.run(self._reconciler.reconcile, self._settings.workers))
        self._spawn(self._sweep())
        self._spawn(self._reports.run())
        for informer in informers:
            self._spawn(informer.run())

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks, timeout=_DRAIN_SECONDS) if self._tasks else None

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if not self.failed.done():
            self.failed.set_exception(error)

    def _work_failed(self, uid: str, error: Exception) -> None:
        if isinstance(error, LedgerLostError | LeadershipLostError):
            self._fail(error)
            return
        self.metrics.reconcile_errors.inc()
        record = self.cache.jobs.get(uid)
        name = f"{record.namespace}/{record.name}" if record else None
        expected = isinstance(error, ApiError)  # of an API server; anything else is a mistake of ours
        log.warning("tries again: %s", error, extra={"job": name, "uid": uid}, exc_info=None if expected else error)

    # What there is

    def _informers(self) -> list[Informer]:
        def children(kind: Kind, namespace: str | None, sweep: Any, put: Callable[[Object], Any]) -> Informer:
            def on_event(event: str, raw: Object) -> None:
                (self.cache.delete_child if event == "DELETED" else put)(raw)

            return Informer(self.api, kind, namespace, CHILDREN, lambda items: sweep(items, namespace), on_event)

        found = []
        for namespace in self._settings.namespaces or (None,):
            found.append(children(JOBS, namespace, self.cache.sweep_batch_jobs, self.cache.put_batch_job))
            found.append(children(PODS, namespace, self.cache.sweep_pods, self.cache.put_pod))

        def namespaces(items: list[Object]) -> None:
            for item in items:
                self.cache.put_namespace(item)

        found.append(Informer(self.api, NAMESPACES, None, "", namespaces, lambda _, raw: self.cache.put_namespace(raw)))
        return found

    async def _list_jobs(self) -> None:
        for namespace in self._settings.namespaces or (None,):
            present: list[str] = []
            version = 0
            async for page in self.api.pages(HYBRID_JOBS, namespace):
                version = version or int(page.resource_version)
                for raw in page.items:
                    present.append(raw["metadata"]["uid"])
                    self.cache.put_job(raw)
            self.cache.sweep_jobs(present, version, namespace)

    async def _list_policies(self) -> None:
        present = set()
        async for page in self.api.pages(POLICIES):
            for raw in page.items:
                present.add(raw["metadata"]["name"])
                self.cache.put_policy(raw)
        for name in self.cache.policies.keys() - present:
            self.cache.delete_policy(name)

    async def _sweep(self) -> None:
        """Kopf never tells of deletions that its watch has missed; a list does."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            try:
                await self._list_policies()
                await self._list_jobs()
            except ApiError as error:
                log.warning("the sweep is put off: %s", error)

    # What changes

    def on_job(self, event: str | None, raw: Object) -> None:
        if event == "DELETED":
            self.cache.delete_job(raw["metadata"]["uid"])
        else:
            self.cache.put_job(raw)

    def on_policy(self, event: str | None, raw: Object) -> None:
        if event == "DELETED":
            self.cache.delete_policy(raw["metadata"]["name"])
        else:
            self.cache.put_policy(raw)


async def run_operator(settings: OperatorSettings) -> int:
    """Run until told to stop (0), or until another process may have taken over (1)."""
    api = await KubernetesApi.connect()
    lease_api = await KubernetesApi.connect()
    elector = Elector(lease_api, settings.namespace, LEASE_NAME, settings.identity)
    operator = Operator(api, settings)
    api.on_write = operator.metrics.wrote
    if settings.leader_election:
        api.guard = elector.guard
    server = await serve(
        settings.host, settings.port, operator.metrics.registry, operator.is_healthy, operator.is_ready
    )
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    try:
        if settings.leader_election and not await _first(elector.acquire(), stopped.wait()):
            return 0
        operator.leads = True
        operator.metrics.leader.set(1)
        return await _lead(operator, elector if settings.leader_election else None, settings, stopped)
    finally:
        operator.metrics.leader.set(0)
        if settings.leader_election:
            await elector.release()
        await server.cleanup()
        await api.close()
        await lease_api.close()


async def _lead(operator: Operator, elector: Elector | None, settings: OperatorSettings, stopped: asyncio.Event) -> int:
    stop = asyncio.Event()
    watching = asyncio.create_task(
        kopf.operator(
            registry=kopf_registry(operator),
            clusterwide=not settings.namespaces,
            namespaces=settings.namespaces,
            standalone=True,
            identity=settings.identity,  # type: ignore[arg-type]  # by default made of a user name, which a container lacks
            stop_flag=stop,
        )
    )
    vital: list[asyncio.Future[Any]] = [watching, operator.failed, asyncio.create_task(stopped.wait())]
    if elector is not None:
        vital.append(asyncio.create_task(elector.keep()))
    done, _ = await asyncio.wait(vital, return_when=asyncio.FIRST_COMPLETED)
    lost = [error for task in done if (error := task.exception()) is not None]
    if any(isinstance(error, LeadershipLostError | LedgerLostError) for error in lost):
        # Another process may act already: nothing of this one may go on for as long as a clean end takes.
        log.error("another operator has taken over: %s", lost[0])
        os._exit(1)
    stop.set()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.wait([watching]), _DRAIN_SECONDS * 2)
    for task in vital:
        task.cancel()
    if lost:
        log.error("the operator ends: %s", lost[0], exc_info=lost[0])
        return 1
    return 0


async def _first(work: Any, stop: Any) -> bool:
    """Whether `work` ended before `stop` did."""
    tasks = [asyncio.ensure_future(work), asyncio.ensure_future(stop)]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    return tasks[0] in done
