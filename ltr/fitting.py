"""One fit, from settings and pairs to a fitted state."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .._shared.plain import plain
from .._shared.progress import progress_set
from .._shared.threads import load_lightgbm
from ..datasets.pairs.array_storage import gathered
from ..datasets.pairs.positions import position_counts
from ..datasets.pairs.row_blocks import row_blocks
from ..datasets.pairs.training_pairs import TrainingPairs
from ..datasets.quality.positions import position_notes
from ..errors import InvalidInputError
from .boosting.dataset import MAX_LIST, lightgbm_dataset
from .boosting.early_stopping import (
    EarlyStopping,
    click_criterion,
    judged_criterion,
    stop_afterwards,
)
from .boosting.progress import logger, progress_callback, warnings_logged
from .boosting.trainer import Trainer, refusals
from .debias.auto import auto_target, click_model_target, judged_choice
from .debias.choice import CURVE_UNKNOWN, FALLS_BACK
from .debias.ips import ips_target
from .debias.judged_evidence import NOT_USED, sentence
from .debias.pairwise import train_pairwise
from .debias.training_rows import check_pairs, session_data
from .debias.training_target import TrainingTarget
from .exposure.examination import find_validation_examination
from .features.behaviour_gain import behaviour_gain
from .features.matrix import feature_matrix, refuse_infinite
from .model.fitted import Fitted, training_period
from .settings import ON_ONE_NODE

if TYPE_CHECKING:
    from collections.abc import Mapping

    import lightgbm
    import polars as pl
    from numpy.typing import NDArray

    from .distributed.trees import DaskTrees
    from .exposure.examination import Examination
    from .settings import FitSettings


_BY_DOCUMENT = {"auto": auto_target, "click_model": click_model_target, "ips": ips_target}
"""Modes whose rows are the documents of queries; the rows of others are those of executions."""


def fit(
    settings: FitSettings,
    pairs: TrainingPairs,
    validation: TrainingPairs | None,
    dask: DaskTrees | None = None,
) -> Fitted:
    """Train; see `Ranker.fit`. `dask`: where the final model is trained if it does not fit here."""
    _check_types(settings, pairs, validation)
    if dask is not None:
        _check_distributed(settings)
    check_pairs(pairs)
    refuse_infinite(pairs.X, pairs.feature_names)
    pairs = _with_mean_weight_one(pairs)
    with progress_set(settings.progress):
        target = _target(settings, pairs)
    notes = _notes_of_data(pairs, target)
    params = _final_params(settings, target, validation, notes)
    watched = None
    if validation is not None:
        watched = _Validation.prepare(settings, pairs, validation, target.examination, notes)
    booster, pair_bias = _train(settings, params, target, pairs, watched, dask, notes)
    if not booster.feature_importance("split").any():
        notes.append(
            f"no tree found a split: {len(target.data.y)} rows are too few for "
            f"min_data_in_leaf={params['min_data_in_leaf']}; every document gets one score"
        )
    notes += _notes_of_choice(target)
    notes += _notes_of_judgments(pairs, target, settings.debias)
    for note in notes:
        logger.warning("Ranker.fit: %s", note)
    values = [] if watched is None else watched.stopping.values
    return _fitted_state(booster, settings.seed, pairs, target, pair_bias, values, notes)


def _check_types(settings: FitSettings, pairs: Any, validation: Any) -> None:
    for name, value in (("pairs", pairs), ("validation", validation)):
        if not isinstance(value, TrainingPairs) and not (name == "validation" and value is None):
            msg = f"{name}: expected TrainingPairs (see load_pairs), got {type(value).__name__}"
            raise InvalidInputError(msg)
    if settings.early_stopping_rounds is not None and validation is None:
        msg = "early_stopping_rounds: needs fit(pairs, validation=...); give later pairs"
        raise InvalidInputError(msg)


def _check_distributed(settings: FitSettings) -> None:
    if settings.debias in ON_ONE_NODE:
        msg = (
            f"debias={settings.debias!r}: cannot be trained on Dask, as its bias is learnt along "
            "with the trees; use 'auto', 'click_model', 'ips' or 'none', or fit without client"
        )
        raise InvalidInputError(msg)


def _with_mean_weight_one(pairs: TrainingPairs) -> TrainingPairs:
    """Return pairs whose weights are 1 in the mean over executions: only ratios may count.

    LightGBM's limits on sums of weights and the priors of exposures are absolute numbers.
    """
    mean = gathered(pairs.weight, pairs.offsets[:-1]).mean(dtype=np.float64)
    if mean == 1:
        return pairs
    weight = np.empty(len(pairs), np.float32)
    for block in row_blocks(pairs):
        weight[block.rows] = pairs.weight[block.rows] / mean
    return replace(pairs, weight=weight)


def _target(settings: FitSettings, pairs: TrainingPairs) -> TrainingTarget:
    """Return the rows and labels to train on, by the mode."""
    mode = settings.debias
    if mode not in ("none", "auto") and not pairs.has_positions:
        msg = (
            f"debias={mode!r}: needs the position of every document, and these pairs have none "
            "(judged lists?); use debias='none'"
        )
        raise InvalidInputError(msg)
    if mode == "auto" and not pairs.has_positions:
        return TrainingTarget(session_data(pairs, position=False), choice=judged_choice())
    if mode not in _BY_DOCUMENT:
        return TrainingTarget(session_data(pairs, position=mode != "none"))
    params = settings.lightgbm_params(pairs.X.size)
    trainer = Trainer(params, pairs.feature_names, list(pairs.categories))
    with warnings_logged():
        return _BY_DOCUMENT[mode](pairs, trainer, settings.debias_options)


def _final_params(
    settings: FitSettings,
    target: TrainingTarget,
    validation: TrainingPairs | None,
    notes: list[str],
) -> dict[str, Any]:
    """Return the parameters of the final model: what the data require comes first."""
    params = settings.lightgbm_params(target.data.X.size)
    metric = settings.user_params.get("metric")
    long = validation is not None and validation.group.max(initial=0) > MAX_LIST
    if validation is not None and (metric is None or long):
        params["metric"] = "None"  # the criterion is computed by a callback
    if target.data.label_gain is not None:
        params["label_gain"] = target.data.label_gain
    params |= target.params
    if validation is not None and metric is not None and params["metric"] == "None" != metric:
        cause = f"lists have more than {MAX_LIST:,} documents" if long else "labels are blended"
        notes.append(
            f"params: metric {metric!r} is not computed, as {cause}; validation_values_ has the "
            "debiased criterion"
        )
    return params


def _notes_of_data(pairs: TrainingPairs, target: TrainingTarget) -> list[str]:
    notes: list[str] = []
    if pairs.has_positions:
        notes += position_notes(position_counts(pairs))
    if target.data.split_lists:
        notes.append(
            f"queries or lists of more than {MAX_LIST:,} documents were trained on in parts "
            f"({target.data.split_lists}): documents of different parts are not compared"
        )
    return notes


@dataclass
class _Validation:
    """The validation rows and what is computed on them after every round."""

    X: NDArray[np.float32]
    y: NDArray[np.float32]
    group: NDArray[Any]
    criterion: Any
    stopping: EarlyStopping

    @classmethod
    def prepare(
        cls,
        settings: FitSettings,
        pairs: TrainingPairs,
        validation: TrainingPairs,
        trained: Examination | None,
        notes: list[str],
    ) -> _Validation:
        used = _with_positive(validation)
        return cls(
            X=feature_matrix(used, pairs.feature_names, pairs.categories),
            y=used.y,
            group=used.group,
            criterion=_criterion(settings, pairs, used, trained, notes),
            stopping=EarlyStopping(settings.early_stopping_rounds),
        )

    def stopped(self, booster: lightgbm.Booster, threads: int) -> lightgbm.Booster:
        """Return a booster that was grown to the end, without the trees after the best round."""
        return stop_afterwards(booster, self.X, self.criterion, self.stopping, threads)


def _with_positive(validation: TrainingPairs) -> TrainingPairs:
    """Return the executions that add to the criterion: those with a positive grade."""
    if not len(validation) or validation.y.max() <= 0:
        msg = "validation: no row has a positive grade, so it cannot decide when to stop"
        raise InvalidInputError(msg)
    positive = np.maximum.reduceat(validation.y, validation.offsets[:-1]) > 0
    return validation if positive.all() else validation.take(positive)


def _criterion(
    settings: FitSettings,
    pairs: TrainingPairs,
    used: TrainingPairs,
    trained: Examination | None,
    notes: list[str],
) -> Any:
    if not used.has_positions:
        return judged_criterion(used.y, used.group, settings.truncation_level)
    examination = find_validation_examination(used, settings.examination, pairs, trained)
    if examination.source == "assumed":
        notes.append(
            f"{CURVE_UNKNOWN} (neither swaps nor features do): early stopping assumes "
            "1 / (position + 1); give examination= to use another"
        )
    return click_criterion(used.y, used.group, examination.values, settings.clip)


def _train(
    settings: FitSettings,
    params: Mapping[str, Any],
    target: TrainingTarget,
    pairs: TrainingPairs,
    watched: _Validation | None,
    dask: DaskTrees | None,
    notes: list[str],
) -> tuple[lightgbm.Booster, pl.DataFrame | None]:
    """Train the final model; return the ratios of the pairwise objective with it."""
    load_lightgbm()
    import lightgbm

    data, pair_bias = target.data, target.pair_bias
    if dask is not None:
        notes.append(dask.size_note(data))
        if not dask.fit_here(data):
            booster = dask.grow(data, params, pairs.feature_names, list(pairs.categories), notes)
            if watched is not None:
                booster = watched.stopped(booster, params["num_threads"])
            return booster, pair_bias
    train_set = lightgbm_dataset(data, pairs.feature_names, list(pairs.categories), params)
    options: dict[str, Any] = {}
    shown = progress_callback(settings.progress, params["num_iterations"])
    with refusals(), warnings_logged(), shown as callbacks:
        if watched is not None:
            valid = lightgbm.Dataset(watched.X, watched.y, group=watched.group, reference=train_set)
            options = {"valid_sets": [valid], "feval": watched.criterion}
            callbacks.append(watched.stopping)
        options["callbacks"] = callbacks
        if settings.debias == "pairwise":
            booster, pair_bias = train_pairwise(
                train_set, data, params, clip=settings.clip, **options
            )
        else:
            booster = lightgbm.train(dict(params), train_set, **options)
    if booster.num_model_per_iteration() != 1:
        msg = "params: the objective gives several scores a document; a ranker needs one"
        raise InvalidInputError(msg)
    return booster, pair_bias


def _notes_of_choice(target: TrainingTarget) -> list[str]:
    """Return the reasons of a choice that become notes: that it falls back, an assumed curve."""
    if target.choice is None:
        return []
    noted = (FALLS_BACK, CURVE_UNKNOWN)
    return [reason for reason in target.choice.reasons if reason.startswith(noted)]


def _notes_of_judgments(pairs: TrainingPairs, target: TrainingTarget, mode: str) -> list[str]:
    """Return what became of the judgements: not used in this mode, or of doubtful strength."""
    if pairs.judgments is None:
        return []
    if target.judgments is None:
        note = f"{NOT_USED} with debias={mode!r}: {len(pairs.judgments):,} were given; use "
        return [note + "'auto', 'click_model' or 'ips'"]
    return [
        sentence(source, found) for source, found in target.judgments.items() if found["reason"]
    ]


def _fitted_state(
    booster: lightgbm.Booster,
    seed: int,
    pairs: TrainingPairs,
    target: TrainingTarget,
    pair_bias: pl.DataFrame | None,
    values: list[float],
    notes: list[str],
) -> Fitted:
    data, examination = target.data, target.examination
    labels = _labels(pairs)
    report = {
        "rows": len(pairs),
        "executions": pairs.n_executions,
        "labels": labels,
        "rows_trained": len(data.y),
        "lists_trained": len(data.group),
        "left_out": data.left_out,
        "rounds": booster.num_trees(),
        "criterion": max(values, default=None),
        "behaviour_gain": behaviour_gain(booster, pairs.feature_names),
        "notes": notes,
        **({"judgments": target.judgments} if target.judgments else {}),
        "load": pairs.report.to_dict(),
    }
    return Fitted(
        booster=booster,
        feature_names=pairs.feature_names,
        categories={name: tuple(values) for name, values in pairs.categories.items()},
        executions_left_out=data.left_out,
        examination=None if examination is None else examination.curve(),
        examination_source=None if examination is None else examination.source,
        pair_bias=pair_bias,
        choice=target.choice,
        members=target.members,
        validation_values=values,
        notes=notes,
        training_report=plain(report),
        training_period=training_period(pairs),
        grades=sorted(map(int, labels["grades"])),
        seed=seed,
    )


def _labels(pairs: TrainingPairs) -> dict[str, Any]:
    """Return the rows of each grade that occurs, ascending, and those with a signal."""
    grades: Counter[int] = Counter()
    signals: Counter[str] = Counter(clicked=0, negative=0)
    for block in row_blocks(pairs):
        values, counts = np.unique(pairs.y[block.rows], return_counts=True)
        grades.update(dict(zip(map(int, values), map(int, counts), strict=True)))
        signals["clicked"] += int(pairs.clicked[block.rows].sum())
        signals["negative"] += int(pairs.negative[block.rows].sum())
    return {"grades": {str(grade): grades[grade] for grade in sorted(grades)}, **signals}
