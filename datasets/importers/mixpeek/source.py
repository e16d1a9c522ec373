"""Interactions that a service stores, read over its HTTP interface: `MixpeekSource`."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from ...._shared.checks import checked_number
from ....errors import InvalidInputError
from ...reading.quarantine import FAULT_SCHEMA, Quarantine
from ...reading.scan import Scan
from ...record.interaction import canonical_schema
from ...record.parse import parse_interaction
from ...record.signals import SignalTable, checked_types
from ..copy import CopyReport, lines_to_parquet, record_rows, split_by_time
from .pagination import Mark, read_pages
from .resume import LinesFile, Progress, read_progress, write_progress

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator

    from ...log.interaction_log import InteractionLog

_PATH: Final = "/v1/retrievers/interactions/list"
_SET_BY_THE_SERVICE: Final = frozenset({"deduplicated", "warning"})
_MAX_PAGE_SIZE: Final = 1_000


class MixpeekSource:
    """Stored interactions behind ``POST /v1/retrievers/interactions/list``, oldest first.

    For `rankloom serve` and Mixpeek. Pages are followed by cursor or by number;
    connections that break, and answers 429, 502, 503 and 504, are tried again with growing
    pauses or after the time that the service requests. ``timestamp`` becomes ``occurred_at``
    where a record has none, so that its age stays true; ids stay.

    Parameters
    ----------
    base_url : str
        ``https://HOST``; ``http`` only for this machine. Redirects are refused.
    namespace : str, optional
        Sent as ``X-Namespace``.
    token_env : str
        Environment variable that holds the bearer token.
    retriever_id : str, optional
        Only interactions with this retriever.
    since : datetime or str, optional
        Only interactions recorded then or later; naive times are UTC.
    types : iterable of str
        Interaction types in addition to the built-in ones.
    page_size : int
        Records an answer, 1 to 1,000.
    requests_per_second : float
        At most so many requests are sent.
    timeout : float
        Seconds to wait for a connection, and for each part of an answer.
    retries : int
        Further attempts for one request.

    Attributes
    ----------
    quarantine : Quarantine
        Rows of the last `scan` that broke a rule, numbered from 0 in the order of reading.
    rows_read, duplicates : int
        Of the last `scan`; duplicates are rows that the service gave twice.

    Raises
    ------
    InvalidInputError
        If a parameter is wrong, the token is missing, or urllib3 is not installed.

    Notes
    -----
    Interactions that are recorded while a copy runs are read, too, as long as the service's times
    of recording never go back; those of `InteractionLog` do not.

    Examples
    --------
    >>> import os
    >>> os.environ["EXAMPLE_TOKEN"] = "secret"
    >>> MixpeekSource("https://api.example.com", token_env="EXAMPLE_TOKEN")
    MixpeekSource('https://api.example.com', namespace=None, retriever_id=None)
    """

    def __init__(
        self,
        base_url: str,
        *,
        namespace: str | None = None,
        token_env: str = "MIXPEEK_API_KEY",  # noqa: S107 - the name of a variable, no password
        retriever_id: str | None = None,
        since: dt.datetime | str | None = None,
        types: Iterable[str] = (),
        page_size: int = 500,
        requests_per_second: float = 5.0,
        timeout: float = 30.0,
        retries: int = 8,
    ) -> None:
        from .client import checked_url

        self.base_url = checked_url(base_url)
        self.namespace = _header(namespace, "namespace")
        self.retriever_id = retriever_id
        self._since = _since(since)
        self._types = checked_types(types)
        self._page_size = checked_number("page_size", page_size, 1, _MAX_PAGE_SIZE, whole=True)
        self._settings = {
            "timeout": checked_number("timeout", timeout, 0.001, 3_600),
            "retries": checked_number("retries", retries, 0, 100, whole=True),
            "requests_per_second": checked_number(
                "requests_per_second", requests_per_second, 0.001, 100_000
            ),
        }
        self._token = _token(token_env)
        self.quarantine = Quarantine()
        self.rows_read = self.duplicates = 0

    def __repr__(self) -> str:
        """Name the service, never the token."""
        return (
            f"MixpeekSource({self.base_url!r}, namespace={self.namespace!r}, "
            f"retriever_id={self.retriever_id!r})"
        )

    def pages(self) -> Iterator[list[Any]]:
        """Yield the records of each answer as they were given, every interaction once.

        Raises
        ------
        StoreError
            If the service cannot be reached, refuses the token, or does not keep to the interface:
            records not sorted by time of recording, a cursor that comes again or leads nowhere.
        """
        for rows, _ in self._pages_from(Mark(self._since)):
            yield rows

    def scan(self) -> Iterator[pl.DataFrame]:
        """Yield the valid interactions in canonical columns; this makes it a source.

        Raises
        ------
        StoreError
            As `pages` does.
        """
        self.quarantine = Quarantine()
        self.rows_read = self.duplicates = 0
        for rows in self.pages():
            timed, numbers, untimed = split_by_time(rows, self.rows_read)
            page = Scan(timed, signals=SignalTable.with_types(self._types))
            for batch in page.batches():
                yield batch.select(*canonical_schema())
            faults = page.quarantine.to_frame()
            numbered = pl.Series("row", numbers, pl.Int64).gather(faults["row"])
            bad = pl.concat([untimed, faults.with_columns(numbered).select(*FAULT_SCHEMA)])
            self.quarantine.add(self.base_url, bad.sort("row"))
            self.rows_read += len(rows)
        self.rows_read += self.duplicates

    def copy_to_log(self, log: InteractionLog, *, resume: str | Path | None = None) -> CopyReport:
        """Record all interactions in a log, as backfill.

        Parameters
        ----------
        log : InteractionLog
        resume : path, optional
            File that holds how far the copy has come, written whenever a page is committed. An
            interrupted copy goes on from there, a finished one takes what is new since.

        Returns
        -------
        CopyReport

        Raises
        ------
        InvalidInputError
            If the resume file is of another copy.
        StoreError
            If the service or the log fails; what was recorded stays.
        """
        path = None if resume is None else Path(resume)
        progress = read_progress(path, self._progress(f"log {log.log_id}/{log.namespace}"))
        report = CopyReport()
        for rows, mark in self._pages_from(progress.mark):
            record_rows(log, rows, self.base_url, report)
            progress.reach(mark)
            write_progress(path, progress)
        return self._finished(report)

    def copy_to_parquet(self, path: str | Path, *, resume: str | Path | None = None) -> CopyReport:
        """Write all interactions to a Parquet file, whole or not at all.

        Parameters
        ----------
        path : path
            An existing file is replaced.
        resume : path, optional
            File that holds how far the copy has come. An interrupted copy goes on from there: its
            pages are in a file next to `path` that ends in ``.part.jsonl``. Both files are removed
            when the copy is complete.

        Returns
        -------
        CopyReport
            With the rows of all runs that filled the file.

        Raises
        ------
        InvalidInputError
            If the resume file is of another copy.
        StoreError
            If the service fails or a file cannot be written.
        """
        target = _target(path)
        resume_path = None if resume is None else Path(resume)
        progress = read_progress(resume_path, self._progress(f"file {target}"))
        lines = LinesFile(target.with_name(f"{target.name}.part.jsonl"), progress.lines_bytes)
        report = CopyReport()
        try:
            for rows, mark in self._pages_from(progress.mark):
                progress.lines_bytes = lines.append(rows)
                progress.reach(mark)
                write_progress(resume_path, progress)
            lines_to_parquet(lines.path, target, self._types, self.base_url, report)
            if resume_path is not None:
                # Before the lines, which it describes.
                resume_path.unlink(missing_ok=True)
        finally:
            lines.close()
            if resume_path is None or not resume_path.exists():
                lines.path.unlink(missing_ok=True)
        return self._finished(report)

    def _pages_from(self, mark: Mark) -> Iterator[tuple[list[Any], Mark]]:
        from .client import JsonClient

        client = JsonClient(
            self.base_url,
            token=self._token,
            headers={} if self.namespace is None else {"X-Namespace": self.namespace},
            **self._settings,
        )
        fields = {} if self.retriever_id is None else {"retriever_id": self.retriever_id}
        ask = partial(client.post, _PATH)
        self.duplicates = 0
        try:
            for page in read_pages(ask, fields, self._page_size, mark):
                self.duplicates += page.repeated
                if page.rows:
                    yield [_dated(row) for row in page.rows], page.mark
        finally:
            client.close()

    def _progress(self, target: str) -> Progress:
        source = {
            "base_url": self.base_url,
            "namespace": self.namespace,
            "retriever_id": self.retriever_id,
            "since": self._since,
        }
        return Progress(source=source, target=target, timestamp=self._since)

    def _finished(self, report: CopyReport) -> CopyReport:
        report.rows_read += self.duplicates
        report.duplicates += self.duplicates
        return report


def _dated(row: Any) -> Any:
    """Return a record with its true age, without what the service added when it recorded it."""
    if not isinstance(row, dict):
        return row
    record = {name: value for name, value in row.items() if name not in _SET_BY_THE_SERVICE}
    if record.get("occurred_at") is None and record.get("timestamp") is not None:
        record["occurred_at"] = record["timestamp"]
    return record


def _target(path: str | Path) -> Path:
    target = Path(path).absolute()
    if target.suffix.lower() not in {".parquet", ".pq"}:
        msg = f"path: expected a name ending in .parquet or .pq, got {str(path)!r}"
        raise InvalidInputError(msg)
    if not target.parent.is_dir():
        msg = f"path: the folder of {str(path)!r} does not exist. Create it first"
        raise InvalidInputError(msg)
    return target


def _token(name: str) -> str:
    token = os.environ.get(name, "").strip()
    if not token:
        msg = f"token_env: the environment variable {name} is not set; it holds the bearer token"
        raise InvalidInputError(msg)
    if not (token.isascii() and token.isprintable()) or " " in token:
        msg = f"token_env: {name} holds no bearer token: it has spaces or characters beyond ASCII"
        raise InvalidInputError(msg)
    return token


def _header(value: str | None, parameter: str) -> str | None:
    if value is None or (value and value.isascii() and value.isprintable()):
        return value
    msg = f"{parameter}: expected printable ASCII text, got {value!r}"
    raise InvalidInputError(msg)


def _since(value: dt.datetime | str | None) -> str | None:
    """Return a time as text with its zone, by the rules for times of records."""
    if value is None:
        return None
    text = value if isinstance(value, str) else value.isoformat()
    row = {"feature_id": "-", "interaction_type": ["view"], "position": 0, "occurred_at": text}
    try:
        moment = parse_interaction(row).occurred_at
    except InvalidInputError as error:
        msg = f"since: {str(error).removeprefix('occurred_at: ')}"
        raise InvalidInputError(msg) from None
    return None if moment is None else moment.isoformat()
