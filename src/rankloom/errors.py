"""Every error that rankloom raises on purpose, in one tree.

::

    RankloomError (Exception)
    ├── InvalidInputError (ValueError)      a parameter, a file's content or a table is wrong
    │   ├── NoExposuresError                no row says what was shown, or none was shown in vain
    │   └── NotIdentifiableError            the data do not determine the quantity asked for
    ├── UnreadableSourceError (OSError)     a file is missing, truncated or of another format
    ├── IntegrityError                      stored data do not match their own digest or format
    ├── StateMismatchError                  two states were made with different settings
    ├── NotPicklableError (TypeError)       an object that is saved or shared by its own means
    ├── ClusterError                        workers cannot be reached, or died again and again
    └── StoreError                          a store cannot be reached or refuses to work
        ├── StoreBusyError                  a store has more to write than it takes; try again later
        └── OvertakenError                  another process wrote first; read again and repeat

A message says which parameter, what was given, what was expected and how to fix it.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class RankloomError(Exception):
    """Base of all errors that rankloom raises on purpose."""


class InvalidInputError(RankloomError, ValueError):
    """A parameter, a file's content or a table is not what was expected."""


class NoExposuresError(InvalidInputError):
    """Nothing to compare clicks with.

    Pairs and click models need a document that was shown and not clicked; fusion weights need a
    row that says what was shown at all (an ``impression`` or a ``view``).
    """


class NotIdentifiableError(InvalidInputError):
    """The data do not determine the quantity that was asked for."""


class UnreadableSourceError(RankloomError, OSError):
    """A source cannot be read at all: missing, truncated, or of another format."""


class IntegrityError(RankloomError):
    """Stored data do not match their own digest, format or version."""


class StateMismatchError(RankloomError):
    """Two states were made with different settings and cannot be combined."""


class NotPicklableError(RankloomError, TypeError):
    """An object can be neither pickled nor copied; the message says how to save or share it."""


class ClusterError(RankloomError):
    """The workers of a cluster cannot be reached, or died again and again."""


class StoreError(RankloomError):
    """A store cannot be reached or refuses to work."""


class StoreBusyError(StoreError):
    """A store has more to write than it takes at once; the same call may work later."""


class OvertakenError(StoreError):
    """Another process moved the log position first; nothing was written. Read again and repeat."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the closest known name, or an empty string.

    Examples
    --------
    >>> did_you_mean("clik", ["click", "view"])
    " Did you mean 'click'?"
    >>> did_you_mean("zzz", ["click", "view"])
    ''
    """
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
