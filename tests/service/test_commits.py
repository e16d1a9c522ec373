"""Requests that wait for a commit: each gets its own outcome, and the loop is woken once."""

import asyncio
import contextlib
import http.client
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from rankloom.datasets import InteractionLog
from rankloom.service.commits import Commits

WAITERS = 200


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts how often another thread wakes it."""

    woken = 0

    def call_soon_threadsafe(self, *arguments, **options):
        self.woken += 1
        return super().call_soon_threadsafe(*arguments, **options)


class Writer:
    """Keeps what it is sent until it is asked to callback."""

    def __init__(self):
        self.callbacks = []

    def send(self, rows, callback):
        assert rows == []
        self.callbacks.append(callback)


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


@contextlib.contextmanager
def held(log):
    """Keep a log's writer from its next commit, as a slow disk does."""
    busy, free = threading.Event(), threading.Event()

    def hold(_):
        busy.set()
        assert free.wait(120)

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(log._file.writer.run, hold)
        try:
            assert busy.wait(120)
            yield
        finally:
            free.set()
        holding.result(120)


def row(document):
    return {"feature_id": document, "interaction_type": ["click"], "position": 0}


def stored(log):
    return sorted(each.feature_id for each in log.find().items)


def test_those_of_one_commit_share_one_wake_and_each_gets_its_own_outcome(loop):
    writer = Writer()

    async def main():
        tasks = await all_waiting(writer, WAITERS)
        before = loop.woken
        # The loop's own thread stands in for the writer's: nothing is answered meanwhile.
        for number, callback in enumerate(writer.callbacks):
            if number % 2:
                callback(None, ValueError(number))
            else:
                callback([number], None)
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        return answers, loop.woken - before

    answers, woken = loop.run_until_complete(main())
    assert woken == 1
    assert answers[::2] == [[n] for n in range(0, WAITERS, 2)]
    assert [error.args for error in answers[1::2]] == [(n,) for n in range(1, WAITERS, 2)]


def test_nobody_is_forgotten_while_threads_finish_at_any_time(loop):
    writer = Writer()

    def finish(start):
        for number in range(start, len(writer.callbacks), 4):
            writer.callbacks[number]([number], None)

    async def main():
        tasks = await all_waiting(writer, 2_000)
        threads = [threading.Thread(target=finish, args=(start,)) for start in range(4)]
        for thread in threads:
            thread.start()
        answers = await asyncio.wait_for(asyncio.gather(*tasks), 120)
        for thread in threads:
            thread.join()
        return answers

    assert loop.run_until_complete(main()) == [[n] for n in range(2_000)]


def test_who_gave_up_waiting_is_stored_all_the_same_and_holds_up_nobody(loop, tmp_path):
    async def main(log):
        commits, send = Commits(), log._file.writer.send
        with held(log):
            gone, stays = (
                asyncio.ensure_future(commits.stored(send, [log.prepare(row(name))]))
                for name in ("gone", "stays")
            )
            await asyncio.sleep(0)
            assert log.waiting == 2
            gone.cancel()
            await asyncio.sleep(0)
        receipts = await asyncio.wait_for(stays, 120)
        return [each.status for each in receipts], gone.cancelled()

    with InteractionLog(f"sqlite:///{tmp_path}/log.db") as log:
        assert loop.run_until_complete(main(log)) == (["created"], True)
        assert stored(log) == ["gone", "stays"]


def test_a_request_whose_client_hung_up_after_sending_it_is_stored(serve_with, wait_until):
    client = serve_with()
    log = client.service.log
    headers = client.tokens.headers("ingest") | {"content-type": "application/json"}
    with ThreadPoolExecutor(1) as pool, held(log):
        gone = http.client.HTTPConnection(client.host, client.port, timeout=120)
        with contextlib.closing(gone):
            gone.request("POST", "/v1/retrievers/interactions", json.dumps(row("gone")), headers)
            wait_until(lambda: log.waiting == 1)
        staying = pool.submit(client.post, row("stays"))
        wait_until(lambda: log.waiting == 2)
    assert staying.result(120).json()["feature_id"] == "stays"
    assert stored(log.within("shop")) == ["gone", "stays"]
    wait_until(lambda: client.service.limits.requests == 0)


def test_a_later_loop_is_notified_though_an_earlier_one_is_closed(loop):
    commits, writer = Commits(), Writer()
    earlier = asyncio.SelectorEventLoop()
    waiting = earlier.create_task(commits.stored(writer.send, []))
    earlier.call_later(0.0, waiting.cancel)
    with pytest.raises(asyncio.CancelledError):
        earlier.run_until_complete(waiting)
    earlier.close()
    writer.callbacks[0]([], None)

    def send(_, callback):
        threading.Timer(0.05, callback, [["stored"], None]).start()

    answers = asyncio.wait_for(commits.stored(send, []), 120)
    assert loop.run_until_complete(answers) == ["stored"]
