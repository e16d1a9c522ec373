"""One way to request JSON from an HTTP service: patient, bounded, and silent about its token."""

from __future__ import annotations

import ipaddress
import time
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import urlencode, urlsplit

import msgspec

from ....errors import InvalidInputError, StoreError
from ...record.json_depth import is_too_deep

try:
    import urllib3
    from urllib3.exceptions import HTTPError, InvalidHeader, MaxRetryError, SSLError
    from urllib3.util import Retry, Timeout
except ImportError as error:
    message = "reading over HTTP needs urllib3: pip install 'rankloom[mixpeek]'"
    raise InvalidInputError(message) from error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from urllib3 import BaseHTTPResponse

RETRIED: Final = frozenset({429, 502, 503, 504})
"""Answers after which the same request is sent again."""

MAX_ANSWER_BYTES: Final = 64_000_000
"""Largest answer that is read: 1,000 records of 64 KB."""

MAX_WAIT: Final = 300.0
"""Seconds that a service can make the client wait before one attempt."""

MAX_TIMEOUTS: Final = 20
"""How many times the timeout an answer may take that arrives in small parts."""

CHUNK_BYTES: Final = 1 << 16


class PacedRetry(Retry):
    """urllib3's retries, each after the wait that the service requests and at the client's pace.

    A certificate that is refused will be refused again, so there is no second attempt.
    """

    def __init__(self, pace: Callable[[], None], **settings: Any) -> None:
        self._pace = pace
        super().__init__(**settings)

    def new(self, **changes: Any) -> PacedRetry:
        """Return a copy; urllib3 makes one for every attempt."""
        return super().new(pace=self._pace, **changes)

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        *context: Any,
        **more: Any,
    ) -> PacedRetry:
        """Count an attempt, or raise if it was the last one."""
        if isinstance(error, SSLError):
            raise error
        return super().increment(method, url, response, error, *context, **more)

    def sleep(self, response: BaseHTTPResponse | None = None) -> None:
        """Wait for what the service requests, else for the growing pause."""
        requested = None
        if response is not None:
            try:
                requested = self.get_retry_after(response)
            except InvalidHeader:
                requested = None
        time.sleep(min(self.get_backoff_time() if requested is None else requested, MAX_WAIT))
        self._pace()


class JsonClient:
    """Sends JSON to one service and returns the JSON that it answers.

    `base_url`: ``https://host[:port][/path]``; ``http`` only where the host is this machine.
    `token`: sent as bearer; in no message and in no representation.
    `timeout`: seconds to wait for a connection, and for each part of an answer.
    `retries`: attempts after the first for one request.
    """

    def __init__(
        self,
        base_url: str,
        *,
        token: str,
        headers: Mapping[str, str],
        timeout: float,
        retries: int,
        requests_per_second: float,
    ) -> None:
        self.base_url = checked_url(base_url)
        self._token = token
        self._headers = {
            **headers,
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "User-Agent": "rankloom",
        }
        self._timeout, self._attempts = timeout, retries + 1
        self._retry = PacedRetry(
            self._keep_pace,
            total=retries,
            status_forcelist=RETRIED,
            allowed_methods={"POST"},
            backoff_factor=0.5,
            backoff_max=60,
        )
        self._pool = urllib3.PoolManager(maxsize=1, cert_reqs="CERT_REQUIRED")
        self._interval = 1 / requests_per_second
        self._next_start = 0.0

    def __repr__(self) -> str:
        """Name the service only."""
        return f"JsonClient({self.base_url!r})"

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def post(self, path: str, query: Mapping[str, Any], body: Mapping[str, Any]) -> Any:
        """Return the JSON of an answer 200.

        Raises StoreError if the service cannot be reached, refuses, redirects, or answers no JSON.
        """
        url = f"{self.base_url}{path}?{urlencode(query)}"
        data = msgspec.json.encode(body)
        retry: Retry = self._retry
        self._keep_pace()
        try:
            while True:
                response = self._send(url, data, retry)
                try:
                    return self._value(response, self._read(response))
                except HTTPError as error:
                    # urllib3 retries until the headers are there; the body can break off, too.
                    retry = (response.retries or retry).increment("POST", path, error=error)
                    retry.sleep()
                finally:
                    response.close()
        except SSLError as error:
            self._refuse(f"no secure connection: {error}", error)
        except MaxRetryError as error:
            self._refuse(f"gave up after {self._attempts} attempts: {error.reason}", error)
        except HTTPError as error:
            self._refuse(str(error), error)

    def _keep_pace(self) -> None:
        """Wait until the next request may start."""
        time.sleep(max(self._next_start - time.monotonic(), 0))
        self._next_start = time.monotonic() + self._interval

    def _send(self, url: str, data: bytes, retry: Retry) -> BaseHTTPResponse:
        return self._pool.urlopen(
            "POST",
            url,
            body=data,
            headers=self._headers,
            # Following a redirect would take the token along, or lose the body.
            redirect=False,
            retries=retry,
            # Read below, in parts: a small answer may unpack to one that memory cannot hold.
            preload_content=False,
            timeout=Timeout(connect=self._timeout, read=self._timeout),
        )

    def _read(self, response: BaseHTTPResponse) -> bytes:
        deadline = time.monotonic() + MAX_TIMEOUTS * self._timeout
        parts, size = [], 0
        while part := response.read(CHUNK_BYTES, decode_content=True):
            parts.append(part)
            size += len(part)
            if size > MAX_ANSWER_BYTES:
                what = f"an answer of more than {MAX_ANSWER_BYTES:,} bytes; lower page_size"
                self._refuse(what)
            if time.monotonic() > deadline:
                self._refuse(f"an answer took longer than {MAX_TIMEOUTS * self._timeout:g} s")
        response.release_conn()
        return b"".join(parts)

    def _value(self, response: BaseHTTPResponse, body: bytes) -> Any:
        if 300 <= response.status < 400:
            location = response.headers.get("Location")
            self._refuse(f"redirects to {location}, which is not followed")
        if response.status != 200:
            self._refuse(f"answered {response.status}: {_error_message(body)}")
        if is_too_deep(body):
            self._refuse("the answer is nested too deep")
        try:
            return msgspec.json.decode(body)
        except (ValueError, RecursionError) as error:
            self._refuse(f"the answer is no JSON: {error}", error)

    def _refuse(self, what: str, cause: Exception | None = None) -> NoReturn:
        """Raise an error without the token, which a service or a library may have echoed."""
        msg = f"{self.base_url}: {what.replace(self._token, '***')}"
        raise StoreError(msg) from cause


def checked_url(url: str) -> str:
    """Return an address without its last slash if a token may be sent there.

    Raises InvalidInputError if it is no address, holds a password or a query, or would send the
    token in the clear.

    >>> checked_url("https://api.example.com/"), checked_url("http://127.0.0.1:8000")
    ('https://api.example.com', 'http://127.0.0.1:8000')
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except (ValueError, AttributeError, TypeError) as error:
        msg = f"base_url: expected https://HOST, got {str(url)[:200]!r}"
        raise InvalidInputError(msg) from error
    if parts.username is not None or parts.password is not None:
        msg = "base_url: holds a user or a password; the token comes from the environment"
        raise InvalidInputError(msg)
    plain = parts.query or parts.fragment or any(c.isspace() or not c.isprintable() for c in url)
    if parts.scheme not in {"http", "https"} or not host or plain:
        msg = f"base_url: expected https://HOST[:PORT][/PATH], got {url[:200]!r}"
        raise InvalidInputError(msg)
    if parts.scheme == "http" and not _is_this_machine(host):
        msg = f"base_url: {url[:200]!r} would send the token in the clear; use https"
        raise InvalidInputError(msg)
    return url.rstrip("/")


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _error_message(body: bytes) -> str:
    """Return the reason that the body of an error gives, shortened."""
    try:
        error = msgspec.json.decode(body)["error"]["message"]
    except (ValueError, RecursionError, KeyError, TypeError, IndexError):
        error = body[:200].decode("utf-8", "replace")
    return " ".join(str(error).split())[:300] or "no reason given"
