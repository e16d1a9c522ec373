"""Trained rankers as the service loads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from ..ltr.ranker import Ranker


def load_ranker(folder: str | Path) -> Ranker:
    """Return the ranker of a folder, predicting with one thread.

    Raises
    ------
    UnreadableSourceError
        If there is no such folder, or no model in it.
    IntegrityError
        If anything in it is damaged.
    """
    from ..ltr import Ranker
    from ..ltr.boosting.parameters import main_names

    ranker = Ranker.load(folder)
    others = {name: v for name, v in main_names(ranker.params).items() if name != "num_threads"}
    ranker.set_params(n_jobs=1, params=others or None)
    return ranker
