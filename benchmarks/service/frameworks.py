"""What web frameworks and parsers cost: CPU of the server for a small POST and a small GET.

Each server is a process: uvicorn with uvloop, 16 connections, the service's own example of an
interaction decoded by its type and answered, and weights of a user by path and query. CPU time of
the server's process says more than requests a second where the machine has other things to do.

usage: frameworks.py [--requests N] [--rounds N]
needs: pip install litestar fastapi h11 httptools psutil (frameworks that are missing are left out)
"""

from __future__ import annotations

import argparse
import importlib.util
import socket
import statistics
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import msgspec
import psutil
import uvicorn
from socket_client import Connection, Target, get, make_rows, post, press

if TYPE_CHECKING:
    from starlette.requests import Request

COMBINATIONS = (
    ("asgi", "zttp"),
    ("starlette", "zttp"),
    ("starlette", "httptools"),
    ("starlette", "h11"),
    ("litestar", "zttp"),
    ("fastapi", "zttp"),
)
WEIGHTS = {f"channel-{number}": 0.2 for number in range(5)}


class Row(msgspec.Struct, kw_only=True):
    """The example's fields."""

    feature_id: str
    interaction_type: list[str]
    position: int
    metadata: dict[str, Any] | None = None
    user_id: str | None = None
    session_id: str | None = None
    execution_id: str | None = None
    retriever_id: str | None = None
    query_snapshot: Any = None
    document_score: float | None = None
    result_set_size: int | None = None
    feature_uri: str | None = None


decode, encode = msgspec.json.Decoder(Row).decode, msgspec.json.Encoder().encode


def asgi() -> Any:
    """Return an application without a framework."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = encode(WEIGHTS)
        if scope["path"] == "/row":
            body = encode(decode((await receive())["body"]))
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def starlette() -> Any:
    """Return an application of Starlette, with msgspec."""
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Route

    async def create(request: Request) -> Response:
        return Response(encode(decode(await request.body())), media_type="application/json")

    async def weights(request: Request) -> Response:
        found = request.path_params["user"], request.query_params.get("session_id"), WEIGHTS
        return Response(encode(found), media_type="application/json")

    return Starlette(routes=[Route("/row", create, methods=["POST"]), Route("/w/{user}", weights)])


def litestar() -> Any:
    """Return an application of Litestar."""
    import litestar as framework

    async def create(data: Row) -> Row:
        return data

    async def weights(user: str, session_id: str | None = None) -> list[Any]:
        return [user, session_id, WEIGHTS]

    # Litestar reads annotations when it runs: they are texts here.
    create.__annotations__ = {"data": Row, "return": Row}
    routes = [
        framework.post("/row", status_code=200)(create),
        framework.get("/w/{user:str}")(weights),
    ]
    return framework.Litestar(routes, openapi_config=None, logging_config=None)


def fastapi() -> Any:
    """Return an application of FastAPI, with pydantic."""
    import fastapi as framework
    import pydantic

    fields = {field.name: (field.type, None) for field in msgspec.structs.fields(Row)}
    model = pydantic.create_model("Model", **fields)
    app = framework.FastAPI(openapi_url=None)

    async def create(data: Any) -> Any:
        return data

    async def weights(user: str, session_id: str | None = None) -> Any:
        return [user, session_id, WEIGHTS]

    create.__annotations__ = {"data": model, "return": model}
    app.post("/row")(create)
    app.get("/w/{user}")(weights)
    return app


def serve(framework: str, http: str) -> None:
    """Serve until terminated; print the port."""
    listening = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    app = {"asgi": asgi, "starlette": starlette, "litestar": litestar, "fastapi": fastapi}
    config = uvicorn.Config(
        app[framework](), http=http, ws="none", lifespan="off", log_config=None, access_log=False
    )
    uvicorn.Server(config).run(sockets=[listening])


def seconds(process: psutil.Process) -> float:
    """Return the CPU time that a process has taken."""
    times = process.cpu_times()
    return float(times.user + times.system)


def compare(requests: int, rounds: int) -> None:
    """Print microseconds of CPU for each request, medians of rounds."""
    with ExitStack() as stack:
        servers = {}
        for framework, http in COMBINATIONS:
            names = {framework, http} - {"asgi"}
            if any(importlib.util.find_spec(name) is None for name in names):
                continue
            command = [sys.executable, __file__, "--serve", framework, http]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            stack.callback(process.terminate)
            assert process.stdout is not None
            port = int(process.stdout.readline())
            Connection(port).call(get("/w/first", Target(port)))
            servers[framework, http] = psutil.Process(process.pid), Target(port)
        taken: dict[Any, tuple[list[float], list[float]]] = {name: ([], []) for name in servers}
        for number in range(rounds):
            for name, (process, target) in servers.items():
                rows = make_rows("any", str(number), requests, session=True)
                posts = [post("/row", row, target) for row in rows]
                gets = [get(f"/w/user-{n}?session_id=s", target) for n in range(requests)]
                for made, figures in zip((posts, gets), taken[name], strict=True):
                    before = seconds(process)
                    press(target.port, made, 1, 16, 60.0)
                    figures.append((seconds(process) - before) / requests * 1e6)
        for name, (posts, gets) in taken.items():
            medians = [statistics.median(figures) for figures in (posts, gets)]
            print(f"{name[0]:10s} {name[1]:10s} {medians[0]:6.0f} {medians[1]:6.0f} us")


def main() -> None:
    """Compare, or serve one of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=3_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--serve", nargs=2)
    options = parser.parse_args()
    if options.serve:
        serve(*options.serve)
    else:
        compare(options.requests, options.rounds)


if __name__ == "__main__":
    main()
