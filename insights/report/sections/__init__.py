"""The sections of the report, in its order.

A section is a module with a `SECTION`: from the log to facts, and from facts to what is shown. To
add one, write such a module and name it here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from . import (
    documents,
    fusion,
    labels,
    load,
    memory,
    position_bias,
    queries,
    ranker,
    retrievers,
    similar,
    trends,
    users,
)

if TYPE_CHECKING:
    from ..blocks import Section

SECTIONS: Final[dict[str, Section]] = {
    module.SECTION.name: module.SECTION
    for module in (
        load,
        trends,
        users,
        position_bias,
        labels,
        queries,
        documents,
        similar,
        retrievers,
        ranker,
        memory,
        fusion,
    )
}
"""Name -> section."""
