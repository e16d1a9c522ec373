"""Loading with the users and sessions that intervals are clustered by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ...datasets import TrainingPairs

CLUSTERS = ("user_id", "session_id")


def load_columns(
    load: Callable[..., TrainingPairs],
    columns: Sequence[str],
    options: dict[str, Any],
    *,
    clusters: bool,
) -> TrainingPairs:
    """Load pairs with columns of context and, if `clusters`, users and sessions, if there are any.

    `load_pairs` refuses a context column that is empty throughout; for those of clusters that is no
    error here.
    """
    wanted = (CLUSTERS, CLUSTERS[:1], CLUSTERS[1:]) if clusters else ()
    for names in wanted:
        more = [name for name in names if name not in columns]
        try:
            return load(context=[*columns, *more], **options)
        except InvalidInputError as error:
            if not any(str(error).startswith(f"context: {name!r}") for name in more):
                raise
    return load(context=list(columns), **options)
