"""An event loop without a clock and without sockets: it runs what is ready when it is told to, and never waits.

Each operator process has one. Not running it is what SIGSTOP does to a process; forgetting it is what SIGKILL does.
"""

import asyncio
import contextvars
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

_MAX_CALLBACKS = 100_000
"""More of them without time passing is a loop that spins."""


class SpinningError(Exception):
    """The code under test never waits for anything."""


class VirtualLoop(asyncio.AbstractEventLoop):
    """What asyncio's tasks, futures and timeouts need of a loop, and no more."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._count = 0
        self._closed = False

    # Driven by the explorer

    def drain(self) -> None:
        """Run all that is ready, and what that makes ready, at this instant."""
        asyncio._set_running_loop(self)
        try:
            for _ in range(_MAX_CALLBACKS):
                self._fire_timers()
                if not self._ready:
                    return
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()
        finally:
            asyncio._set_running_loop(None)
        raise SpinningError

    def next_timer(self) -> float | None:
        """When this loop has something to do again by itself."""
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def bury(self) -> None:
        """End what runs on it. Nothing of that may reach the world any more."""
        for _ in range(5):
            for task in asyncio.all_tasks(self):
                task.cancel()
            self.drain()
        self._ready.clear()
        self._timers.clear()
        self._closed = True

    def _fire_timers(self) -> None:
        while self._timers and self._timers[0][0] <= self._monotonic():
            handle = heapq.heappop(self._timers)[2]
            if not handle.cancelled():
                self._ready.append(handle)

    # Used by asyncio

    def time(self) -> float:
        return self._monotonic()

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return not self._closed

    def is_closed(self) -> bool:
        return self._closed

    def call_soon(
        self, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        if not self._closed:
            self._ready.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._monotonic() + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._count += 1
        heapq.heappush(self._timers, (when, self._count, handle))
        return handle

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Coroutine[Any, Any, Any],
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
        **_: Any,
    ) -> "asyncio.Task[Any]":
        return asyncio.Task(coro, loop=self, name=name, context=context)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """What asyncio complains of when a process is forgotten in the middle of something."""

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Cancelled timers are skipped when they are due."""
