"""Stored interactions by filters: page by page, or from cursor to cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from ...datasets.log.filter_fields import FIELDS, OPERATORS, SORTABLE
from ..http.errors import fault
from ..http.parameters import Parameter
from ..http.roles import Role
from .endpoint import Call, Endpoint
from .interaction_response import response
from .schemas import Count, Identifier, InteractionResponse  # noqa: TC001 - msgspec reads them

if TYPE_CHECKING:
    from ...datasets.log.answers import Page

MOST_ITEMS: Final = 1_000
MOST_SKIPPED: Final = 10_000
USUAL_ITEMS: Final = 100
_SIMPLE: Final = (
    "execution_id",
    "retriever_id",
    "session_id",
    "user_id",
    "feature_id",
    "interaction_type",
)


_CONDITIONS: Final = {"type": ["array", "null"], "items": {"type": "object"}}


class Sort(Struct, kw_only=True, forbid_unknown_fields=True):
    """The order of what is found."""

    field: Annotated[str, Meta(examples=["timestamp"], extra_json_schema={"enum": list(SORTABLE)})]
    direction: Literal["asc", "desc"] | None = None


class InteractionFilters(Struct, kw_only=True, forbid_unknown_fields=True):
    """What to look for; everything that is given has to hold."""

    execution_id: Identifier | None = None
    retriever_id: Identifier | None = None
    session_id: Identifier | None = None
    user_id: Identifier | None = None
    feature_id: Identifier | None = None
    interaction_type: Annotated[
        Identifier | None, Meta(description="One of an interaction's types")
    ] = None
    filters: Annotated[
        dict[str, Any] | None,
        Meta(
            description=(
                "A condition {field, operator, value}, lists of them under AND, OR, NOT, or in "
                f"short {{field: {{operator: value}}}}. Fields: {', '.join(FIELDS)} and "
                "metadata.KEY"
            ),
            examples=[{"AND": [{"field": "position", "operator": "lte", "value": 5}]}],
            extra_json_schema={
                "properties": {
                    **dict.fromkeys(("AND", "OR", "NOT"), _CONDITIONS),
                    "field": {"type": "string"},
                    "operator": {"enum": [*OPERATORS, None]},
                    "case_sensitive": {"type": ["boolean", "null"]},
                },
            },
        ),
    ] = None
    sort: Sort | None = None
    search: Annotated[None, Meta(description="Not supported")] = None


class Pagination(Struct, kw_only=True):
    """Where a page stands."""

    total: Annotated[Count | None, Meta(description="All matches, with include_total")]
    page: Annotated[int | None, Meta(description="From 1; null behind a cursor")]
    page_size: Count
    total_pages: Count | None
    next_page: Annotated[str | None, Meta(description="Its number, as text")]
    previous_page: Annotated[str | None, Meta(description="Its number, as text")]
    next_cursor: Annotated[str | None, Meta(description="Null after the last match")]


class InteractionPage(Struct, kw_only=True):
    """One page; `items` and `results` are the same list."""

    results: list[InteractionResponse]
    items: list[InteractionResponse]
    pagination: Pagination


async def list_interactions(call: Call) -> InteractionPage:
    """Return stored interactions that meet all filters, the newest first unless `sort` says so.

    Walk through many of them by `next_cursor`: it costs the same on every page and misses nothing.
    """
    body: InteractionFilters = call.body or InteractionFilters()
    size = _either(call, "limit", "page_size") or USUAL_ITEMS
    cursor = _either(call, "cursor", "next_cursor", "after")
    offset = _offset(call, size, cursor)
    sort = body.sort or Sort(field="timestamp")
    log = call.service.view(call.caller.namespace)
    found = await call.service.search(
        log.find,
        _filters(body),
        sort=(sort.field, sort.direction or "desc"),
        cursor=cursor,
        offset=offset,
        limit=size,
        include_total=call.query["include_total"],
    )
    cut = found.next_cursor is not None and len(found.items) < size
    numbered = next((name for name in ("page", "offset") if call.query[name] is not None), None)
    if cut and numbered is not None:
        reason = "the rows are too large for numbered pages of this size; go on by next_cursor"
        raise fault(field=numbered, reason=reason)
    items = [response(each) for each in found.items]
    place = _pagination(found, size, None if cursor or cut else offset)
    return InteractionPage(results=items, items=items, pagination=place)


def _either(call: Call, *names: str) -> Any:
    """Return the one value that several names stand for."""
    given = {call.query[name] for name in names if call.query[name] is not None}
    if len(given) > 1:
        raise fault(names[0], f"expected one value for {', '.join(names)}, got several")
    return next(iter(given), None)


def _offset(call: Call, size: int, cursor: str | None) -> int:
    offset, page = call.query["offset"], call.query["page"]
    if page is not None:
        if offset is not None and offset != (page - 1) * size:
            raise fault(field="page", reason="expected page or offset, got both")
        offset = (page - 1) * size
    if offset is not None and offset > MOST_SKIPPED:
        reason = f"expected at most {MOST_SKIPPED:,} rows before the page; go on by next_cursor"
        raise fault("page" if page is not None else "offset", reason)
    if cursor is not None and offset:
        raise fault(field="cursor", reason="expected a cursor or a page, got both")
    return offset or 0


def _filters(body: InteractionFilters) -> dict[str, Any]:
    simple = {name: getattr(body, name) for name in _SIMPLE}
    given = {name: value for name, value in simple.items() if value is not None}
    if not body.filters:
        return given
    return {**given, "AND": [body.filters]} if given else body.filters


def _pagination(found: Page, size: int, offset: int | None) -> Pagination:
    total = found.total
    more = found.next_cursor is not None
    page = None if offset is None else offset // size + 1
    return Pagination(
        total=total,
        page=page,
        page_size=size,
        total_pages=None if total is None else -(-total // size),
        next_page=str(page + 1) if page is not None and more else None,
        previous_page=str(page - 1) if page is not None and page > 1 else None,
        next_cursor=found.next_cursor,
    )


def _query(name: str, kind: Any, description: str, default: Any = None) -> Parameter:
    return Parameter(name, kind, "query", description, default)


_Offset = Annotated[int, Meta(ge=0, le=MOST_SKIPPED)] | None
_PageNumber = Annotated[int, Meta(ge=1, le=MOST_SKIPPED + 1)] | None
_Size = Annotated[int, Meta(ge=1, le=MOST_ITEMS)] | None
_Cursor = Annotated[str, Meta(min_length=1, max_length=4_096)] | None

LIST: Final = Endpoint(
    "POST",
    "/v1/retrievers/interactions/list",
    list_interactions,
    "Find interactions",
    role=Role.READ,
    body=InteractionFilters,
    body_required=False,
    answer=InteractionPage,
    parameters=(
        _query("limit", _Size, f"Most items; {USUAL_ITEMS} if not given"),
        _query("page_size", _Size, "The same as limit"),
        _query("offset", _Offset, "Matches to skip"),
        _query("page", _PageNumber, "From 1"),
        _query("cursor", _Cursor, "The next_cursor of the page before"),
        _query("next_cursor", _Cursor, "The same as cursor"),
        _query("after", _Cursor, "The same as cursor"),
        _query("include_total", bool, "Whether to count all matches", default=False),
    ),
)
