"""How another system's columns, types, positions and times become those of an interaction."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeAlias, get_args

from ..._shared.toml_file import read_toml
from ...errors import InvalidInputError, UnreadableSourceError, did_you_mean
from .interaction import ID_COLUMNS, TIME_COLUMNS
from .type_names import mapped_name, names_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

TimeUnit: TypeAlias = Literal["s", "ms", "us", "ns"]

MAPPED: Final = (
    *ID_COLUMNS,
    "interaction_type",
    "position",
    "metadata",
    "query_snapshot",
    "document_score",
    "result_set_size",
    *TIME_COLUMNS,
)
"""Fields that a mapping may name."""


@dataclass(frozen=True)
class InputMapping:
    """How rows of another form become interactions.

    Attributes
    ----------
    columns : dict of str to str
        Field of the interaction -> column (or key) that holds it.
    types : dict of str to str
        Name of a type in the data -> interaction type.
    position_base : {0, 1}
        The position of the first result in the data.
    time_unit : {"s", "ms", "us", "ns"}, optional
        Unit of times that are numbers, counted since 1970; without one they are refused.

    Raises
    ------
    InvalidInputError
        If a part is of another form.

    Examples
    --------
    >>> mapping = InputMapping({"feature_id": "sku"}, {"Buy": "purchase"}, position_base=1)
    >>> mapping.column("feature_id"), mapping.column("position"), mapping.types["Buy"]
    ('sku', 'position', 'purchase')
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    position_base: int = 0
    time_unit: TimeUnit | None = None

    def __post_init__(self) -> None:
        _check_texts("columns", self.columns)
        _check_texts("types", self.types)
        for name in self.columns:
            if name not in MAPPED:
                msg = (
                    f"columns: an interaction has no field {name!r}.{did_you_mean(name, MAPPED)} "
                    "Expected {'field of the interaction': 'column of the data'}"
                )
                raise InvalidInputError(msg)
        if self.position_base not in {0, 1} or isinstance(self.position_base, bool):
            msg = f"position_base: expected 0 or 1, got {self.position_base!r}"
            raise InvalidInputError(msg)
        if self.time_unit not in {None, *get_args(TimeUnit)}:
            msg = f"time_unit: expected 's', 'ms', 'us', 'ns' or None, got {self.time_unit!r}"
            raise InvalidInputError(msg)

    @classmethod
    def of(
        cls,
        columns: Mapping[str, str] | None,
        types: Mapping[str, str] | Iterable[str] | None,
        position_base: int,
        time_unit: TimeUnit | None,
    ) -> Self:
        """Return the mapping of these arguments; `types` may be names only, which map nothing."""
        if isinstance(types, str):
            _check_texts("types", types)
        mapped = types if isinstance(types, Mapping) else {}
        return cls(columns or {}, mapped, position_base, time_unit)

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """Read a mapping from a file such as `to_toml` writes.

        Raises
        ------
        UnreadableSourceError
            If the file is missing or no TOML.
        InvalidInputError
            If it holds anything else than a mapping.
        """
        try:
            content = read_toml(path)
        except (OSError, ValueError) as error:
            msg = f"{path}: cannot be read as a mapping in TOML: {error}"
            raise UnreadableSourceError(msg) from error
        names = [each.name for each in fields(cls)]
        for name in content:
            if name not in names:
                msg = f"{path}: unknown key {name!r}.{did_you_mean(name, names)} Expected {names}"
                raise InvalidInputError(msg)
        try:
            return cls(**content)
        except InvalidInputError as error:
            msg = f"{path}: {error}"
            raise InvalidInputError(msg) from error

    def to_toml(self) -> str:
        """Return the mapping as the text of a TOML file."""
        lines = [f"position_base = {self.position_base}"]
        if self.time_unit is not None:
            lines.append(f"time_unit = {_text(self.time_unit)}")
        for title, texts in (("columns", self.columns), ("types", self.types)):
            pairs = (f"{toml_key(name)} = {_text(text)}" for name, text in texts.items())
            lines += ["", f"[{title}]", *pairs] if texts else []
        return "\n".join(lines) + "\n"

    def arguments(self) -> dict[str, Any]:
        """Return the mapping as the keyword arguments of `load_pairs` and others."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def column(self, name: str) -> str:
        """Return the column that holds a field."""
        return self.columns.get(name, name)

    def apply(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return a single record with the fields, types and position of an interaction.

        Times that are numbers are left to `moment_of`, which takes the unit.
        """
        sources = set(self.columns.values())
        found = {name: value for name, value in record.items() if name not in sources}
        for name, column in self.columns.items():
            if record.get(column) is not None:
                found[name] = record[column]
        if self.types and "interaction_type" in found:
            names = names_of(found["interaction_type"], self.types)
            found["interaction_type"] = [
                mapped_name(name, self.types) or name if isinstance(name, str) else name
                for name in names
            ]
        position = found.get("position")
        if isinstance(position, int | float) and not isinstance(position, bool):
            found["position"] = position - self.position_base
        return found


def toml_key(name: str) -> str:
    """Return a name as the key of a line in a TOML file."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _check_texts(parameter: str, texts: object) -> None:
    if not isinstance(texts, Mapping) or not all(
        isinstance(text, str) and text for pair in texts.items() for text in pair
    ):
        msg = f"{parameter}: expected a dict of text to text, got {repr(texts)[:100]}"
        raise InvalidInputError(msg)
