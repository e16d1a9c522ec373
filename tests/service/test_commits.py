"""Requests that wait for a commit: each gets its own outcome, and the loop is woken once."""

import asyncio
import threading

import pytest

from rankloom._service.commits import Commits

WAITERS = 200


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts how often another thread wakes it."""

    woken = 0

    def call_soon_threadsafe(self, *arguments, **options):
        self.woken += 1
        return super().call_soon_threadsafe(*arguments, **options)


class Writer:
    """Keeps what it is sent until it is asked to tell."""

    def __init__(self):
        self.tells = []

    def send(self, rows, tell):
        assert rows == []
        self.tells.append(tell)


@pytest.fixture
def loop():
    made = CountingLoop()
    yield made
    made.close()


async def all_waiting(writer, number):
    """Return tasks that wait already."""
    commits = Commits()
    tasks = [asyncio.ensure_future(commits.stored(writer.send, [])) for _ in range(number)]
    await asyncio.sleep(0)
    return tasks


def test_those_of_one_commit_share_one_wake_and_each_gets_its_own_outcome(loop):
    writer = Writer()

    async def main():
        tasks = await all_waiting(writer, WAITERS)
        before = loop.woken
        # The loop's own thread stands in for the writer's: nothing is told meanwhile.
        for number, tell in enumerate(writer.tells):
            if number % 2:
                tell(None, ValueError(number))
            else:
                tell([number], None)
        told = await asyncio.gather(*tasks, return_exceptions=True)
        return told, loop.woken - before

    told, woken = loop.run_until_complete(main())
    assert woken == 1
    assert told[::2] == [[n] for n in range(0, WAITERS, 2)]
    assert [error.args for error in told[1::2]] == [(n,) for n in range(1, WAITERS, 2)]


def test_nobody_is_forgotten_while_threads_finish_at_any_time(loop):
    writer = Writer()

    def finish(start):
        for number in range(start, len(writer.tells), 4):
            writer.tells[number]([number], None)

    async def main():
        tasks = await all_waiting(writer, 2_000)
        threads = [threading.Thread(target=finish, args=(start,)) for start in range(4)]
        for thread in threads:
            thread.start()
        told = await asyncio.wait_for(asyncio.gather(*tasks), 120)
        for thread in threads:
            thread.join()
        return told

    assert loop.run_until_complete(main()) == [[n] for n in range(2_000)]


def test_who_gave_up_waiting_holds_up_nobody(loop):
    writer = Writer()

    async def main():
        gone, stays = await all_waiting(writer, 2)
        gone.cancel()
        await asyncio.sleep(0)
        for tell, receipt in zip(writer.tells, ("gone", "stays"), strict=True):
            tell([receipt], None)
        return await stays, gone.cancelled()

    assert loop.run_until_complete(main()) == (["stays"], True)


def test_a_later_loop_is_told_though_an_earlier_one_is_closed(loop):
    commits, writer = Commits(), Writer()
    earlier = asyncio.SelectorEventLoop()
    waiting = earlier.create_task(commits.stored(writer.send, []))
    earlier.call_later(0.0, waiting.cancel)
    with pytest.raises(asyncio.CancelledError):
        earlier.run_until_complete(waiting)
    earlier.close()
    writer.tells[0]([], None)

    def send(_, tell):
        threading.Timer(0.05, tell, [["told"], None]).start()

    told = asyncio.wait_for(commits.stored(send, []), 120)
    assert loop.run_until_complete(told) == ["told"]
