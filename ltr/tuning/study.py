"""The study of a search: where its trials are stored, and whether it is the same search."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from ..._shared.plain import plain
from ...datasets.pairs.row_blocks import row_blocks
from ...errors import InvalidInputError, StateMismatchError, StoreError
from .search_space import FIXED, described

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import optuna
    from optuna.distributions import BaseDistribution

    from ...datasets.pairs.training_pairs import TrainingPairs
    from ..ranker import Ranker

IDENTITY = "rankloom"
"""User attribute of a study that says what it searches."""

_NO_RESULT = ("n_jobs", "progress")
"""Parameters of a ranker that change no score."""


def require_optuna() -> None:
    """Raise InvalidInputError where optuna is not installed."""
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        msg = "tune: needs optuna; install rankloom[tune]"
        raise InvalidInputError(msg) from error


def identity_of(
    ranker: Ranker, pairs: TrainingPairs, space: Mapping[str, BaseDistribution], cv: Any
) -> dict[str, Any]:
    """Return what a search is about: two studies with another identity cannot be continued."""
    parameters = ranker.get_params(deep=False)
    examination = parameters["examination"]
    parameters["examination"] = getattr(examination, "examination_", repr(examination))
    fixed = {
        name: value
        for name, value in parameters.items()
        if name in FIXED or (name not in space and name not in _NO_RESULT)
    }
    named = {"random_state": repr(fixed.pop("random_state", None))}
    return {
        "space": described(space),
        "ranker": plain({**fixed, **named}),
        "folds": repr(cv),
        "pairs": _digest(pairs),
    }


def _digest(pairs: TrainingPairs) -> str:
    """Return a hash of what the search learns from and is scored by."""
    digest = hashlib.blake2b(digest_size=12)
    digest.update(repr((pairs.feature_names, pairs.categories)).encode())
    for executions in (pairs.group, pairs.query_code, pairs.time):
        digest.update(executions.tobytes())
    for block in row_blocks(pairs):
        for rows in (pairs.X, pairs.y, pairs.position, pairs.document_code, pairs.weight):
            digest.update(rows[block.rows].tobytes())
    return digest.hexdigest()


@contextmanager
def open_study(
    storage: str | None, name: str, identity: Mapping[str, Any], seed: int
) -> Iterator[optuna.Study]:
    """Lend the study of a search, with the trials of earlier runs if it is stored.

    Raises
    ------
    StateMismatchError
        If the stored study searches something else.
    StoreError
        If the storage cannot be opened.
    """
    import optuna

    with ExitStack() as stack:
        try:
            kept = None if storage is None else _kept(storage, stack)
            study = optuna.create_study(
                storage=kept, study_name=name, direction="maximize", load_if_exists=True
            )
        except Exception as error:  # SQLAlchemy's, or those of the driver of a database
            msg = f"storage: cannot open {storage!r}: {error}"
            raise StoreError(msg) from error
        _check_identity(study, identity)
        # A sampler's state is not stored: with the same seed it would repeat its first trials.
        study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials))
        study.pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=0)
        yield study


def _kept(storage: str, stack: ExitStack) -> optuna.storages.RDBStorage:
    """Return the storage; the stack closes its connections, which optuna leaves open."""
    import optuna

    kept = optuna.storages.RDBStorage(storage)
    stack.callback(kept.engine.dispose)
    stack.callback(kept.remove_session)
    return kept


def _check_identity(study: optuna.Study, identity: Mapping[str, Any]) -> None:
    stored = study.user_attrs.get(IDENTITY)
    if stored is None and not study.trials:
        study.set_user_attr(IDENTITY, dict(identity))
        return
    if stored == identity:
        return
    stored = stored or {}
    differ = [part for part in identity if stored.get(part) != identity[part]]
    details = [
        f"{part}: {_shortened(stored.get(part))} there, {_shortened(identity[part])} here"
        for part in differ
    ]
    msg = (
        f"study {study.study_name!r} searches something else ({'; '.join(details)}); use another "
        "study_name or storage, or give what it was started with"
    )
    raise StateMismatchError(msg)


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Let optuna log warnings only: a progress bar shows the trials."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
