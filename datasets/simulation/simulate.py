"""Simulated interaction logs with known truth: for demos, tests and benchmarks."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from ..._shared.checks import checked_number
from ...errors import InvalidInputError
from .catalogue import candidates_of, channel_scores, simulate_catalogue
from .clicks import (
    WITHOUT_CURVE,
    check_click_model,
    click_probability,
    relevance_of_grade,
    sample_clicks,
    true_examination,
)
from .events import Served, mix_of, simulate_events
from .log_rows import Simulation, interaction_frame
from .production_rankers import production_lists, production_scores
from .sessions import DEFAULT_CONTEXT, examination_by_context, simulate_sessions

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl
    from numpy.typing import ArrayLike, NDArray

    from ..pairs.training_pairs import TrainingPairs
    from .catalogue import Candidates, Channels, RandomState
    from .clicks import ClickModel
    from .sessions import Context, Sessions

__all__ = [
    "click_probability",
    "relevance_of_grade",
    "simulate_catalogue",
    "simulate_interactions",
    "true_examination",
]

DEFAULT_START = datetime(2025, 1, 6)  # noqa: DTZ001 - the canonical columns are naive UTC


def simulate_interactions(
    catalogue: pl.DataFrame | TrainingPairs | None = None,
    *,
    n_executions: int,
    random_state: RandomState = None,
    rankers: int | ArrayLike = 3,
    click_model: ClickModel = "pbm",
    list_size: int = 10,
    min_documents: int = 1,
    examination: float | ArrayLike | None = None,
    attractiveness: tuple[float, float] = (0.1, 1.0),
    context: Context | None = None,
    channels: Channels = None,
    interactions: str = "all",
    interaction_mix: Mapping[str, float | tuple[float, float]] | None = None,
    several_types: float = 0.08,
    duplicates: float = 0.0,
    dirty: float = 0.0,
    bots: float = 0.0,
    start: datetime = DEFAULT_START,
    days: float = 30.0,
    n_users: int | None = None,
    retriever_id: str = "search",
    metadata: bool = True,
    id_prefix: str = "",
) -> pl.DataFrame:
    """Simulate the log of a search, in the record format, from documents with known grades.

    An execution draws a query and a production ranker, both uniformly, and shows the ranker's
    first `list_size` documents; the click model draws the clicks. Relevance is
    (2^grade - 1) / (2^max - 1). A click is followed by a return to the results (often where the
    grade is low) or by dwell, long view, cart, purchase and the like (often where it is high).

    Parameters
    ----------
    catalogue : polars.DataFrame or TrainingPairs, optional
        Columns query, feature_id, grade and numeric features, one row for each candidate of a
        query; or what `load_letor` returned. By default
        ``simulate_catalogue(random_state=random_state)`` for an int `random_state`, else
        ``simulate_catalogue(random_state=0)``.
    n_executions : int
        Executions that show a list; those with zero results come on top.
    random_state : int, numpy Generator or None
        The same int gives the same frame.
    rankers : int, or array-like of float, shape (rows of the catalogue, rankers)
        Production rankers to make (noisy linear ones), or their scores. One ranker alone never
        shows a document of a query at two positions.
    click_model : {"pbm", "trust", "cascade", "dbn", "random", "last"} or callable
        See `click_probability`. A function gets relevance and examination, both of shape
        (executions, list_size), relevance NaN beyond the end of a list, and a numpy Generator;
        it returns booleans of the same shape.
    list_size : int
        Documents shown at most.
    min_documents : int
        Queries with fewer candidates are never drawn.
    examination : float or array-like of float, optional
        As in `true_examination`; default 1 / rank. Only with ``"pbm"`` and ``"trust"``.
    attractiveness : (float, float)
        Click probability of an examined document at relevance 0 and 1; not with
        ``"trust"``, ``"random"`` and ``"last"``.
    context : dict, optional
        Column -> value -> share, or -> ``{"share": s, "examination": curve}``: drawn once a
        session, written to the metadata; its curve replaces `examination`. Default:
        device = desktop, mobile or tablet, all with the same curve.
    channels : int, list of columns, dict of name to scores, or None
        Retrieval channels, whose scores are min-max normalised over all candidates of a query
        and written to ``metadata.features``; the best one is the row's feature_uri. None takes
        the catalogue's columns with ``://`` in their name; ``()`` takes none.
    interactions : {"all", "clicks"}
        "clicks" writes impressions and clicks alone.
    interaction_mix : dict of str to float or (float, float), optional
        Interaction type -> probability (at relevance 0, at relevance 1), instead of the usual.
    several_types : float
        Share of rows that hold several types: an impression together with its click or a view.
    duplicates : float
        Rows to repeat within 5 minutes, as a share of those without.
    dirty : float
        Share of all rows to break, each in one way that a scan has to quarantine.
    bots : float
        Share of executions in which every shown document is clicked with probability 1/2.
    start : datetime
        First day; naive means UTC.
    days : float
        Days over which sessions start.
    n_users : int, optional
        Population of users; default one for every five executions.
    retriever_id : str
        Written to every row.
    metadata : bool
        Whether to write metadata; without it the column is null and the simulation faster.
    id_prefix : str
        Prefix of execution, session and interaction ids. Chunks with different `random_state`
        do not collide; pass one `catalogue` to all of them.

    Returns
    -------
    polars.DataFrame
        The canonical columns, ordered by time.

    Raises
    ------
    InvalidInputError
        If a parameter is out of range or a catalogue lacks columns.

    Examples
    --------
    >>> log = simulate_interactions(n_executions=100, random_state=0)
    >>> log["execution_id"].n_unique() >= 100
    True
    >>> log.filter(log["interaction_type"].list.contains("click"))["position"].max() < 10
    True
    """
    n_users = max(n_executions // 5, 1) if n_users is None else n_users
    _check(
        click_model,
        examination,
        at_least_one={"n_executions": n_executions, "list_size": list_size, "n_users": n_users},
        shares={
            "several_types": several_types,
            "duplicates": duplicates,
            "dirty": dirty,
            "bots": bots,
        },
        days=days,
    )
    if catalogue is None:
        seed = random_state if isinstance(random_state, int) else 0
        catalogue = simulate_catalogue(random_state=seed)
    rng = np.random.default_rng(random_state)
    candidates = candidates_of(catalogue)
    mix = mix_of(interactions, interaction_mix)
    scores = production_scores(candidates, rankers, rng)
    empty = rng.binomial(n_executions, mix["zero_results"][0]) if mix else 0
    context = DEFAULT_CONTEXT if context is None else context
    sessions = simulate_sessions(
        n_executions + empty,
        context=context,
        start=start,
        days=days,
        n_users=n_users,
        rng=rng,
    )
    served = _serve(
        candidates,
        production_lists(candidates, scores, list_size),
        sessions,
        empty=empty,
        min_documents=min_documents,
        curves=examination_by_context(context, examination, list_size),
        click_model=click_model,
        attractiveness=attractiveness,
        bots=bots,
        rng=rng,
    )
    events = simulate_events(
        served, mix=mix, several_types=several_types, duplicates=duplicates, dirty=dirty, rng=rng
    )
    simulation = Simulation(
        candidates=candidates,
        scores=scores,
        channels=channel_scores(catalogue, candidates, channels, rng),
        served=served,
        sessions=sessions,
        retriever_id=retriever_id,
        id_prefix=id_prefix,
        metadata=metadata,
    )
    return interaction_frame(simulation, events, rng)


def _serve(
    candidates: Candidates,
    lists: NDArray[np.int64],
    sessions: Sessions,
    *,
    empty: int,
    min_documents: int,
    curves: NDArray[np.float64],
    click_model: ClickModel,
    attractiveness: tuple[float, float],
    bots: float,
    rng: np.random.Generator,
) -> Served:
    """Draw query and ranker of every execution, show the list, and draw its clicks."""
    n = len(sessions.time)
    drawable = np.flatnonzero(np.bincount(candidates.query_code) >= min_documents)
    if not drawable.size:
        msg = f"min_documents: no query of the catalogue has {min_documents} candidates"
        raise InvalidInputError(msg)
    query = rng.choice(drawable, n)
    ranker = rng.integers(0, lists.shape[1], n)
    row = lists[query, ranker]
    row[rng.choice(n, empty, replace=False)] = -1
    relevance = np.where(row < 0, np.nan, candidates.relevance[row])
    examination = curves[sessions.context]
    clicks = sample_clicks(click_model, relevance, examination, attractiveness, rng)
    if bots:
        bot = rng.random((n, 1)) < bots
        clicks = np.where(bot, (rng.random(row.shape) < 0.5) & (row >= 0), clicks)
    return Served(query, ranker, row, clicks, relevance, sessions.time)


def _check(
    click_model: ClickModel,
    examination: object,
    *,
    at_least_one: dict[str, int],
    shares: dict[str, float],
    days: float,
) -> None:
    for name, number in at_least_one.items():
        checked_number(name, number, 1, whole=True)
    for name, share in shares.items():
        checked_number(name, share, 0, 1)
    checked_number("days", days, 0, between=True)
    check_click_model(click_model)
    if examination is not None and click_model in WITHOUT_CURVE:
        msg = (
            f"examination: the click model {click_model!r} has no examination curve; leave it out, "
            "or choose 'pbm' or 'trust'"
        )
        raise InvalidInputError(msg)
