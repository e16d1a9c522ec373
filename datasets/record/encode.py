"""Python dicts and records as lines of JSON, so that one reader judges them and files alike."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np

from . import fault as reasons
from .fault import Fault, FaultError, shorten
from .ids import binary_text
from .interaction import ID_COLUMNS

_NUMBERS: Final = ("document_score", "position", "result_set_size")
_TEXTS: Final = (*ID_COLUMNS, "document_id", "metadata", "query_snapshot", "interaction_type")


def encode_record(record: Any) -> bytes | Fault:
    """Return a record as a line of JSON, or why it cannot be one."""
    if not isinstance(record, Mapping | msgspec.Struct):
        return Fault("", shorten(repr(record)[:200]), "expected a dict or an Interaction")
    if isinstance(record, Mapping):
        fault = next((f for name in _NUMBERS if (f := _number_fault(name, record.get(name)))), None)
        if fault is not None:
            return fault
    try:
        return _encode(_with_texts(record) if isinstance(record, Mapping) else record)
    except FaultError as error:
        return error.fault
    except RecursionError:
        return Fault("", None, reasons.TOO_DEEP)
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError) as error:
        return Fault("", shorten(error), "cannot be written as JSON")


def _with_texts(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a record whose bytes are text: the encoder would write them in base64."""
    if bytes not in set(map(type, record.values())):
        return record
    found = {name: record[name] for name in _TEXTS if isinstance(record.get(name), bytes)}
    return {**record, **{name: binary_text(name, value) for name, value in found.items()}}


def _number_fault(name: str, value: Any) -> Fault | None:
    # The encoder writes null for what JSON has not: right for NaN, which means missing.
    if isinstance(value, float | np.floating) and math.isinf(value):
        return Fault(name, str(value), reasons.NOT_FINITE)
    return None


def _plain(value: Any) -> Any:
    """Return the values of numpy, pandas and others as what JSON knows."""
    if type(value).__name__ in {"NAType", "NaTType"}:  # of pandas, which is not imported for this
        return None
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, np.datetime64):  # nanoseconds would be a number
        return _plain(value.astype("datetime64[us]").item())
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if hasattr(value, "to_list"):  # a Series of polars or pandas
        return value.to_list()
    if isinstance(value, Mapping):
        return dict(value)
    msg = f"the type {type(value).__name__} has no JSON form"
    raise TypeError(msg)


_encode: Final = msgspec.json.Encoder(enc_hook=_plain, decimal_format="number").encode
