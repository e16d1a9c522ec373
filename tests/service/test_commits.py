"""Requests that wait for a commit: each gets its own outcome, and the loop is woken once."""

import asyncio
import threading
from concurrent.futures import Future

import pytest

from rankloom._service.commits import Commits

WAITERS = 200


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts how often another thread wakes it."""

    woken = 0

    def call_soon_threadsafe(self, *arguments, **options):
        self.woken += 1
        return super().call_soon_threadsafe(*arguments, **options)


@pytest.fixture
def loop():
    made = CountingLoop()
    yield made
    made.close()


async def all_waiting(commits, futures):
    """Return tasks that wait already."""
    tasks = [asyncio.ensure_future(commits.done(future)) for future in futures]
    await asyncio.sleep(0)
    return tasks


def test_those_of_one_commit_share_one_wake_and_each_gets_its_own_outcome(loop):
    commits, futures = Commits(), [Future() for _ in range(WAITERS)]

    async def main():
        tasks = await all_waiting(commits, futures)
        before = loop.woken
        # The loop's own thread stands in for the writer's: nothing is told meanwhile.
        for number, future in enumerate(futures):
            if number % 2:
                future.set_exception(ValueError(number))
            else:
                future.set_result(number)
        told = await asyncio.gather(*tasks, return_exceptions=True)
        return told, loop.woken - before

    told, woken = loop.run_until_complete(main())
    assert woken == 1
    assert told[::2] == list(range(0, WAITERS, 2))
    assert [error.args for error in told[1::2]] == [(n,) for n in range(1, WAITERS, 2)]


def test_nobody_is_forgotten_while_threads_finish_at_any_time(loop):
    commits, futures = Commits(), [Future() for _ in range(2_000)]

    def finish(start):
        for number in range(start, len(futures), 4):
            futures[number].set_result(number)

    async def main():
        tasks = await all_waiting(commits, futures)
        threads = [threading.Thread(target=finish, args=(start,)) for start in range(4)]
        for thread in threads:
            thread.start()
        told = await asyncio.wait_for(asyncio.gather(*tasks), 30)
        for thread in threads:
            thread.join()
        return told

    assert loop.run_until_complete(main()) == list(range(2_000))


def test_who_gave_up_waiting_holds_up_nobody(loop):
    commits, futures = Commits(), [Future(), Future()]

    async def main():
        gone, stays = await all_waiting(commits, futures)
        gone.cancel()
        await asyncio.sleep(0)
        futures[0].set_result("gone")
        futures[1].set_result("stays")
        return await stays, gone.cancelled()

    assert loop.run_until_complete(main()) == ("stays", True)
    assert futures[0].result() == "gone"


def test_a_later_loop_is_told_though_an_earlier_one_is_closed(loop):
    commits, left = Commits(), Future()
    earlier = asyncio.SelectorEventLoop()
    waiting = earlier.create_task(commits.done(left))
    earlier.call_later(0.0, waiting.cancel)
    with pytest.raises(asyncio.CancelledError):
        earlier.run_until_complete(waiting)
    earlier.close()
    left.set_result(None)
    later = Future()
    threading.Timer(0.05, later.set_result, ["told"]).start()
    assert loop.run_until_complete(asyncio.wait_for(commits.done(later), 30)) == "told"
