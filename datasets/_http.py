"""One way to ask an HTTP service for JSON: patient, bounded, and silent about its token."""

from __future__ import annotations

import ipaddress
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn
from urllib.parse import urlencode, urlsplit

import msgspec

from ..errors import InvalidInputError, StoreError
from ._depth import is_too_deep

try:
    import urllib3
    from urllib3.exceptions import HTTPError, InvalidHeader, MaxRetryError, SSLError
    from urllib3.util import Retry, Timeout
except ImportError as error:
    message = "reading over HTTP needs urllib3: pip install 'rankloom[mixpeek]'"
    raise InvalidInputError(message) from error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from urllib3 import BaseHTTPResponse

RETRIED: Final = frozenset({429, 502, 503, 504})
"""Answers after which the same request is sent again."""

MAX_ANSWER_BYTES: Final = 64_000_000
"""Largest answer that is read: 1,000 records of 64 KB."""

LONGEST_WAIT: Final = 300.0
"""Seconds that a service can make the client wait before one attempt."""

_CHUNK_BYTES: Final = 1 << 16
_SLOWEST: Final = 20
"""How many times the time-out an answer may take that keeps dripping."""


class Answer(NamedTuple):
    """An answer whose body was read to its end."""

    status: int
    body: bytes
    location: str | None


class JsonClient:
    """Sends JSON to one service and returns the JSON that it answers.

    Parameters
    ----------
    base_url : str
        ``https://host[:port][/path]``; ``http`` only where the host is this machine.
    token : str
        Sent as bearer; in no message and in no representation.
    headers : mapping of str to str
    timeout : float
        Seconds to wait for a connection, and for each part of an answer.
    retries : int
        Attempts after the first for one request.
    requests_per_second : float
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
        self._timeout = timeout
        self._retry = Retry(
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

        Raises
        ------
        StoreError
            If the service cannot be reached, refuses, sends elsewhere, or answers no JSON.
        """
        url = f"{self.base_url}{path}?{urlencode(query)}"
        data = msgspec.json.encode(body)
        retry = self._retry
        while True:
            self._keep_pace()
            response = None
            try:
                response = self._send(url, data)
                answer = self._read(response)
            except SSLError as error:
                self._refuse(f"no secure connection: {error}", error)
            except HTTPError as error:
                retry = self._next(retry, path, error=error)
                time.sleep(min(retry.get_backoff_time(), LONGEST_WAIT))
            else:
                if answer.status not in RETRIED:
                    return self._value(answer)
                retry = self._next(retry, path, response=response)
                time.sleep(_wait(retry, response))
            finally:
                if response is not None:
                    response.close()

    def _keep_pace(self) -> None:
        """Wait until the next request may start."""
        time.sleep(max(self._next_start - time.monotonic(), 0))
        self._next_start = time.monotonic() + self._interval

    def _send(self, url: str, data: bytes) -> BaseHTTPResponse:
        return self._pool.urlopen(
            "POST",
            url,
            body=data,
            headers=self._headers,
            # Following a redirect would take the token along, or lose the body.
            redirect=False,
            retries=False,
            preload_content=False,
            timeout=Timeout(connect=self._timeout, read=self._timeout),
        )

    def _read(self, response: BaseHTTPResponse) -> Answer:
        deadline = time.monotonic() + _SLOWEST * self._timeout
        parts, held = [], 0
        while part := response.read(_CHUNK_BYTES, decode_content=True):
            parts.append(part)
            held += len(part)
            if held > MAX_ANSWER_BYTES:
                what = f"an answer of more than {MAX_ANSWER_BYTES:,} bytes; lower page_size"
                self._refuse(what)
            if time.monotonic() > deadline:
                self._refuse(f"an answer took longer than {_SLOWEST * self._timeout:g} s")
        response.release_conn()
        return Answer(response.status, b"".join(parts), response.headers.get("Location"))

    def _next(self, retry: Retry, path: str, **what: Any) -> Retry:
        try:
            return retry.increment("POST", path, **what)
        except (MaxRetryError, HTTPError) as error:
            reason = getattr(error, "reason", error)
            attempts = len(retry.history) + 1
            self._refuse(f"gave up after {attempts} attempts: {reason}", error)

    def _value(self, answer: Answer) -> Any:
        if 300 <= answer.status < 400:
            self._refuse(f"redirects to {answer.location}, which is not followed")
        if answer.status != 200:
            self._refuse(f"answered {answer.status}: {_said(answer.body)}")
        if is_too_deep(answer.body):
            self._refuse("the answer is nested too deep")
        try:
            return msgspec.json.decode(answer.body)
        except (ValueError, RecursionError) as error:
            self._refuse(f"the answer is no JSON: {error}", error)

    def _refuse(self, what: str, cause: Exception | None = None) -> NoReturn:
        """Raise an error without the token, which a service or a library may have echoed."""
        msg = f"{self.base_url}: {what.replace(self._token, '***')}"
        raise StoreError(msg) from cause


def checked_url(url: str) -> str:
    """Return an address without its last slash if a token may be sent there.

    Raises
    ------
    InvalidInputError
        If it is no address, holds a password or a query, or would send the token in the clear.

    Examples
    --------
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


def _wait(retry: Retry, response: BaseHTTPResponse) -> float:
    """Return the seconds to wait: what the service asks for, else the back-off."""
    try:
        asked = retry.get_retry_after(response)
    except InvalidHeader:
        asked = None
    return min(retry.get_backoff_time() if asked is None else asked, LONGEST_WAIT)


def _said(body: bytes) -> str:
    """Return what an error's body says, shortened."""
    try:
        error = msgspec.json.decode(body)["error"]["message"]
    except (ValueError, RecursionError, KeyError, TypeError, IndexError):
        error = body[:200].decode("utf-8", "replace")
    return " ".join(str(error).split())[:300] or "no reason given"
