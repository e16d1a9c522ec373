"""One fit, from settings and pairs to a fitted state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidInputError
from . import _training
from ._auto import auto_lesson, click_model_lesson, judged_choice
from ._examination import find_examination, find_validation_examination
from ._feature_table import feature_matrix, refuse_infinite
from ._fitted import Fitted, plain, training_period
from ._lesson import Lesson
from ._parameters import main_names, merged, seed_from, thread_count
from ._progress import logger, progress_callback, warnings_logged
from ._settings import check_settings, stopping_rounds
from ._trainer import Trainer, refusals
from .choice import CURVE_UNKNOWN, FALLS_BACK
from .early_stopping import EarlyStopping, click_criterion, judged_criterion
from .pairwise import OWN_PARAMETERS, train_pairwise

if TYPE_CHECKING:
    from collections.abc import Mapping

    import lightgbm
    import polars as pl
    from numpy.typing import NDArray

    from ..datasets.training_pairs import TrainingPairs
    from ._examination import Examination

    Settings = Mapping[str, Any]


def fit(settings: Settings, pairs: TrainingPairs, validation: TrainingPairs | None) -> Fitted:
    """Train; see `Ranker.fit`."""
    users = main_names(settings["params"])
    check_settings(settings, pairs, validation, users)
    seed = seed_from(users.get("seed", settings["random_state"]))  # once: a generator moves on
    settings = {**settings, "random_state": seed}
    _training.check_pairs(pairs)
    refuse_infinite(pairs.X, pairs.feature_names)
    lesson = _lesson(settings, pairs, users)
    params = lightgbm_parameters(settings, users, lesson, validated=validation is not None)
    notes: list[str] = []
    watch = _Validation.prepare(settings, pairs, validation, users, lesson.examination, notes)
    booster, pair_bias = _train(settings, params, lesson, pairs, watch)
    if not booster.feature_importance("split").any():
        notes.append(
            f"no tree found a split: {len(lesson.data.y)} rows are too few for "
            f"min_data_in_leaf={params['min_data_in_leaf']}; every document gets one score"
        )
    notes += _warnings(lesson)
    for note in notes:
        logger.warning("Ranker.fit: %s", note)
    return _fitted(booster, params, pairs, lesson, pair_bias, watch, notes)


def _lesson(settings: Settings, pairs: TrainingPairs, users: Mapping[str, Any]) -> Lesson:
    """Return the rows and labels to learn from, by the mode."""
    mode = settings["debias"]
    if mode not in ("none", "auto") and not pairs.has_positions:
        msg = (
            f"debias={mode!r}: needs the position of every document, and these pairs have none "
            "(judged lists?); use debias='none'"
        )
        raise InvalidInputError(msg)
    if mode == "auto" and not pairs.has_positions:
        return Lesson(_training.session_data(pairs, position=False), choice=judged_choice())
    if mode in ("auto", "click_model"):
        plain_params = lightgbm_parameters(settings, users, None)
        trainer = Trainer(plain_params, pairs.feature_names, list(pairs.categories))
        given = {**settings, "label_gain": users.get("label_gain")}
        lesson = auto_lesson if mode == "auto" else click_model_lesson
        with warnings_logged():
            return lesson(pairs, trainer, given, settings["random_state"])
    if mode != "ips":
        return Lesson(_training.session_data(pairs, position=mode != "none"))
    examination = find_examination(pairs, settings["examination"])
    data = _training.ips_data(
        pairs,
        examination.values,
        clip=settings["clip"],
        prior_exposure=settings["prior_exposure"],
        label_gain=users.get("label_gain"),
    )
    return Lesson(data, examination=examination)


def lightgbm_parameters(
    settings: Settings,
    users: Mapping[str, Any],
    lesson: Lesson | None,
    *,
    validated: bool = False,
) -> dict[str, Any]:
    """Return the parameters for LightGBM: ours, overridden by the user's."""
    ours: dict[str, Any] = {
        "objective": "lambdarank",
        "num_iterations": settings["n_estimators"],
        "learning_rate": settings["learning_rate"],
        "num_leaves": settings["num_leaves"],
        "min_data_in_leaf": settings["min_data_in_leaf"],
        "lambdarank_truncation_level": settings["truncation_level"],
        "num_threads": thread_count(settings["n_jobs"]),
        "seed": settings["random_state"],
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    if settings["debias"] == "pairwise":
        ours |= OWN_PARAMETERS
    if lesson is not None and lesson.data.label_gain is not None:
        ours["label_gain"] = lesson.data.label_gain
        users = {name: value for name, value in users.items() if name != "label_gain"}
    if validated:
        ours["metric"] = "None"
    result = merged(ours, users)
    result.pop("early_stopping_round", None)
    return result if lesson is None else result | lesson.params


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
        settings: Settings,
        pairs: TrainingPairs,
        validation: TrainingPairs | None,
        users: Mapping[str, Any],
        trained: Examination | None,
        notes: list[str],
    ) -> _Validation | None:
        if validation is None:
            return None
        used = _with_positive(validation)
        return cls(
            X=feature_matrix(used, pairs.feature_names, pairs.categories),
            y=used.y,
            group=used.group,
            criterion=_criterion(settings, pairs, used, trained, notes),
            stopping=EarlyStopping(stopping_rounds(settings, users)),
        )


def _warnings(lesson: Lesson) -> list[str]:
    """Return what a choice has to say aloud: that it falls back, and a curve it assumes."""
    if lesson.choice is None:
        return []
    aloud = (FALLS_BACK, CURVE_UNKNOWN)
    return [reason for reason in lesson.choice.reasons if reason.startswith(aloud)]


def _with_positive(validation: TrainingPairs) -> TrainingPairs:
    """Return the executions that add to the criterion: those with a positive grade."""
    if not len(validation) or validation.y.max() <= 0:
        msg = "validation: no row has a positive grade, so it cannot tell when to stop"
        raise InvalidInputError(msg)
    positive = np.maximum.reduceat(validation.y, validation.offsets[:-1]) > 0
    return validation if positive.all() else validation.take(positive)


def _criterion(
    settings: Settings,
    pairs: TrainingPairs,
    used: TrainingPairs,
    trained: Examination | None,
    notes: list[str],
) -> Any:
    if not used.has_positions:
        return judged_criterion(used.y, used.group, settings["truncation_level"])
    known = find_validation_examination(used, settings["examination"], pairs, trained)
    if known.source == "assumed":
        notes.append(
            "the examination curve cannot be told from the log (positions never varied): early "
            "stopping assumes 1 / (position + 1); give examination= to have another"
        )
    return click_criterion(used.y, used.group, known.values, settings["clip"])


def _train(
    settings: Settings,
    params: dict[str, Any],
    lesson: Lesson,
    pairs: TrainingPairs,
    watch: _Validation | None,
) -> tuple[lightgbm.Booster, pl.DataFrame | None]:
    import lightgbm

    given, data = dict(params), lesson.data
    train_set = _training.dataset(data, pairs.feature_names, list(pairs.categories))
    rounds = given["num_iterations"]
    options: dict[str, Any] = {}
    pair_bias = lesson.pair_bias
    shown = progress_callback(settings["progress"], rounds)
    with refusals(), warnings_logged(), shown as callbacks:
        if watch is not None:
            valid = lightgbm.Dataset(watch.X, watch.y, group=watch.group, reference=train_set)
            options = {"valid_sets": [valid], "feval": watch.criterion}
            callbacks.append(watch.stopping)
        options["callbacks"] = callbacks
        if settings["debias"] == "pairwise":
            clip = settings["clip"]
            booster, pair_bias = train_pairwise(train_set, data, given, clip=clip, **options)
        else:
            booster = lightgbm.train(given, train_set, **options)
    if booster.num_model_per_iteration() != 1:
        msg = "params: the objective gives several scores a document; a ranker needs one"
        raise InvalidInputError(msg)
    return booster, pair_bias


def _fitted(
    booster: lightgbm.Booster,
    params: Mapping[str, Any],
    pairs: TrainingPairs,
    lesson: Lesson,
    pair_bias: pl.DataFrame | None,
    watch: _Validation | None,
    notes: list[str],
) -> Fitted:
    values = watch.stopping.values if watch is not None else []
    data, examination = lesson.data, lesson.examination
    report = {
        "rows": len(pairs),
        "executions": pairs.n_executions,
        "rows_trained": len(data.y),
        "lists_trained": len(data.group),
        "left_out": data.left_out,
        "rounds": booster.num_trees(),
        "criterion": max(values, default=None),
        "notes": notes,
        "load": pairs.report.to_dict(),
    }
    return Fitted(
        booster=booster,
        feature_names_in=np.array(pairs.feature_names, dtype=object),
        n_features_in=len(pairs.feature_names),
        categories={name: tuple(values) for name, values in pairs.categories.items()},
        best_iteration=booster.num_trees(),
        executions_left_out=data.left_out,
        examination=None if examination is None else examination.curve(pairs.position),
        examination_source=None if examination is None else examination.source,
        pair_bias=pair_bias,
        choice=lesson.choice,
        members=lesson.members,
        validation_values=values,
        notes=notes,
        training_report=plain(report),
        training_period=training_period(pairs),
        grades=[int(grade) for grade in np.unique(pairs.y)],
        seed=int(params["seed"]),
    )
