"""A first mapping for another system's table, by the names of its columns and what they hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from ..record.interaction import TIME_COLUMNS, InteractionType
from ..record.mapping import MAPPED, InputMapping, TimeUnit, toml_key
from ..record.times import NUMBER, parse_times
from ..record.type_names import known_name, names_of
from .column_names import likely_column, plain
from .json_lines import JsonLinesSource
from .open_sources import open_sources
from .partitioned import PartitionedSource
from .plain_columns import plain_frame
from .records import RecordsSource
from .value_columns import value_columns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .source import Source

_ROWS: Final = 10_000
_SOURCES: Final = 20
_MAX_TYPES: Final = 200
_REQUIRED: Final = ("feature_id", "interaction_type", "position")
_KNOWN: Final = frozenset(str(name) for name in InteractionType)
_OTHER_TYPES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("clicked", "click_through", "clickthrough", "select", "selected"), "click"),
    **dict.fromkeys(("select_item", "select_content", "open", "tap", "product_click"), "click"),
    **dict.fromkeys(("impressions", "shown", "show", "display", "displayed"), "impression"),
    **dict.fromkeys(("exposure", "view_item_list", "served", "result_shown"), "impression"),
    **dict.fromkeys(("viewed", "view_item", "page_view", "pageview", "product_view"), "view"),
    **dict.fromkeys(("add_to_basket", "addtocart", "cart", "cart_add", "basket"), "add_to_cart"),
    **dict.fromkeys(("buy", "bought", "order", "ordered", "transaction"), "purchase"),
    **dict.fromkeys(("conversion", "convert", "checkout", "sale", "purchased"), "purchase"),
    **dict.fromkeys(("like", "liked", "thumbs_up", "upvote", "positive"), "positive_feedback"),
    **dict.fromkeys(("dislike", "thumbs_down", "downvote", "negative"), "negative_feedback"),
    **dict.fromkeys(("add_to_wishlist", "favorite", "favourite", "save", "saved"), "wishlist"),
    **dict.fromkeys(("shared",), "share"),
    **dict.fromkeys(("bookmarked",), "bookmark"),
    **dict.fromkeys(("skipped",), "skip"),
    **dict.fromkeys(("back", "bounce", "return"), "return_to_results"),
}


@dataclass(frozen=True)
class Suggestion:
    """A mapping to begin with.

    Attributes
    ----------
    mapping : InputMapping
    missing : list of str
        Required fields that no column seems to hold.
    unknown_types : list of str
        Types in the data that look like none of the built-in ones.
    unused : list of str
        Columns that the mapping does not use.
    """

    mapping: InputMapping
    missing: list[str]
    unknown_types: list[str]
    unused: list[str]

    def to_toml(self) -> str:
        """Return the mapping as a TOML file, with what it leaves open as comments."""
        notes = [f"# no column seems to hold {name}" for name in self.missing]
        if self.unused:
            notes.append(f"# columns that are not used: {', '.join(map(repr, self.unused))}")
        types = []
        if self.unknown_types:
            title = [] if self.mapping.types else ["", "[types]"]
            advice = "  # unknown: write what it means, and remove the first #"
            types = [*title, *(f'# {toml_key(n)} = "click"{advice}' for n in self.unknown_types)]
        return "\n".join([*notes, self.mapping.to_toml().rstrip(), *types]) + "\n"


def suggest_mapping(source: Any) -> Suggestion:
    """Return the likeliest mapping for the rows of a source, from the first 10,000 of each file.

    Examples
    --------
    >>> rows = [{"sku": 7, "rank": 1, "event": "Buy", "ts": 1_767_225_600_000}]
    >>> print(suggest_mapping(rows).to_toml())
    position_base = 1
    time_unit = "ms"
    <BLANKLINE>
    [columns]
    feature_id = "sku"
    interaction_type = "event"
    position = "rank"
    occurred_at = "ts"
    <BLANKLINE>
    [types]
    Buy = "purchase"
    <BLANKLINE>
    """
    frame = _common(list(map(_first_rows, open_sources(source)[:_SOURCES])))
    fields = _fields_by_name(frame.columns)
    fields |= _fields_by_value(frame, fields)
    types, unknown = _types(frame, fields.get("interaction_type"))
    columns = {name: fields[name] for name in MAPPED if fields.get(name, name) != name}
    times = [fields[name] for name in TIME_COLUMNS if name in fields]
    units: list[TimeUnit] = [
        unit for name in times if (unit := _time_unit(frame[name])) is not None
    ]
    mapping = InputMapping(
        columns,
        types,
        _position_base(frame, fields.get("position")),
        units[0] if units else None,
    )
    return Suggestion(
        mapping,
        [name for name in _REQUIRED if name not in fields],
        unknown,
        [name for name in frame.columns if name not in fields.values()],
    )


def _common(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Return the rows of several sources as one table; those of the first if they do not fit."""
    try:
        return pl.concat(frames, how="diagonal_relaxed")
    except pl.exceptions.PolarsError:
        return frames[0]


def _first_rows(source: Source) -> pl.DataFrame:
    base = source.source if isinstance(source, PartitionedSource) else source
    if isinstance(base, JsonLinesSource | RecordsSource):
        values = next(iter(base.values()), None)
        rows = [] if values is None else values.rows[:_ROWS]
        return value_columns(rows)[0]
    columns = {name: name for name in base.schema or ()}
    block = next(iter(base.blocks(columns)), None)
    if block is None:
        return pl.DataFrame(schema=dict(base.schema or {}))
    return plain_frame(block.frame.head(_ROWS))[0]


def _fields_by_name(columns: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    own = [name for name in (*MAPPED, "document_id") if name in columns]
    for name in (*own, *MAPPED):
        free = [column for column in columns if column not in found.values()]
        column = name if name in own else likely_column(name, free)
        if column is not None and name not in found:
            found[name] = column
    if "document_id" in found:
        found["feature_id"] = found.pop("document_id")
    # One time is enough, and timestamp is the store's.
    if "occurred_at" in found and found.get("timestamp") != "timestamp":
        found.pop("timestamp", None)
    return found


def _fields_by_value(frame: pl.DataFrame, fields: Mapping[str, str]) -> dict[str, str]:
    free = [name for name in frame.columns if name not in fields.values()]
    found: dict[str, str] = {}
    if "interaction_type" not in fields:
        names = [name for name in free if _holds_types(frame[name])]
        found |= {"interaction_type": names[0]} if names else {}
    if not {"occurred_at", "timestamp"} & fields.keys():
        names = [name for name in free if _holds_times(frame[name])]
        found |= {"occurred_at": names[0]} if names else {}
    return found


def _holds_types(column: pl.Series) -> bool:
    names = _distinct_names(column)
    return bool(names) and any(_meaning(name) for name in names)


def _holds_times(column: pl.Series) -> bool:
    if isinstance(column.dtype, pl.Datetime):
        return True
    if column.dtype != pl.String:
        return False
    given = column.drop_nulls().head(100)
    return len(given) > 0 and not parse_times(given).has_nulls()


def _distinct_names(column: pl.Series) -> list[str]:
    """Return the names in a column of types; none if it holds too many for types."""
    dtype = column.dtype
    if isinstance(dtype, pl.List):
        column = column.explode()
    if isinstance(column.dtype, pl.Object):
        values = {str(name) for value in column for name in names_of(value, _KNOWN)}
    elif isinstance(column.dtype, pl.String | pl.Categorical | pl.Enum):
        texts = column.cast(pl.String).drop_nulls().unique()
        if len(texts) > _MAX_TYPES:
            return []
        values = {str(name) for text in texts for name in names_of(text, _KNOWN) if name}
    else:
        return []
    return sorted(values)


def _meaning(name: str) -> str | None:
    return known_name(name, _KNOWN) or _OTHER_TYPES.get(plain(name))


def _types(frame: pl.DataFrame, column: str | None) -> tuple[dict[str, str], list[str]]:
    names = [] if column is None else _distinct_names(frame[column])
    meanings = {name: _meaning(name) for name in names}
    known = {name: type_ for name, type_ in meanings.items() if type_ is not None}
    return (
        {name: type_ for name, type_ in known.items() if known_name(name, _KNOWN) is None},
        [name for name in names if name not in known],
    )


def _position_base(frame: pl.DataFrame, column: str | None) -> int:
    if column is None or not (frame[column].dtype.is_numeric() or frame[column].dtype == pl.String):
        return 0
    return 1 if frame[column].cast(pl.Float64, strict=False).min() == 1 else 0


def _time_unit(column: pl.Series) -> TimeUnit | None:
    """Return the unit that puts numbers into the years 1973 to 5138; None where they are times."""
    if column.dtype == pl.String:
        column = column.filter(column.str.contains(NUMBER))
    elif not column.dtype.is_numeric():
        return None
    middle = column.cast(pl.Float64, strict=False).median()
    if not isinstance(middle, float):
        return None
    units: tuple[tuple[float, TimeUnit], ...] = ((1e11, "s"), (1e14, "ms"), (1e17, "us"))
    for limit, unit in units:
        if middle < limit:
            return unit
    return "ns"
