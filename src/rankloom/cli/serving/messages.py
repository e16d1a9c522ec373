"""Messages of a queue as its consumers print them: the interaction, and where it came from."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from queue import Empty, Queue
from typing import IO, Any, Final, NamedTuple, Self

import msgspec

from ..._shared.atomic_files import write_whole
from ...datasets.log.answers import RowFault
from ...datasets.record.interaction import MAX_DEPTH
from ...datasets.record.json_depth import is_too_deep
from ...errors import InvalidInputError, StoreError

MAX_LINE: Final = 1_000_000
_PLACE: Final = ("topic", "partition", "offset")
_BODY: Final = ("payload", "message", "value")
_AROUND: Final = frozenset((*_PLACE, *_BODY, "key", "headers", "error", "ts", "tstype", "broker"))


class Message(NamedTuple):
    """One line: its number, its interaction, and its place in a queue if it names one."""

    line: int
    record: Any
    place: tuple[str, int, int] | None = None
    fault: RowFault | None = None

    @property
    def key(self) -> str | None:
        """What makes the interaction's id where it has none of its own."""
        return None if self.place is None else "/".join(map(str, self.place))


def read_messages(lines: IO[bytes]) -> Iterator[Message]:
    """Yield the messages of lines that are not empty; one that is too long is not read whole."""
    number = 0
    while line := lines.readline(MAX_LINE + 1):
        number += 1
        is_long = len(line) > MAX_LINE
        while is_long and line and not line.endswith(b"\n"):
            line = lines.readline(MAX_LINE)
        if is_long:
            fault = RowFault("line", f"expected at most {MAX_LINE:,} bytes", None)
            yield Message(number, None, fault=fault)
        elif line.strip():
            yield parse_message(line, number)


def parse_message(line: bytes, number: int = 1) -> Message:
    r"""Return the message of a line.

    >>> parse_message(b'{"topic": "t", "partition": 0, "offset": 7, "payload": "{\\"a\\": 1}"}')
    Message(line=1, record='{"a": 1}', place=('t', 0, 7), fault=None)
    >>> parse_message(b'{"feature_id": "d"}').record
    b'{"feature_id": "d"}'
    """
    line = line.strip()
    if is_too_deep(line):
        fault = RowFault("line", f"expected at most {MAX_DEPTH} levels of nesting", None)
        return Message(number, None, fault=fault)
    try:
        content = msgspec.json.decode(line)
    except (ValueError, RecursionError):
        return Message(number, line)  # the log says what is wrong with it
    place = _place(content)
    if place is None:
        return Message(number, line)
    body = next((content[name] for name in _BODY if content.get(name) is not None), None)
    if body is None:
        body = {name: value for name, value in content.items() if name not in _AROUND}
    return Message(number, body, place)


def _place(content: Any) -> tuple[str, int, int] | None:
    if not isinstance(content, dict):
        return None
    topic, partition, offset = (content.get(name) for name in _PLACE)
    if not (isinstance(topic, str) and topic and isinstance(partition, int)):
        return None
    return (topic, partition, offset) if isinstance(offset, int) and offset >= 0 else None


def in_batches(messages: Iterator[Message], most: int, wait: float) -> Iterator[list[Message]]:
    """Yield messages in lists, each as soon as it is full or its first one has waited so long."""
    # Two batches at most are read ahead: a consumer that is faster has to wait.
    queue: Queue[Message | BaseException | None] = Queue(2 * most)

    def read() -> None:
        try:
            for message in messages:
                queue.put(message)
        except BaseException as error:  # noqa: BLE001 - raised by the thread that takes them
            queue.put(error)
        queue.put(None)

    threading.Thread(target=read, daemon=True, name="rankloom-ingest").start()
    while (first := queue.get()) is not None:
        batch, due = [first], time.monotonic() + wait
        while batch[-1] is not None and len(batch) < most:
            try:
                batch.append(queue.get(timeout=max(due - time.monotonic(), 0.0)))  # type: ignore[arg-type]
            except Empty:
                break
        whole = [each for each in batch if isinstance(each, Message)]
        if whole:
            yield whole
        error = next((each for each in batch if isinstance(each, BaseException)), None)
        if error is not None:
            raise error
        if batch[-1] is None:
            return


class Offsets:
    """The next offset of each partition, in a file that is replaced after every commit."""

    def __init__(self, path: Path | None) -> None:
        self._path, self._changed = path, False
        self._next: dict[tuple[str, int], int] = {}
        if path is not None and path.exists():
            for line in path.read_text("utf-8").splitlines():
                topic, partition, following = _parts(path, line)
                self._next[topic, partition] = following

    def has_passed(self, message: Message) -> bool:
        """Return whether a message was committed before, as the file says."""
        place = message.place
        return place is not None and place[2] < self._next.get(place[:2], 0)

    def advance(self, batch: Iterable[Message]) -> None:
        """Note that messages are committed.

        Raises
        ------
        StoreError
            If the file cannot be written; what is committed stays so.
        """
        for message in batch:
            if message.place is not None and not self.has_passed(message):
                self._next[message.place[:2]] = message.place[2] + 1
                self._changed = True
        if self._path is None or not self._changed:
            return
        text = "".join(f"{line}\n" for line in self._lines())
        try:
            write_whole(self._path, lambda name: Path(name).write_text(text, "utf-8"))
        except OSError as error:
            msg = f"--offsets: {str(self._path)!r} cannot be written: {error.strerror}"
            raise StoreError(msg) from error

    def committed(self) -> list[str]:
        """Return a line for each partition, where anything was committed since the last time."""
        changed, self._changed = self._changed, False
        return self._lines() if changed else []

    def _lines(self) -> list[str]:
        return [f"{topic} {partition} {n}" for (topic, partition), n in sorted(self._next.items())]


def _parts(path: Path, line: str) -> tuple[str, int, int]:
    try:
        topic, partition, following = line.rsplit(maxsplit=2)
        return topic, int(partition), int(following)
    except ValueError as error:
        msg = f"--offsets: {str(path)!r}: expected lines 'TOPIC PARTITION NEXT', got {line!r}"
        raise InvalidInputError(msg) from error


class BadLines:
    """Lines that break a rule, added to a file of JSON lines; none without a file."""

    def __init__(self, path: Path | None) -> None:
        try:
            self._file = None if path is None else path.open("ab")
        except OSError as error:
            msg = f"--quarantine: {str(path)!r} cannot be written: {error.strerror}"
            raise InvalidInputError(msg) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, message: Message, fault: RowFault) -> None:
        """Add a line with its place, field, value and reason."""
        if self._file is None:
            return
        place = dict(zip(_PLACE, message.place or (), strict=False))
        record = message.record
        content = record.decode("utf-8", "replace") if isinstance(record, bytes) else record
        why = {"field": fault.field, "value": fault.value, "reason": fault.reason}
        line = {"line": message.line, **place, **why, "content": content}
        self._file.write(msgspec.json.encode(line) + b"\n")

    def flush(self) -> None:
        """Write to the disk what was added."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
