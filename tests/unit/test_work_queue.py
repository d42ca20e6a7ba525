"""The keyed work queue, under a clock that the test holds."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from hybridjob.cluster.work_queue import RetryLaterError, WorkQueue
from support.build import START


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


async def settle() -> None:
    """Let every task run as far as it can without time passing."""
    for _ in range(50):
        await asyncio.sleep(0)


def driven(
    work: Callable[[str], Awaitable[None]], script: Callable[[WorkQueue, Clock], Awaitable[None]], workers: int = 4
) -> None:
    """Run the script against a queue with workers."""

    async def main() -> None:
        clock = Clock()
        queue = WorkQueue(clock)
        running = asyncio.create_task(queue.run(work, workers))
        await settle()
        await script(queue, clock)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(main())


def test_a_key_that_is_added_twice_before_it_is_worked_on_is_worked_on_once() -> None:
    seen: list[str] = []

    async def work(key: str) -> None:
        seen.append(key)

    async def script(queue: WorkQueue, _: Clock) -> None:
        for key in ("a", "b", "a", "a"):
            queue.add(key)
        await settle()

    driven(work, script)
    assert Counter(seen) == {"a": 1, "b": 1}


def test_a_key_that_is_added_while_it_is_worked_on_is_worked_on_again_and_never_twice_at_once() -> None:
    working: Counter[str] = Counter()
    finished: list[str] = []
    gate = asyncio.Event()

    async def work(key: str) -> None:
        working[key] += 1
        assert working[key] == 1
        await gate.wait()
        working[key] -= 1
        finished.append(key)

    async def script(queue: WorkQueue, _: Clock) -> None:
        queue.add("a")
        await settle()
        queue.add("a")
        queue.add("a")
        await settle()
        assert finished == []
        gate.set()
        await settle()

    driven(work, script)
    assert finished == ["a", "a"]


def test_a_key_is_due_at_the_earliest_of_its_times() -> None:
    seen: list[str] = []

    async def work(key: str) -> None:
        seen.append(key)

    async def script(queue: WorkQueue, clock: Clock) -> None:
        queue.add_at("a", START + timedelta(seconds=20))
        queue.add_at("a", START + timedelta(seconds=10))
        clock.now += timedelta(seconds=11)
        queue.add_at("wake", START)  # in the past: now, which also makes the queue look at its clock
        queue.add_at("later", START + timedelta(seconds=40))
        await settle()
        assert Counter(seen) == {"a": 1, "wake": 1}

    driven(work, script)


def test_a_key_that_fails_comes_back_later_and_does_not_stop_the_others() -> None:
    seen: list[str] = []
    errors: list[str] = []

    async def work(key: str) -> None:
        seen.append(key)
        if key == "bad":
            raise ValueError("poison")

    async def main() -> None:
        clock = Clock()
        queue = WorkQueue(clock, lambda key, error: errors.append(f"{key}: {error}"))
        running = asyncio.create_task(queue.run(work, 1))
        queue.add("bad")
        queue.add("good")
        await settle()
        assert seen == ["bad", "good"]
        assert errors == ["bad: poison"]
        clock.now += timedelta(seconds=1)
        queue.add_at("x", clock.now + timedelta(hours=1))  # makes the queue look at its clock
        await settle()
        assert seen == ["bad", "good", "bad"]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(main())


def test_work_that_asks_to_be_tried_later_is_no_error() -> None:
    errors: list[Exception] = []

    async def work(key: str) -> None:
        raise RetryLaterError(5, "too many requests")

    async def main() -> None:
        queue = WorkQueue(Clock(), lambda _, error: errors.append(error))
        running = asyncio.create_task(queue.run(work, 1))
        queue.add("a")
        await settle()
        assert errors == []
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(main())


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30)), max_size=30), st.integers(1, 4))
def test_each_key_is_worked_on_when_it_is_first_due_and_not_before(times: list[tuple[str, int]], workers: int) -> None:
    worked: dict[str, int] = {}

    async def main() -> None:
        clock = Clock()

        async def work(key: str) -> None:
            worked.setdefault(key, int((clock.now - START).total_seconds()))

        queue = WorkQueue(clock)
        running = asyncio.create_task(queue.run(work, workers))
        for key, seconds in times:
            queue.add_at(key, START + timedelta(seconds=seconds))
        for second in range(31):
            clock.now = START + timedelta(seconds=second)
            queue.add_at("tick", clock.now + timedelta(microseconds=1))  # makes the queue look at its clock
            await settle()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(main())
    due = {key: min(seconds for k, seconds in times if k == key) for key, _ in times}
    assert {key: second for key, second in worked.items() if key != "tick"} == due
