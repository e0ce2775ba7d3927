"""Where a request is worked on."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

from airlock_host.serving.dispatcher import Dispatcher

SIZE = 1000


def on_the_loop() -> bool:
    return threading.current_thread() is threading.main_thread()


def slow() -> bool:
    time.sleep(0.008)
    return on_the_loop()


def run(steps: Callable[[Dispatcher], object]) -> object:
    async def session() -> object:
        return await steps(Dispatcher())  # type: ignore[misc]

    return asyncio.run(session())


def test_what_is_not_known_is_done_in_a_thread_and_what_is_quick_on_the_loop() -> None:
    async def steps(dispatcher: Dispatcher) -> list[bool]:
        return [await dispatcher.run(on_the_loop, SIZE) for _ in range(3)]

    assert run(steps) == [False, True, True]


def test_what_is_slow_stays_in_a_thread() -> None:
    async def steps(dispatcher: Dispatcher) -> list[bool]:
        return [await dispatcher.run(slow, SIZE) for _ in range(3)]

    assert run(steps) == [False, False, False]


def test_sizes_are_told_apart() -> None:
    async def steps(dispatcher: Dispatcher) -> list[bool]:
        for _ in range(3):
            await dispatcher.run(on_the_loop, SIZE)
        return [await dispatcher.run(on_the_loop, size) for size in (SIZE, 100 * SIZE)]

    assert run(steps) == [True, False]


def test_what_becomes_slow_leaves_the_loop_and_comes_back() -> None:
    async def steps(dispatcher: Dispatcher) -> list[bool]:
        await dispatcher.run(on_the_loop, SIZE)
        became_slow = [await dispatcher.run(slow, SIZE) for _ in range(5)]
        await dispatcher.run(on_the_loop, SIZE)
        return [became_slow[-1], await dispatcher.run(on_the_loop, SIZE)]

    assert run(steps) == [False, True]


def test_a_model_is_never_called_twice_at_once() -> None:
    """A quick request waits for the thread that a long one keeps busy."""
    running: list[int] = []

    def work() -> int:
        running.append(1)
        at_once = len(running)
        time.sleep(0.003)
        running.pop()
        return at_once

    async def steps(dispatcher: Dispatcher) -> int:
        await dispatcher.run(on_the_loop, SIZE)
        sizes = [10 * SIZE, SIZE, 10 * SIZE, SIZE]
        return max(await asyncio.gather(*(dispatcher.run(work, size) for size in sizes)))

    assert run(steps) == 1


def test_it_is_busy_while_a_thread_works_also_for_a_client_that_has_left() -> None:
    leave = threading.Event()

    async def steps(dispatcher: Dispatcher) -> list[bool]:
        request = asyncio.create_task(dispatcher.run(leave.wait, SIZE))
        await asyncio.sleep(0)
        busy = [dispatcher.busy]
        request.cancel()
        await asyncio.wait([request])
        busy.append(dispatcher.busy)
        leave.set()
        await dispatcher.run(on_the_loop, SIZE)  # waits its turn
        return [*busy, dispatcher.busy]

    assert run(steps) == [True, True, False]
