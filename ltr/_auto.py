"""The modes "click_model" and "auto": from pairs to what one LightGBM model is to learn.

"click_model": the click model that foretells held-out clicks best turns clicks into relevance
labels. "auto": that model, a pairwise one and a joint one are blended, and the blend's scores are
what the final model regresses on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidInputError, NoExposuresError, NotIdentifiableError
from ._blend import blend_of
from ._examination import Examination, find_examination
from ._fall_back import gain_over_production
from ._lesson import Lesson
from ._trainer import refusals
from ._training import TrainingData, document_data, session_data
from .choice import CURVE_UNKNOWN, FALLS_BACK, Choice
from .click_evidence import held_out_evidence, speaks_for_documents
from .click_readings import (
    Documents,
    Reading,
    documents_of,
    group_sizes,
    read_dbn,
    read_pbm,
    read_ubm,
)
from .feature_prior import gain_per_click, relevance_from_features
from .joint_model import train_joint
from .pairwise import OWN_PARAMETERS, train_pairwise
from .relevance import grade_gains, posterior_relevance

if TYPE_CHECKING:
    from collections.abc import Mapping

    import lightgbm
    import polars as pl
    from numpy.typing import NDArray

    from ..datasets.click_models.counts import ClickCounts
    from ..datasets.training_pairs import TrainingPairs
    from ._trainer import Trainer

    Floats = NDArray[np.float64]

FEWEST_CLICKS = 50

ALONE = 0.6
"""Reliability from which the click model is not blended.

Where labels are sure, the other members and the last step blur them: on the dense logs of
`rankloom demo` (0.7) by 4 points of NDCG. On MQ2007-agg with 200,000 sessions (0.8) they would
still have added 1 point; with 20,000 (0.4) they add 1 to 3.
"""

CLICK_MODEL, PAIRWISE, JOINT = "click_model", "pairwise", "joint"


@dataclass(frozen=True)
class _Log:
    """The log as all steps need it; read once."""

    pairs: TrainingPairs
    documents: Documents
    gains: Floats
    counts: ClickCounts
    X: NDArray[np.float32]
    examination: Examination
    curve: Floats
    identified: bool
    trainer: Trainer
    settings: Mapping[str, Any]

    @classmethod
    def read(cls, pairs: TrainingPairs, trainer: Trainer, settings: Mapping[str, Any]) -> _Log:
        documents, counts = documents_of(pairs)
        gains = np.where(pairs.clicked, grade_gains(pairs.y, settings["label_gain"]), 0.0)
        examination, identified = _find(pairs, settings["examination"])
        return cls(
            pairs=pairs,
            documents=documents,
            gains=documents.total(gains * pairs.weight.astype(np.float64)),
            counts=counts,
            X=np.ascontiguousarray(pairs.X[documents.row]),
            examination=examination,
            curve=examination.filled_curve(pairs.position),
            identified=identified,
            trainer=trainer,
            settings=settings,
        )

    def prior(self, X: NDArray[np.float32], clicks: Floats, exposure: Floats) -> Any:
        return relevance_from_features(self.trainer, X, clicks, exposure)


def click_model_lesson(
    pairs: TrainingPairs, trainer: Trainer, settings: Mapping[str, Any], seed: int
) -> Lesson:
    """Return labels by the click model that the log speaks for."""
    log = _Log.read(pairs, trainer, settings)
    choice, reading = _choose(log, seed)
    labels, choice = _labels(log, reading, choice)
    data = document_data(log.X, labels, log.documents.group)
    choice = replace(choice, members={CLICK_MODEL: 1.0})
    return Lesson(data, examination=log.examination, choice=choice)


def auto_lesson(
    pairs: TrainingPairs, trainer: Trainer, settings: Mapping[str, Any], seed: int
) -> Lesson:
    """Return the blended scores of the members that the log speaks for."""
    log = _Log.read(pairs, trainer, settings)
    choice, reading = _choose(log, seed)
    labels, choice = _labels(log, reading, choice)
    data = document_data(log.X, labels, log.documents.group)
    choice = _decide_fall_back(log, reading, choice, seed)
    if _stands_alone(choice):
        return Lesson(data, examination=log.examination, choice=_alone(choice))
    boosters, pair_bias = {CLICK_MODEL: trainer.rank(data)}, None
    try:
        boosters[PAIRWISE], pair_bias = _train_pairwise(log)
    except (InvalidInputError, NoExposuresError) as error:
        choice.reasons.append(f"no pairwise member: {error}")
    boosters[JOINT], _ = train_joint(pairs, trainer)
    weights = _weights(choice, boosters)
    members, scores = blend_of(boosters, weights, log.X, trainer)
    return Lesson(
        TrainingData(log.X, scores, log.documents.group, left_out=data.left_out),
        params={"objective": "regression"},
        examination=log.examination,
        choice=replace(choice, members=weights),
        members=members,
        pair_bias=pair_bias,
    )


def judged_choice() -> Choice:
    """Return the choice for judged lists: there are no clicks to debias."""
    reason = "the lists were judged and never shown: lambdarank on the grades as they are"
    return Choice(click_model=None, members={"none": 1.0}, reasons=[reason])


def _find(pairs: TrainingPairs, given: Any) -> tuple[Examination, bool]:
    """Return the examination, and whether it is known; assumed where the log cannot tell."""
    try:
        return find_examination(pairs, given), True
    except NotIdentifiableError:
        assumed = 1.0 / (pairs.position.astype(np.float64) + 1.0)
        return Examination(assumed, "assumed"), False


def _choose(log: _Log, seed: int) -> tuple[Choice, Reading]:
    """Return the reading of the click model with the highest held-out likelihood."""
    clicks = int(log.pairs.clicked.sum())
    choice = Choice(
        click_model="pbm",
        members={},
        identified=log.identified,
        examination_source=log.examination.source,
    )
    if not log.identified:
        choice.reasons.append(
            f"{CURVE_UNKNOWN} (positions hardly varied, or none was first): 1 / (position + 1) is "
            "assumed; give examination= to have another"
        )
    enough = clicks >= FEWEST_CLICKS
    evidence = held_out_evidence(log.pairs, log.curve, log.prior, seed) if enough else {}
    if not evidence:
        choice.reasons.append(f"{clicks} clicks are too few to compare click models: pbm is taken")
        return choice, _read(log, "pbm")
    best = max(evidence, key=lambda name: evidence[name].log_likelihood)
    choice.reasons.append(f"{best} foretells held-out clicks best")
    return replace(choice, click_model=best, evidence=evidence), _read(log, best)


def _read(log: _Log, name: str) -> Reading:
    if name == "dbn":
        return read_dbn(log.pairs)
    if name == "ubm":
        return read_ubm(log.pairs, log.curve)
    reading = read_pbm(log.counts, log.curve)
    # By row, for examination may depend on more than the position.
    return replace(reading, exposure=log.documents.total(log.examination.values * log.pairs.weight))


def _labels(log: _Log, reading: Reading, choice: Choice) -> tuple[Floats, Choice]:
    """Return the expected gain of every document when examined."""
    relevance, reliability = _relevance(log, reading, np.ones(len(log.documents), dtype=bool))
    exposure = reading.exposure
    effective = float(exposure.sum() ** 2 / (exposure**2).sum())
    return relevance, replace(choice, reliability=reliability, effective_exposures=effective)


def _relevance(log: _Log, reading: Reading, chosen: NDArray[np.bool_]) -> tuple[Floats, float]:
    """Return the labels of the chosen documents, told by these alone, and their reliability."""
    X = log.X[chosen]
    clicks, exposure = log.documents.clicks[chosen], reading.exposure[chosen]
    strength, caution = log.settings["prior_strength"], log.settings["prior_exposure"]
    prior = relevance_from_features(log.trainer, X, clicks, exposure)(X)
    found = posterior_relevance(clicks, exposure, prior, strength=strength, caution=caution)
    evidence = np.maximum(exposure + strength + caution, np.finfo(np.float32).tiny)
    reliability = np.average(exposure / evidence, weights=exposure)
    return found * gain_per_click(log.trainer, X, clicks, log.gains[chosen]), float(reliability)


def _train_pairwise(log: _Log) -> tuple[lightgbm.Booster, pl.DataFrame]:
    """Train on sessions; a leaf holds as many documents as elsewhere, each repeated."""
    data = session_data(log.pairs, position=True)
    repeated = len(data.y) / len(log.documents)
    leaf = int(log.trainer.params["min_data_in_leaf"] * max(repeated, 1.0))
    trainer = log.trainer.setting(min_data_in_leaf=leaf).default(**OWN_PARAMETERS)
    train_set = trainer.dataset(data)
    with refusals():
        return train_pairwise(train_set, data, trainer.params, clip=log.settings["clip"])


def _told(choice: Choice) -> bool:
    """Whether the reading rests on what the log tells: its curve, or a model that needs none."""
    return choice.identified or choice.click_model == "dbn"


def _stands_alone(choice: Choice) -> bool:
    """Whether documents' own clicks tell so much that other views would only blur it."""
    return _told(choice) and (choice.reliability or 0.0) >= ALONE


def _alone(choice: Choice) -> Choice:
    choice.reasons.append(
        f"{choice.reliability:.0%} of the labels rests on documents' own clicks: the click model "
        "needs no other view"
    )
    return replace(choice, members={CLICK_MODEL: 1.0})


def _weights(choice: Choice, boosters: Mapping[str, lightgbm.Booster]) -> dict[str, float]:
    """Weigh the models of clicks on documents by how much they have to go by; pairwise is 1."""
    reliability = choice.reliability or 0.0
    raw = dict.fromkeys(boosters, 1.0)
    raw[CLICK_MODEL] = (2.0 if _told(choice) else 1.0) * reliability
    raw[JOINT] = min(1.0, 2.0 * reliability)
    choice.reasons.append(
        f"{reliability:.0%} of the labels rests on documents' own clicks: the click model weighs "
        f"{raw[CLICK_MODEL]:.2f} and the joint model {raw[JOINT]:.2f} to 1 of the pairwise one"
    )
    total = sum(raw.values())
    return {name: weight / total for name, weight in raw.items()}


def _decide_fall_back(log: _Log, reading: Reading, choice: Choice, seed: int) -> Choice:
    """Return the choice with the bound over production and what follows from the evidence."""
    if not choice.evidence:
        choice.reasons.append(f"{FALLS_BACK}: too few clicks to tell anything of documents")
        return replace(choice, fall_back=True)
    best = choice.evidence[choice.click_model or "pbm"]
    if not speaks_for_documents(best):
        choice.reasons.append(
            f"{FALLS_BACK}: knowing the documents does not foretell clicks better than knowing "
            f"positions and clicks above ({best.over_best_blind:+.4f}, s.e. "
            f"{best.standard_error:.4f})"
        )
        return replace(choice, fall_back=True)

    def scores_of_others(chosen: NDArray[np.bool_]) -> Floats:
        labels, _ = _relevance(log, reading, chosen)
        group = group_sizes(log.documents.query[chosen])
        booster = log.trainer.rank(document_data(log.X[chosen], labels, group))
        return log.trainer.predict(booster, log.X[~chosen])

    try:
        bound = gain_over_production(log.pairs, log.documents, log.curve, scores_of_others, seed)
    except InvalidInputError:  # half of the queries teach nothing
        bound = None
    if bound is None or bound.lower is None or bound.lower <= 0:
        choice.reasons.append(
            f"{FALLS_BACK}: the log does not show that the learnt order beats production's on "
            "held-out queries"
        )
        return replace(choice, bound=bound, fall_back=True)
    assumed = "" if choice.identified else ", under the assumed curve"
    choice.reasons.append(
        f"beats production on held-out queries by at least {bound.lower:.4f} {bound.metric}"
        f"{assumed}"
    )
    return replace(choice, bound=bound)
