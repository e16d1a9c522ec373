"""A small service that lists interactions over HTTP, and misbehaves on request."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TOKEN = "secret-token-7"  # noqa: S105 - of this service only
LIST = "/v1/retrievers/interactions/list"


class Service(ThreadingHTTPServer):
    """Lists `rows`, which are sorted by timestamp, by cursor or by numbered pages.

    Where it is `bare`, its answers leave out the fields of pages that do not exist. `script` holds
    what the next requests meet instead of an answer: functions of the handler that return whether
    they have answered.
    """

    daemon_threads = True

    def __init__(self, rows, *, cursors=True, overlap=0, bare=False):
        super().__init__(("127.0.0.1", 0), Handler)
        self.rows, self.cursors, self.overlap, self.bare = rows, cursors, overlap, bare
        self.script, self.requests = [], []
        self.lock = threading.Lock()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """Answers as the interface says."""

    protocol_version = "HTTP/1.1"
    timeout = 20

    def do_POST(self):
        service = self.server
        parts = urlsplit(self.path)
        self.query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        self.body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with service.lock:
            service.requests.append((parts.path, self.query, self.body, dict(self.headers)))
            act = service.script.pop(0) if service.script else None
        if act is not None and act(self):
            return
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            self.answer(401, {"error": {"message": f"bad {self.headers['Authorization']}"}})
        elif parts.path != LIST:
            self.answer(404, {"error": {"message": "no such route"}})
        else:
            self.answer(200, self.listed(service))

    def listed(self, service):
        """Return one page."""
        rows = service.rows
        for name in ("retriever_id",):
            if name in self.body:
                rows = [row for row in rows if row.get(name) == self.body[name]]
        for condition in self.body.get("filters", {}).get("AND", []):
            since = condition["value"].replace("+00:00", "Z")
            rows = [r for r in rows if not isinstance(r, dict) or r.get("timestamp", "~") >= since]
        size = int(self.query["page_size"])
        if service.cursors:
            start = int(self.query.get("cursor", "0").removeprefix("c"))
        else:
            start = (int(self.query.get("page", 1)) - 1) * size
        end = start + size
        paging = {"page_size": size}
        if not service.bare:
            page = None if service.cursors else int(self.query.get("page", 1))
            paging |= {"next_cursor": None, "next_page": None, "page": page}
        if service.cursors and end < len(rows):
            paging["next_cursor"] = f"c{end - service.overlap}"
        return {"results": rows[start:end], "items": rows[start:end], "pagination": paging}

    def answer(self, status, value, **headers):
        """Send JSON."""
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        return True

    def log_message(self, *_):
        """Log nothing."""


def status(code, **headers):
    """Return an act that answers with a status."""
    return lambda handler: handler.answer(code, {"error": {"message": f"no: {code}"}}, **headers)


def raw(data):
    """Return an act that answers 200 with the given bytes."""
    return lambda handler: handler.answer(200, data)


def cut(handler):
    """Promise more than is sent, and hang up."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"results": [')
    handler.close_connection = True
    return True


def hang_up(handler):
    """Close the connection without an answer."""
    handler.close_connection = True
    return True


@contextmanager
def running(service):
    """Serve in a thread until the block ends."""
    thread = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield service
    finally:
        service.shutdown()
        service.server_close()
        thread.join()
