"""The keyed work queue: what is to be looked at, when, and never twice at once.

After client-go's rate-limited work queue: a key that is added again while it waits is one key; added while it is worked
on, it is worked on again afterwards; a key that failed comes back later and later.
"""

import asyncio
import heapq
import logging
import random
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

_FIRST_RETRY_SECONDS = 0.2
_LAST_RETRY_SECONDS = 60.0
_LONGEST_SLEEP_SECONDS = 30.0
"""The clock is looked at so often: it may be set."""

log = logging.getLogger(__name__)


class RetryLaterError(Exception):
    """The work must be tried again, not before so many seconds; no fault of the key's."""

    def __init__(self, seconds: float, why: str) -> None:
        super().__init__(why)
        self.seconds = seconds


class WorkQueue:
    """Keys and the instants at which they are due. One event loop only."""

    def __init__(self, clock: Callable[[], datetime], on_error: Callable[[str, Exception], None] = lambda *_: None):
        self._clock, self._on_error = clock, on_error
        self._ready: dict[str, None] = {}  # in the order in which they became ready
        self._working: set[str] = set()
        self._again: set[str] = set()
        self._failures: dict[str, int] = {}
        self._heap: list[tuple[datetime, str]] = []
        self._due: dict[str, datetime] = {}
        self._changed = asyncio.Event()
        self._available = asyncio.Semaphore(0)

    @property
    def depth(self) -> int:
        """How many keys are ready and wait for a worker."""
        return len(self._ready)

    def add(self, key: str) -> None:
        """The key is due now."""
        if key in self._working:
            self._again.add(key)
        elif key not in self._ready:
            self._ready[key] = None
            self._available.release()

    def add_at(self, key: str, time: datetime) -> None:
        """The key is due then, unless it already is due earlier."""
        if time <= self._clock():
            self.add(key)
            return
        due = self._due.get(key)
        if due is None or time < due:
            self._due[key] = time
            heapq.heappush(self._heap, (time, key))
            self._changed.set()

    async def run(self, work: Callable[[str], Awaitable[None]], workers: int) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_clock())
            for _ in range(workers):
                group.create_task(self._work(work))

    async def _work(self, work: Callable[[str], Awaitable[None]]) -> None:
        while True:
            await self._available.acquire()
            key = next(iter(self._ready))
            del self._ready[key]
            self._working.add(key)
            try:
                await work(key)
            except RetryLaterError as later:
                self.add_at(key, self._clock() + timedelta(seconds=later.seconds))
            except Exception as error:  # one key must not stop the others
                self._on_error(key, error)
                self.add_at(key, self._clock() + self._retry_delay(key))
            else:
                self._failures.pop(key, None)
            finally:
                self._working.discard(key)
                if key in self._again:
                    self._again.discard(key)
                    self.add(key)

    def _retry_delay(self, key: str) -> timedelta:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        seconds = min(_LAST_RETRY_SECONDS, _FIRST_RETRY_SECONDS * 2 ** (failures - 1))
        return timedelta(seconds=seconds * random.uniform(0.5, 1.0))  # noqa: S311 — jitter

    async def _watch_clock(self) -> None:
        while True:
            now = self._clock()
            while self._heap and self._heap[0][0] <= now:
                time, key = heapq.heappop(self._heap)
                if self._due.get(key) == time:  # otherwise it has become due earlier since
                    del self._due[key]
                    self.add(key)
            seconds = _LONGEST_SLEEP_SECONDS
            if self._heap:
                seconds = min(seconds, (self._heap[0][0] - now).total_seconds())
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), seconds)
            except TimeoutError:
                continue
