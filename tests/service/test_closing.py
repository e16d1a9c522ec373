"""Log, state and threads of a service are closed however it ends."""

import asyncio
import threading

import pytest
import uvicorn

from rankloom.service import ServiceSettings, serve
from rankloom.service.app import Application
from rankloom.service.context import READERS, ServiceContext
from rankloom.service.http.tokens import add_token


@pytest.fixture
def settings(tmp_path):
    """A function that returns settings, with those that a test needs."""
    add_token(tmp_path / "tokens", "shop", "admin")

    def make(**given):
        return ServiceSettings(
            log=f"sqlite:///{tmp_path}/log.db",
            state=f"sqlite:///{tmp_path}/fusion.db",
            token_file=tmp_path / "tokens",
            **given,
        )

    return make


def is_closed(service):
    """Return whether the log is no longer followed and no thread takes work."""
    try:
        asyncio.run(service.in_thread(lambda: None))
    except RuntimeError:
        return not service.retrievers.is_alive
    return False


class Gated(ServiceContext):
    """A service whose threads are busy until it is closed."""

    def __init__(self, settings):
        super().__init__(settings)
        self.gate = threading.Event()

    async def occupy(self):
        waiting = [self.in_thread(self.gate.wait) for _ in range(READERS)]
        done = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(each) for each in done} == {TimeoutError}

    def close(self):
        self.gate.set()
        super().close()


def test_the_lifespan_closes_a_service_whose_threads_are_busy(settings):
    service = Gated(settings(request_seconds=0.05))
    sent = []

    async def live():
        async def receive():
            if not sent:
                return {"type": "lifespan.startup"}
            await service.occupy()
            return {"type": "lifespan.shutdown"}

        async def send(message):
            sent.append(message["type"])

        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        await Application(service)(scope, receive, send)

    try:
        asyncio.run(live())
        assert service.gate.is_set()
        assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
        assert is_closed(service)
    finally:
        service.close()


@pytest.mark.parametrize("fails", [(uvicorn.Config, "load"), (uvicorn.Server, "run")])
def test_a_server_that_fails_before_its_lifespan_closes_the_service(
    settings, monkeypatch, tmp_path, fails
):
    made = []

    class Seen(ServiceContext):
        def __init__(self, settings):
            super().__init__(settings)
            made.append(self)

    def fail(*_given, **_named):
        msg = "no server"
        raise RuntimeError(msg)

    monkeypatch.setattr("rankloom.service.context.ServiceContext", Seen)
    monkeypatch.setattr(*fails, fail)
    path = tmp_path / "service.sock"
    with pytest.raises(RuntimeError, match="no server"):
        serve(settings(), unix_socket=path)
    (service,) = made
    assert is_closed(service)
    assert not path.exists()
    service.close()  # again, without an error
