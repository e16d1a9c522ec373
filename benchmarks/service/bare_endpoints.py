"""The bare endpoints that the service is compared with: same framework, same server, no work.

usage: bare_endpoints.py DATABASE (prints its port, serves until it is terminated)
"""

from __future__ import annotations

import asyncio
import json
import queue
import socket
import sqlite3
import sys
import threading
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

IDS = [f"0192f3a4-5b6c-7d8e-8f90-{number:012x}" for number in range(1_000)]
WEIGHTS = {
    "retriever_id": "learning",
    "user_id": "user-1",
    "enabled": True,
    "weights": {f"mixpeek://channel-{i}": 0.2 for i in range(5)},
}


async def constant(request: Request) -> Response:
    """Read the whole body and answer always the same."""
    await request.body()
    return Response(b'{"success":true}', media_type="application/json")


async def decoded(request: Request) -> Response:
    """Decode the body and answer as many ids as it has rows."""
    body = json.loads(await request.body())
    return JSONResponse(IDS[: len(body["interactions"]) if "interactions" in body else 1])


class Inserted:
    """An endpoint that answers when the body is committed: all that wait share one commit."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._waiting: queue.SimpleQueue[tuple[bytes, asyncio.Future[None]]] = queue.SimpleQueue()
        threading.Thread(target=self._write, daemon=True).start()

    async def __call__(self, request: Request) -> Response:
        """Store the body in one table without any index."""
        body = await request.body()
        done = asyncio.get_running_loop().create_future()
        self._waiting.put((body, done))
        await done
        return Response(b'{"success":true}', media_type="application/json")

    def _write(self) -> None:
        connection = sqlite3.connect(self._path, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE bare (body BLOB)")
        while True:
            group = [self._waiting.get()]
            while not self._waiting.empty():
                group.append(self._waiting.get())
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO bare VALUES (?)", [(body,) for body, _ in group])
            connection.execute("COMMIT")
            group[0][1].get_loop().call_soon_threadsafe(_resolve, [done for _, done in group])


def _resolve(group: list[asyncio.Future[None]]) -> None:
    for done in group:
        done.set_result(None)


async def weights(request: Request) -> Response:
    """Answer what an answer with weights looks like."""
    del request
    return JSONResponse(WEIGHTS)


def main() -> None:
    """Serve as `rankloom serve` does: uvloop, zttp, no access log, no extra headers."""
    app = Starlette(
        routes=[
            Route("/constant", constant, methods=["POST"]),
            Route("/decoded", decoded, methods=["POST"]),
            Route("/inserted", endpoint=Inserted(sys.argv[1]).__call__, methods=["POST"]),
            Route("/weights/{user_id}", weights),
        ]
    )
    listening = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="zttp",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
