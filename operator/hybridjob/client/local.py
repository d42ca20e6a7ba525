"""The laptop's jobs: those of a state directory. What is submitted or taken over here runs in this process."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from hybridjob.api.given import Given
from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.manifests import DEFAULT_NAMESPACE
from hybridjob.client.errors import ClientError, JobEndedError, NoSuchJobError, PayloadError
from hybridjob.client.jobs import Moment, News, has_ended, parse_payload, require_jobs, result_of
from hybridjob.client.worlds import Laptop
from hybridjob.contract.progress import Progress
from hybridjob.contract.verdict import Payload
from hybridjob.local.errors import StateError, UnknownJobError
from hybridjob.local.runner import Runner, utc_now
from hybridjob.local.store import Store
from hybridjob.local.submission import check_can_end_here, read_jobs

_POLL_SECONDS = 0.3
"""How often another process's job is looked at: SQLite tells nobody of a change."""


class LocalJobs:
    """The jobs of a state directory, and the observer of its own runner."""

    history_title = "Transitions"
    left_alone = "`hybridjob resume` goes on from here"

    def __init__(self, laptop: Laptop) -> None:
        self._laptop = laptop
        self._drives: dict[str, asyncio.Task[None]] = {}
        self._watchers: dict[str, set[asyncio.Queue[News | None]]] = {}

    @cached_property
    def _store(self) -> Store:
        """Opened when it is needed: input that is wrong leaves no trace."""
        return Store(self._laptop.state)

    @cached_property
    def _runner_name(self) -> str:
        return self._store.register_runner()

    @cached_property
    def _runner(self) -> Runner:
        return Runner(self._store, self._runner_name, self, self._laptop.slots)

    @property
    def _namespace(self) -> str:
        return self._laptop.namespace or DEFAULT_NAMESPACE

    async def submit(self, given: Sequence[Given], only_one: bool = False) -> list[HybridJob]:
        # In a thread: solvers may be asked, and the jobs that run already are to go on.
        jobs = await asyncio.to_thread(
            read_jobs,
            given,
            self._laptop.policy_file,
            utc_now(),
            check_can_end_here,
            namespace=self._namespace,
        )
        require_jobs(len(jobs), only_one)
        with _in_words():
            self._store.submit(jobs, self._runner_name)
        for stored in jobs:
            self._drive(stored.uid)
        return [stored.job for stored in jobs]

    async def resume(self) -> list[HybridJob]:
        """Take over the jobs that an ended process left behind."""
        with _in_words():
            uids = self._store.adopt(self._runner_name)
            for uid in uids:
                self._drive(uid)
            return [self._store.get(uid).job for uid in uids]

    async def get(self, name: str) -> HybridJob:
        """The newest job of that name; or the job with that uid, or a unique beginning of one."""
        with _in_words():
            return self._store.find(name, self._namespace).job

    async def all(self) -> list[HybridJob]:
        with _in_words():
            jobs = [stored.job for stored in self._store.all()]
        return [job for job in jobs if self._laptop.namespace in (None, job.metadata.namespace)]

    async def refresh(self, job: HybridJob) -> HybridJob:
        with _in_words():
            return self._store.get(job.metadata.uid or "").job

    async def watch(self, job: HybridJob) -> AsyncIterator[News]:
        """A job that an ended process left behind is taken over."""
        uid = job.metadata.uid or ""
        news: asyncio.Queue[News | None] = asyncio.Queue()
        watchers = self._watchers.setdefault(uid, set())
        watchers.add(news)
        try:
            current = await self.refresh(job)
            yield current
            while not has_ended(current):
                item = await self._next(current, news)
                if item is not None and item != current:
                    yield item
                if isinstance(item, HybridJob):
                    current = item
        finally:
            watchers.discard(news)

    async def _next(self, current: HybridJob, news: "asyncio.Queue[News | None]") -> News | None:
        uid = current.metadata.uid or ""
        if not self._is_driven(uid):
            await asyncio.sleep(_POLL_SECONDS)
            return await self.refresh(current)
        drive = self._drives[uid]
        if not drive.done():
            return await news.get()
        if (error := drive.exception()) is not None:
            if not isinstance(error, StateError):
                raise error
            raise ClientError(
                f"job {current.metadata.name} was left behind: {error}; `hybridjob resume` goes on with it"
            ) from error
        return await self.refresh(current)

    def _is_driven(self, uid: str) -> bool:
        """Whether the job is driven here; one that is driven nowhere is taken over."""
        if uid in self._drives:
            return True
        with _in_words():
            if not self._store.adopt(self._runner_name, [uid]):
                return False
        self._drive(uid)
        return True

    def _drive(self, uid: str) -> None:
        self._drives[uid] = self._runner.start(uid)
        self._drives[uid].add_done_callback(lambda _: self._tell(uid, None))

    async def cancel(self, job: HybridJob) -> None:
        name, uid = job.metadata.name, job.metadata.uid or ""
        if has_ended(await self.refresh(job)):
            raise JobEndedError(f"job {name} has already ended")
        with _in_words():
            self._store.request_cancel(uid)
        was_driven = uid in self._drives
        if self._is_driven(uid) and not was_driven:
            async for _ in self.watch(job):  # left behind: nobody but this process will end it
                pass

    async def payload(self, job: HybridJob) -> Payload:
        result = result_of(job)
        try:
            content = Path(result.reference or "").read_bytes()
        except OSError as error:
            raise PayloadError(f"the payload {result.reference} cannot be read: {error.strerror}") from error
        return parse_payload(content, result)

    async def history(self, job: HybridJob) -> list[Moment]:
        with _in_words():
            transitions = self._store.transitions(job.metadata.uid or "")
        return [Moment(transition.time, transition.state, transition.message) for transition in transitions]

    async def close(self) -> None:
        """The jobs that have not ended are left as an interrupted run leaves them."""
        if "_runner" in self.__dict__:
            await self._runner.stop()
        if "_store" in self.__dict__:
            self._store.close()

    # The runner's observer

    def status_changed(self, job: HybridJob) -> None:
        self._tell(job.metadata.uid or "", job)

    def progressed(self, uid: str, progress: Progress) -> None:
        self._tell(uid, progress)

    def _tell(self, uid: str, news: News | None) -> None:
        """None: look again."""
        for queue in self._watchers.get(uid, ()):
            queue.put_nowait(news)


@contextmanager
def _in_words() -> Iterator[None]:
    """The store's errors as the client's."""
    try:
        yield
    except UnknownJobError as error:
        raise NoSuchJobError(str(error)) from error
    except StateError as error:
        raise ClientError(str(error)) from error
