"""The modes "click_model" and "auto": from pairs to what the final LightGBM model is trained on.

"click_model": the click model with the highest held-out likelihood turns clicks into relevance
labels. "auto": that model, a pairwise one and a joint one are blended, and the final model is a
regression on the blend's scores.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._shared.clustered import effective_size
from ...datasets.pairs.array_storage import gathered
from ...errors import InvalidInputError, NoExposuresError, NotIdentifiableError
from ..boosting.trainer import refusals
from ..exposure.click_exposure import ClickExposure, dbn_exposure, pbm_exposure, ubm_exposure
from ..exposure.examination import Examination, assumed_examination, find_examination
from ..exposure.feature_variants import FeatureVariants, feature_variants
from ..exposure.query_documents import sums
from ..exposure.unshown_documents import JudgedVariants, with_unshown
from .blend import blend_of
from .choice import CURVE_UNKNOWN, FALLS_BACK, Choice
from .click_model_selection import documents_matter, held_out_evidence
from .distillation import student_params
from .document_posterior import DocumentPosterior
from .execution_effects import execution_effects, without_execution_effects
from .fall_back import gain_over_production
from .feature_prior import gain_per_click, relevance_from_features
from .joint_model import train_joint
from .judged_evidence import JudgedEvidence, judged_evidence
from .pairwise import PAIRWISE_DEFAULTS, train_pairwise
from .relevance import grade_gains, posterior_of_variants, prior_means
from .training_rows import VariantLists, document_data, session_data, variant_lists
from .training_target import TrainingTarget

if TYPE_CHECKING:
    from collections.abc import Mapping

    import lightgbm
    import polars as pl
    from numpy.typing import NDArray

    from ...datasets.pairs.row_blocks import RowBlock
    from ...datasets.pairs.training_pairs import TrainingPairs
    from ..boosting.dataset import TrainingData
    from ..boosting.trainer import Trainer
    from .feature_prior import FeaturePrior
    from .training_target import DebiasOptions

    Floats = NDArray[np.float64]

MIN_CLICKS = 50

MIN_RELIABILITY_ALONE = 0.6
"""Reliability from which the click model is not blended.

Where labels are certain, the other members and the last step blur them: on the dense logs of
`rankloom demo` (0.7) by 4 points of NDCG. On MQ2007-agg with 200,000 sessions (0.8) they would
still have added 1 point; with 20,000 (0.4) they add 1 to 3.
"""

MIN_JUDGED_ALONE = 0.5
"""Share of judgements in what is known of a document, from which members that learn from clicks
alone are left out."""

LIST_WEIGHT_POWER = 4
"""See `FitContext.weight_of_lists`."""

MAX_PRIOR_ROWS = 500_000
"""Rows that models of features alone are fitted to, where every row of a log may be distinct."""

CLICK_MODEL, PAIRWISE, JOINT = "click_model", "pairwise", "joint"


@dataclass(frozen=True)
class FitContext:
    """What all steps of a fit need of the log, computed once."""

    pairs: TrainingPairs
    variants: FeatureVariants
    lists: VariantLists  # what models of relevance are trained on
    X: NDArray[np.float32]  # shape (v, n_features): features of the variants
    clicks: Floats  # shape (v,): sums over every variant, times recency weight
    gains: Floats  # shape (v,)
    examination: Examination
    curve: Floats  # shape (positions,)
    identified: bool  # whether the examination is known, and not assumed
    trainer: Trainer
    options: DebiasOptions
    judged_document: NDArray[np.int64]  # shape (j,): document of every judgement, -1 for none
    judged: JudgedEvidence  # none until `with_judgments`
    list_weight: Floats | None = None  # shape (v,): of the lists of a variant; None: all alike

    @classmethod
    def of(cls, pairs: TrainingPairs, trainer: Trainer, options: DebiasOptions) -> FitContext:
        """Sum the log up by variant of a document, and find its examination."""
        variants = feature_variants(pairs)
        extended = with_unshown(
            pairs, variants, np.ascontiguousarray(gathered(pairs.X, variants.row))
        )
        variants = extended.variants

        def clicks(block: RowBlock) -> Floats:
            return np.where(pairs.clicked[block.rows], pairs.weight[block.rows], np.float64(0))

        def gains(block: RowBlock) -> Floats:
            gain = grade_gains(pairs.y[block.rows], options.label_gain)
            clicked = np.where(pairs.clicked[block.rows], gain, 0.0)
            return clicked * pairs.weight[block.rows].astype(np.float64)

        examination, identified = _find_examination(pairs, options.examination)
        return cls(
            pairs=pairs,
            variants=variants,
            lists=variant_lists(variants, options.seed),
            X=extended.X,
            clicks=variants.total_of(pairs, clicks),
            gains=variants.total_of(pairs, gains),
            examination=examination,
            curve=examination.filled_curve(),
            identified=identified,
            trainer=trainer,
            options=options,
            judged_document=extended.document,
            judged=JudgedEvidence.none(len(variants)),
        )

    def examined(self, exposure: ClickExposure) -> Floats:
        """Return the sum of examination of every variant, times recency weight; shape (v,)."""
        return self.variants.total_of(self.pairs, exposure.weighted)

    def with_judgments(self, exposure: ClickExposure) -> FitContext:
        """Return the context with what judgements count as, by their agreement with clicks."""
        judged = judged_evidence(self.pairs, self.variants, self.judged_document, exposure.rows)
        kept = (self.variants.row >= 0) | (judged.exposure > 0)
        left = JudgedVariants(self.variants, self.X, self.judged_document).only(kept)
        context = replace(
            self,
            variants=left.variants,
            lists=variant_lists(left.variants, self.options.seed),
            X=left.X,
            clicks=self.clicks[kept],
            gains=self.gains[kept],
            judged_document=left.document,
            judged=judged.only(kept),
        )
        return replace(context, list_weight=context.weight_of_lists(exposure))

    def weight_of_lists(self, exposure: ClickExposure) -> Floats | None:
        """Return ``(1 - s)^4``, s being the share of judgements in labels of a query; shape (v,).

        Judgements are noisy, and those of many rare queries would outweigh the clicks on a few
        frequent ones.
        """
        if not self.judged.exposure.any():
            return None
        documents = self.variants.documents
        judged = sums(self.variants.document, self.judged.exposure, len(documents))
        prior = self.options.prior_strength + self.options.prior_exposure
        known = documents.total_of(self.pairs, exposure.weighted) + judged + prior
        share = judged / np.maximum(known, np.finfo(np.float32).tiny)
        query = documents.query
        size = np.maximum(np.bincount(query), 1)
        of_query = sums(query, share, len(size)) / size
        return np.asarray(((1 - of_query) ** LIST_WEIGHT_POWER)[self.variants.query])

    def fit_prior(self, X: NDArray[np.float32], clicks: Floats, exposure: Floats) -> FeaturePrior:
        """Return relevance as a function of features, fitted to at most `MAX_PRIOR_ROWS`."""
        if self.variants.varying and len(X) > MAX_PRIOR_ROWS:
            generator = np.random.default_rng(self.options.seed)
            rows = np.sort(generator.permutation(len(X))[:MAX_PRIOR_ROWS])
            X, clicks, exposure = X[rows], clicks[rows], exposure[rows]
        return relevance_from_features(self.trainer, X, clicks, exposure)

    def exposure(self, click_model: str) -> ClickExposure:
        """Return the rows' examination by a click model."""
        if click_model == "dbn":
            return dbn_exposure(self.pairs)
        if click_model == "ubm":
            return ubm_exposure(self.pairs, self.curve)
        return pbm_exposure(self.pairs, self.curve, self.examination.rows)


def click_model_target(
    pairs: TrainingPairs, trainer: Trainer, options: DebiasOptions
) -> TrainingTarget:
    """Return labels by the click model with the highest held-out likelihood."""
    context, choice, exposure = _prepared(pairs, trainer, options)
    labels, choice = _labels(context, exposure, choice)
    data = _label_data(context, labels)
    choice = replace(choice, members={CLICK_MODEL: 1.0})
    return TrainingTarget(
        data, examination=context.examination, choice=choice, judgments=context.judged.report
    )


def auto_target(pairs: TrainingPairs, trainer: Trainer, options: DebiasOptions) -> TrainingTarget:
    """Return the blended scores of the members, weighted by the evidence for each."""
    context, choice, exposure = _prepared(pairs, trainer, options)
    labels, choice = _labels(context, exposure, choice)
    data = _label_data(context, labels)
    choice = _decide_fall_back(context, exposure, choice)
    certain = _is_certain(context, choice)
    if _needs_no_blend(choice, certain=certain):
        choice = _click_model_only(choice)
        return TrainingTarget(
            data, examination=context.examination, choice=choice, judgments=context.judged.report
        )
    boosters, pair_bias = {CLICK_MODEL: trainer.rank(data)}, None
    try:
        boosters[PAIRWISE], pair_bias = _train_pairwise(context)
    except (InvalidInputError, NoExposuresError) as error:
        choice.reasons.append(f"no pairwise member: {error}")
    boosters[JOINT], _ = train_joint(*_sampled(context), trainer)
    weights = _member_weights(choice, boosters, certain=certain)
    members, scores = blend_of(boosters, weights, context.X, trainer)
    if context.variants.varying:
        scores -= execution_effects(context.variants, pairs.execution_index, scores)
    lists = context.lists
    X, y = np.ascontiguousarray(context.X[lists.variant]), scores[lists.variant]
    scored = replace(data, X=X, y=y, group=lists.group, weight=None, label_gain=None)
    return TrainingTarget(
        scored,
        params=student_params(scored, trainer, add_trees=options.add_trees),
        examination=context.examination,
        choice=replace(choice, members=weights),
        members=members,
        pair_bias=pair_bias,
        judgments=context.judged.report,
    )


def document_posterior(
    pairs: TrainingPairs, trainer: Trainer, options: DebiasOptions
) -> DocumentPosterior:
    """Return what clicks, judgements and features say of every document, shown or judged."""
    context, _, exposure = _prepared(pairs, trainer, options)
    variants, judged, documents = context.variants, context.judged, context.variants.documents
    examined = context.examined(exposure)
    clicked, known = context.clicks + judged.clicks, examined + judged.exposure
    prior = prior_means(
        variants.document, context.fit_prior(context.X, clicked, known)(context.X), known
    )
    code = pairs.document_code[documents.row].astype(np.int64)
    if pairs.judgments is not None:
        used = context.judged_document >= 0
        code[context.judged_document[used]] = pairs.judgments.document_code[used]
    clicks_of, exposure_of, judged_of, clicked_of, known_of = (
        sums(variants.document, each, len(documents))
        for each in (context.clicks, examined, judged.exposure, clicked, known)
    )
    strength = options.prior_strength
    return DocumentPosterior(
        query=documents.query,
        document=code,
        shown=documents.row >= 0,
        clicks=clicks_of,
        exposure=exposure_of,
        judged_exposure=judged_of,
        shape=np.maximum(clicked_of + strength * prior, np.finfo(np.float32).eps),
        rate=np.maximum(known_of + strength + options.prior_exposure, np.finfo(np.float32).eps),
    )


def judged_choice() -> Choice:
    """Return the choice for judged lists: there are no clicks to debias."""
    reason = "the lists were judged and not shown to users: lambdarank on the grades as they are"
    return Choice(click_model=None, members={"none": 1.0}, reasons=[reason])


def _find_examination(pairs: TrainingPairs, given: Any) -> tuple[Examination, bool]:
    """Return the examination and whether it is known; assumed where it is not identified."""
    try:
        return find_examination(pairs, given), True
    except NotIdentifiableError:
        return assumed_examination(pairs), False


def _prepared(
    pairs: TrainingPairs, trainer: Trainer, options: DebiasOptions
) -> tuple[FitContext, Choice, ClickExposure]:
    """Return the log summed up, the click model with its exposure, and what judgements count as."""
    context = FitContext.of(pairs, trainer, options)
    choice, exposure = _choose_click_model(context)
    context = context.with_judgments(exposure)
    choice.reasons.extend(context.judged.reasons)
    return context, choice, exposure


def _choose_click_model(context: FitContext) -> tuple[Choice, ClickExposure]:
    """Return the exposure by the click model with the highest held-out likelihood."""
    clicks = int(np.count_nonzero(context.pairs.clicked))
    choice = Choice(
        click_model="pbm",
        members={},
        identified=context.identified,
        examination_source=context.examination.source,
    )
    varying = context.variants.varying
    if varying:
        choice.reasons.append(
            "features that differ between executions of a document: "
            f"{', '.join(varying[:5])}{' and others' if len(varying) > 5 else ''}; "
            f"{len(context.variants.documents):,} documents have {len(context.variants):,} "
            "distinct rows"
        )
    if not context.identified:
        choice.reasons.append(
            f"{CURVE_UNKNOWN} (positions hardly varied and features do not help, or no list has "
            "position 0): 1 / (position + 1) is assumed; give examination= to use another"
        )
    evidence = {}
    if clicks >= MIN_CLICKS:
        seed = context.options.seed
        evidence = held_out_evidence(context.pairs, context.curve, context.fit_prior, seed)
    if not evidence:
        choice.reasons.append(f"{clicks} clicks are too few to compare click models: pbm is taken")
        return choice, context.exposure("pbm")
    best = max(evidence, key=lambda name: evidence[name].log_likelihood)
    choice.reasons.append(f"{best} predicts held-out clicks best")
    return replace(choice, click_model=best, evidence=evidence), context.exposure(best)


def _labels(context: FitContext, exposure: ClickExposure, choice: Choice) -> tuple[Floats, Choice]:
    """Return the expected gain of every variant when examined."""
    everything = np.ones(len(context.variants), dtype=bool)
    labels = _relevance(context, exposure, everything)
    documents = context.variants.documents
    examined = documents.total_of(context.pairs, exposure.weighted)
    judged = sums(context.variants.document, context.judged.exposure, len(examined))
    options, known = context.options, examined + judged
    evidence = known + options.prior_strength + options.prior_exposure
    share = known / np.maximum(evidence, np.finfo(np.float32).tiny)
    choice = replace(
        choice,
        reliability=float(np.average(share, weights=known)),
        effective_exposures=effective_size(examined),
        judged_share=float(np.mean(judged / np.maximum(known, np.finfo(np.float32).tiny))),
    )
    return labels, choice


def _relevance(context: FitContext, exposure: ClickExposure, chosen: NDArray[np.bool_]) -> Floats:
    """Return the labels of the chosen variants, fitted on these alone.

    A document's variants must be chosen together.
    """
    X, clicks, judged = context.X[chosen], context.clicks[chosen], context.judged
    document = np.unique(context.variants.document[chosen], return_inverse=True)[1]
    clicked = clicks + judged.clicks[chosen]
    examined = context.examined(exposure)[chosen] + judged.exposure[chosen]
    relevance = posterior_of_variants(
        document,
        clicked,
        examined,
        context.fit_prior(X, clicked, examined)(X),
        strength=context.options.prior_strength,
        zero_prior=context.options.prior_exposure,
    )
    return relevance * gain_per_click(context.trainer, X, clicks, context.gains[chosen], document)


def _label_data(
    context: FitContext, labels: Floats, chosen: NDArray[np.bool_] | None = None
) -> TrainingData:
    """Return the lists of (chosen) variants with their labels; `labels` has shape (v,)."""
    if context.variants.varying:
        execution = context.pairs.execution_index
        labels = without_execution_effects(context.variants, execution, labels)
    lists = context.lists if chosen is None else context.lists.of(chosen)
    weight = None if context.list_weight is None else context.list_weight[lists.variant]
    return document_data(context.X[lists.variant], labels[lists.variant], lists.group, weight)


def _sampled(context: FitContext) -> tuple[TrainingPairs, FeatureVariants]:
    """Return the pairs and their variants, or those of some executions if there are too many."""
    pairs, size = context.pairs, len(context.variants)
    if not context.variants.varying or size <= MAX_PRIOR_ROWS:
        return pairs, context.variants
    generator = np.random.default_rng(context.options.seed)
    number = max(pairs.n_executions * MAX_PRIOR_ROWS // size, 1)
    chosen = np.sort(generator.permutation(pairs.n_executions)[:number])
    some = pairs.take(chosen, gathered)
    return some, feature_variants(some)


def _train_pairwise(context: FitContext) -> tuple[lightgbm.Booster, pl.DataFrame]:
    """Train on executions, where every document is repeated: so leaves have to hold more rows."""
    data = session_data(context.pairs, position=True)
    rows_per_document = len(data.y) / len(context.variants)
    trainer = context.trainer
    min_rows = int(trainer.params["min_data_in_leaf"] * max(rows_per_document, 1.0))
    trainer = trainer.with_params(min_data_in_leaf=min_rows).with_defaults(**PAIRWISE_DEFAULTS)
    train_set = trainer.dataset(data)
    with refusals():
        return train_pairwise(train_set, data, trainer.params, clip=context.options.clip)


def _is_certain(context: FitContext, choice: Choice) -> bool:
    """Whether the exposure is known: by a curve of swaps or a given one, or a model without one.

    A curve that features helped to estimate errs where relevance learnt from them does.
    """
    by_features = context.examination.log_covariance is not None
    return (choice.identified and not by_features) or choice.click_model == "dbn"


def _needs_no_blend(choice: Choice, *, certain: bool) -> bool:
    """Whether the labels depend so much on documents' own evidence that a blend would blur them."""
    alone = certain and (choice.reliability or 0.0) >= MIN_RELIABILITY_ALONE
    return alone or choice.judged_share >= MIN_JUDGED_ALONE


def _click_model_only(choice: Choice) -> Choice:
    cause = f"{choice.reliability:.0%} of the labels depends on documents' own clicks"
    if choice.judged_share >= MIN_JUDGED_ALONE:
        cause = f"judgements are {choice.judged_share:.0%} of what is known of a document"
    choice.reasons.append(f"{cause}: the click model is not blended")
    return replace(choice, members={CLICK_MODEL: 1.0})


def _member_weights(
    choice: Choice, boosters: Mapping[str, Any], *, certain: bool
) -> dict[str, float]:
    """Weigh the click model and the joint model by their evidence; the pairwise one counts 1."""
    reliability = choice.reliability or 0.0
    raw = dict.fromkeys(boosters, 1.0)
    raw[CLICK_MODEL] = (2.0 if certain else 1.0) * reliability
    raw[CLICK_MODEL] /= 1 - choice.judged_share  # the others learn from clicks alone
    raw[JOINT] = min(1.0, 2.0 * reliability)
    choice.reasons.append(
        f"{reliability:.0%} of the labels depends on documents' own clicks: the click model weighs "
        f"{raw[CLICK_MODEL]:.2f} and the joint model {raw[JOINT]:.2f} to 1 of the pairwise one"
    )
    total = sum(raw.values())
    return {name: weight / total for name, weight in raw.items()}


def _decide_fall_back(context: FitContext, exposure: ClickExposure, choice: Choice) -> Choice:
    """Return the choice with the bound over production and what follows from the evidence."""
    if not choice.evidence:
        choice.reasons.append(f"{FALLS_BACK}: too few clicks to compare documents")
        return replace(choice, fall_back=True)
    best = choice.evidence[choice.click_model or "pbm"]
    if not documents_matter(best):
        choice.reasons.append(
            f"{FALLS_BACK}: with the documents clicks are not predicted better than by positions "
            f"and clicks above alone ({best.over_baseline:+.4f}, s.e. {best.standard_error:.4f})"
        )
        return replace(choice, fall_back=True)

    def scores_of_others(chosen: NDArray[np.bool_]) -> Floats:
        labels = np.zeros(len(chosen))
        labels[chosen] = _relevance(context, exposure, chosen)
        booster = context.trainer.rank(_label_data(context, labels, chosen))
        return context.trainer.predict(booster, context.X[~chosen])

    try:
        bound = gain_over_production(
            context.pairs, context.variants, context.curve, scores_of_others, context.options.seed
        )
    except InvalidInputError:  # half of the queries hold nothing to learn from
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
