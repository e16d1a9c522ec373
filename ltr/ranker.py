"""The ranker: LightGBM's lambdarank on training pairs, with the position bias taken out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self, overload

import numpy as np
import polars as pl
from sklearn.base import BaseEstimator

from .._shared.summary import Summary, Table
from .._shared.summary_html import summary_html
from .._shared.threads import load_lightgbm
from ..datasets.pairs.training_pairs import TrainingPairs
from ..errors import IntegrityError, InvalidInputError
from . import fitting
from .boosting.parameters import main_names, thread_count
from .boosting.progress import logger
from .debias.training_rows import EXPECTED_SCORE
from .distributed.trees import NODE_LIMIT, DaskTrees
from .evaluation.debiased_score import execution_values
from .evaluation.judged import evaluate
from .exports.export import export_ranker
from .exposure.examination import score_examination
from .features.array_pairs import pairs_from_arrays
from .features.candidates import document_matrix, ids_of_table, rank_dicts, rank_table
from .features.matrix import feature_matrix, is_table, refuse_infinite
from .features.production_scores import production_scores, production_scores_of_dicts
from .features.unknown_categories import UnknownCategories
from .memory.query_memory import QueryMemory
from .model.display import MAX_FEATURES, ContributionsDisplay, FeatureImportanceDisplay
from .model.files import read_model, write_model
from .model.fitted import from_manifest, to_manifest
from .settings import FitSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import distributed
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from ..datasets.position_bias.estimator import PositionBias
    from .boosting.progress import Progress
    from .evaluation.judged import Report
    from .exports.export import Exported, ExportFormat
    from .model.fitted import Fitted

    Scores = NDArray[np.float32]

_ROWS_PER_THREAD = 512


def _fit_data(
    X: Any, y: Any, group: Any, position: Any, validation: TrainingPairs | None
) -> tuple[TrainingPairs, TrainingPairs | None]:
    """Return pairs and validation pairs of the data that `Ranker.fit` takes."""
    if not isinstance(X, TrainingPairs):
        if y is None or group is None:
            msg = (
                f"X: got {type(X).__name__} without {'y' if y is None else 'group'}; expected "
                "TrainingPairs (see load_pairs), or arrays with y= and group="
            )
            raise InvalidInputError(msg)
        return pairs_from_arrays(X, y, group=group, position=position), validation
    if group is not None or position is not None:
        msg = "group, position: are for arrays; TrainingPairs hold their own"
        raise InvalidInputError(msg)
    if y is None or (isinstance(y, TrainingPairs) and validation is None):
        return X, validation if y is None else y
    msg = (
        f"validation: expected TrainingPairs, got {type(y).__name__}; pairs hold their labels, so "
        "what follows them is validation"
    )
    raise InvalidInputError(msg)


class Ranker(BaseEstimator):  # type: ignore[misc] # scikit-learn has no types
    """LightGBM reranker learnt from training pairs.

    Parameters
    ----------
    debias : {"auto", "none", "position", "ips", "pairwise", "click_model"}
        How position bias is corrected. "auto": by the evidence in the log. A click model chosen by
        held-out likelihood, a pairwise and a joint model are blended by evidence, and one model is
        trained on the blend; `choice_` says what was chosen and why. Where there is no evidence
        that the learnt model is better than production, documents are ranked by their
        document_score as far as it is given.
        "none": lambdarank on the executions as they are. "position":
        LightGBM's own `position`, which learns a bias for every position along with the trees;
        needs positions. "ips": one row for every (query, document), labelled with its gains over
        its examination (see `rankloom.ltr.ips_relevance`); needs positions and an examination
        curve, and raises where the log does not identify one. "pairwise": Unbiased LambdaMART,
        which weighs every pair by ratios for the positions of both of its documents and learns
        them along with the trees; needs positions. See `rankloom.ltr.debias.pairwise`.
        "click_model": one row for every (query, document), labelled with its expected gain when
        examined, by the click model of the highest held-out likelihood, shrunk to a prior by its
        features (see
        `rankloom.ltr.debias.relevance.posterior_relevance`); needs positions.
    n_estimators : int
        Trees. The model that learns the blend of ``"auto"`` gets up to eight times as many, as
        long as they reproduce the blend better on held-out queries.
    learning_rate : float
    num_leaves : int
    min_data_in_leaf : int
        Rows. Where the same document is shown many times, its rows count each time.
    truncation_level : int
        Lambdarank looks at pairs with a document among the first so many.
    examination : array-like of shape (positions,), PositionBias or None
        Probability of examination at each position, relative to the first; beyond the array its
        last value holds. None: `pairs.examination` where it is set, else the log's own curve.
    clip : float
        Smallest examination counted: no click weighs more than 1 / clip. For "pairwise": smallest
        ratio counted.
    prior_exposure : float
        For "ips", "click_model" and "auto": examined exposures without a click that every document
        starts with. It lowers documents with little evidence; see `rankloom.ltr.ips_relevance`.
    prior_strength : float
        For "click_model" and "auto": examined exposures that the prior by a document's features
        counts as.
    early_stopping_rounds : int or None
        Stop when the debiased criterion on `validation` has not improved for so many rounds.
    n_jobs : int or None
        Threads for training and prediction; -1 for all that the process may use, None for as many
        of them as the data keep busy.
    random_state : int, numpy Generator or None
    progress : bool or "auto"
        Whether to show a progress bar; "auto" shows it on a terminal or in a notebook, for what
        takes over two seconds, unless the environment sets RANKLOOM_PROGRESS to ``off``.
    params : dict or None
        Any parameters of LightGBM, by any of their names. They win over those above. "pairwise"
        sets lambda_l2 to 1 unless it is given here.

    Attributes
    ----------
    booster_ : lightgbm.Booster
        Under neutral feature names; the real ones are in `feature_names_in_`.
    feature_names_in_ : ndarray of str, shape (n_features,)
    n_features_in_ : int
    categories_ : dict of str to tuple of str
        Categorical features and their categories, in the order of their codes.
    unknown_categories_ : UnknownCategories
        ``counts`` of values that were none of these, over all predictions so far; they counted as
        missing.
    best_iteration_ : int
        Trees in use.
    executions_left_out_ : dict of str to int
        Reason -> executions (for "ips", "click_model" and "auto" queries) that hold no pair to
        learn from.
    examination_ : ndarray of float64 or None
        Mean examination of each position, for "ips", "click_model" and "auto".
    examination_source_ : str or None
        "given", "pairs" or "estimated"; with "click_model" and "auto" also "assumed", that is
        1 / (position + 1), where the log does not identify a curve. None in other modes.
    choice_ : Choice or None
        For "auto" and "click_model": what was chosen, and on which evidence; print it.
    members_ : sequence of Member
        For "auto": the blend that the model was trained on; empty where the click model is not
        blended, and after `load`.
    pair_bias_ : polars.DataFrame or None
        For "pairwise" and "auto": the ratios by ``position``, relative to the first one.
        ``clicked`` (t+) says how likely a relevant document is clicked there, so 0.5 means half as
        often as at the top; ``unclicked`` (t-) how likely an irrelevant one is left. A pair counts
        1 / (t+ t-). Null where no pair had such a document. None in other modes.
    validation_values_ : list of float
        The debiased criterion after each round; empty without validation.
    notes_ : list of str
        What the user should know about this fit.
    training_report_ : dict
        Rows, executions and rounds, as saved with the model. ``behaviour_gain`` is the share of
        features by `behaviour_features` in the gain of all splits, by level.
    memory_ : QueryMemory or None
        What `rank` knows of queries; see `attach_memory`.

    Examples
    --------
    >>> from rankloom.datasets import load_pairs, simulate_catalogue, simulate_interactions
    >>> documents = simulate_catalogue(n_queries=50, random_state=0)
    >>> log = simulate_interactions(documents, n_executions=1000, random_state=0)
    >>> pairs = load_pairs(log, features=documents.drop("query", "grade"), builtin_features=())
    >>> ranker = Ranker("position", n_jobs=1, n_estimators=30).fit(pairs)
    >>> ranker.predict(pairs).shape == (len(pairs),)
    True
    >>> candidates = [{"feature_id": "a", "f0": -1.5}, {"feature_id": "b", "f0": 1.5}]
    >>> [document["feature_id"] for document in ranker.rank(candidates)]
    ['b', 'a']
    """

    memory_: QueryMemory | None

    def __init__(
        self,
        debias: Literal["auto", "none", "position", "ips", "pairwise", "click_model"] = "auto",
        *,
        n_estimators: int = 150,
        learning_rate: float = 0.05,
        num_leaves: int = 15,
        min_data_in_leaf: int = 50,
        truncation_level: int = 10,
        examination: ArrayLike | PositionBias | None = None,
        clip: float = 0.05,
        prior_exposure: float = 4.0,
        prior_strength: float = 4.0,
        early_stopping_rounds: int | None = None,
        n_jobs: int | None = None,
        random_state: int | np.random.Generator | None = 0,
        progress: Progress = "auto",
        params: dict[str, Any] | None = None,
    ) -> None:
        self.debias = debias
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.num_leaves = num_leaves
        self.min_data_in_leaf = min_data_in_leaf
        self.truncation_level = truncation_level
        self.examination = examination
        self.clip = clip
        self.prior_exposure = prior_exposure
        self.prior_strength = prior_strength
        self.early_stopping_rounds = early_stopping_rounds
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.progress = progress
        self.params = params

    @overload
    def fit(
        self,
        X: TrainingPairs,
        y: TrainingPairs | None = None,
        *,
        validation: TrainingPairs | None = None,
        client: distributed.Client | str | None = None,
        node_limit: int = NODE_LIMIT,
    ) -> Self: ...
    @overload
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        *,
        group: ArrayLike,
        position: ArrayLike | None = None,
        validation: TrainingPairs | None = None,
        client: distributed.Client | str | None = None,
        node_limit: int = NODE_LIMIT,
    ) -> Self: ...
    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        group: ArrayLike | None = None,
        position: ArrayLike | None = None,
        validation: TrainingPairs | None = None,
        client: distributed.Client | str | None = None,
        node_limit: int = NODE_LIMIT,
    ) -> Self:
        """Learn from pairs, or from arrays as other rankers take them.

        With a `client`, the trees of the final model are grown on Dask where its rows do not fit
        one process: a `lightgbm.dask.DaskLGBMRanker` on whole queries, with the debiasing in
        their labels and weights. All else is as without: labels and the members that "auto"
        blends are computed here, and the model is saved and served alike. Where trees are grown
        is no property of a ranker: it is neither saved nor cloned, so it is given to `fit`.

        Parameters
        ----------
        X : TrainingPairs, array-like of shape (n, n_features), or table
            Left as it is. The columns of a table (polars, pandas, Arrow) keep their names.
        y : array-like of shape (n,), or TrainingPairs
            For arrays: clicks or grades. For pairs, which hold their labels: `validation`.
        group : array-like of int, shape (e,)
            For arrays: the rows of each list, as in LightGBM; see `pairs_from_arrays`.
        position : array-like of int, shape (n,), optional
            For arrays: 0-based position at which each document was shown; without it, `y` is taken
            for judged grades.
        validation : TrainingPairs, optional
            Later pairs on which the debiased criterion is computed after every round. On Dask all
            trees are grown first, and those after the best round are left out.
        client : distributed.Client or str, optional
            Or the address of a scheduler. For "auto", "click_model", "ips" and "none". Every worker
            uses the threads that Dask gave it; `n_jobs` is for what is done here. If a worker is
            lost, the training is begun anew once, after its other workers have been restarted by
            their nannies: LightGBM would leave them waiting. Two trainings on several workers may
            differ slightly in spite of a seed, as LightGBM numbers the workers anew each time.
        node_limit : int
            With a client: rows times features of the final model's training data up to which
            it is trained in this process, exactly as without a client. `notes_` says what was
            done; 0 is for Dask in any case.

        Raises
        ------
        InvalidInputError
            If a parameter is wrong, or the pairs hold nothing to learn from.
        ClusterError
            If workers of the client were lost in both attempts. The ranker stays as it was.
        NoExposuresError
            If every document that was shown was clicked.
        NotIdentifiableError
            If "ips" has to estimate examination and positions never varied.
        """
        pairs, validation = _fit_data(X, y, group, position, validation)
        settings = FitSettings.of(self.get_params(deep=False))
        dask = None if client is None else DaskTrees(client, node_limit)
        return self._with_state(fitting.fit(settings, pairs, validation, dask))

    def predict(self, X: TrainingPairs | ArrayLike | Any) -> NDArray[np.float32]:
        """Score documents; higher is better.

        Parameters
        ----------
        X : TrainingPairs, array-like of shape (n, n_features), or table
            A table (polars, pandas, Arrow) is matched by column name, in any order.

        Returns
        -------
        ndarray of float32, shape (n,)

        Raises
        ------
        InvalidInputError
            If the ranker is not fitted, a feature is missing, or a value is infinite.
        """
        self._check_fitted()
        matrix = feature_matrix(X, self._names, self.categories_, self.unknown_categories_)
        return self._served(lambda: production_scores(X), lambda: self._scores(matrix))

    def rank(self, documents: Any, *, query: Any = None) -> Any:
        """Return the documents best first, with their `score`.

        Parameters
        ----------
        documents : list of dict, or table
            A document: ``{"feature_id": ..., "document_score": ..., "features": {name: value},
            "execution_id": ...}``; features may also be among the other fields. A value is a
            number, the text of a category, or a date (as ISO 8601 text, too); a feature that a
            document lacks, and a category that the model was not trained on, is missing. A table
            needs a column for each feature.
        query : str or dict, optional
            The query snapshot, or query id, of all documents. With a memory of queries (see
            `attach_memory`) that serves this query, ``score`` is the documents' relevance by the
            memory; else the query changes nothing.

        Returns
        -------
        list of dict, or table of the same kind
            Best first within each execution; executions in the order of their first document,
            ties in the order given. Copies: the documents given stay as they are. A field named
            ``score`` is replaced.

        Raises
        ------
        InvalidInputError
            If a document is malformed; the message names its index and field.
        """
        self._check_fitted()
        if is_table(documents):
            production = lambda: production_scores(documents)  # noqa: E731
            ids = lambda: ids_of_table(documents)  # noqa: E731
            score = self._remembering(query, ids, production)
            return rank_table(
                documents, self._names, self.categories_, score, self.unknown_categories_
            )
        if not isinstance(documents, list | tuple):
            msg = f"documents: expected a list of dicts or a table, got {type(documents).__name__}"
            raise InvalidInputError(msg)
        production = lambda: production_scores_of_dicts(documents)  # noqa: E731
        ids = lambda: [str(d.get("feature_id", "")) for d in documents]  # noqa: E731
        score = self._remembering(query, ids, production)
        return rank_dicts(documents, self._names, self.categories_, score, self.unknown_categories_)

    def evaluate(self, pairs: TrainingPairs, **options: Any) -> Report:
        """Compare with the baseline on held-out pairs; options as in `rankloom.ltr.evaluate`."""
        self._check_fitted()
        return evaluate(pairs, self.predict(pairs), **{"clip": self.clip, **options})

    def score(
        self,
        X: TrainingPairs,
        y: None = None,
        *,
        examination: ArrayLike | PositionBias | None = None,
    ) -> float:
        """Return the debiased criterion on held-out pairs; higher is better.

        Of clicks, the self-normalised examination-weighted DCG: the mean discount
        ``1 / log2(rank + 1)`` of clicked documents under this ranker's order, each click counted
        ``gain / examination`` (see `examination_weighted_dcg`). Of judged pairs, the mean NDCG at
        `truncation_level`. Rankers are comparable if one curve corrects all: `cross_validate`
        sees to that.

        Parameters
        ----------
        X : TrainingPairs
        y : None
            What scikit-learn gives beside pairs, which hold their labels.
        examination : array-like of shape (positions,), PositionBias or None
            A curve, not estimated on these pairs. None: the ranker's own `examination`, else
            `pairs.examination`, else the curve that its training found (`examination_`).

        Raises
        ------
        InvalidInputError
            If there is no curve, no execution has a positive grade, or the ranker is not fitted.
        """
        self._check_fitted()
        if not isinstance(X, TrainingPairs) or y is not None:
            msg = (
                f"X: expected TrainingPairs alone, got {type(X).__name__}; pairs_from_arrays makes "
                "them of arrays"
            )
            raise InvalidInputError(msg)
        curve = score_examination(X, examination, self.examination, self.examination_)
        values = execution_values(
            X, self.predict(X), curve, clip=self.clip, k=self.truncation_level
        )
        return values.mean()

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[Any]:
        """Return the names of the features that the model uses, in its order.

        Parameters
        ----------
        input_features : array-like of str, optional
            Checked: they have to be `feature_names_in_`.
        """
        self._check_fitted()
        if input_features is not None and [*map(str, np.asarray(input_features))] != self._names:
            msg = f"input_features: expected feature_names_in_, {self._names}"
            raise InvalidInputError(msg)
        return self.feature_names_in_.copy()

    def feature_importances(self, kind: Literal["gain", "split"] = "gain") -> dict[str, float]:
        """Return the importance of each feature by its real name, highest first.

        Parameters
        ----------
        kind : {"gain", "split"}
            Total gain of a feature's splits, or their number.
        """
        self._check_fitted()
        if kind not in ("gain", "split"):
            msg = f"kind: expected 'gain' or 'split', got {kind!r}"
            raise InvalidInputError(msg)
        values = self.booster_.feature_importance(importance_type=kind).tolist()
        named = zip(self._names, map(float, values), strict=True)
        return dict(sorted(named, key=lambda item: -item[1]))

    def contributions(self, X: TrainingPairs | ArrayLike | Any) -> pl.DataFrame:
        """Return what each feature adds to each score: exact TreeSHAP values.

        Parameters
        ----------
        X
            As in `predict`, or a list of documents as in `rank`.

        Returns
        -------
        polars.DataFrame, shape (n, n_features + 1)
            Columns are the real feature names and, last, ``(expected score)``. Each row sums to
            the score (Lundberg, Erion and Lee, "Consistent Individualized Feature Attribution for
            Tree Ensembles", 2018).
        """
        self._check_fitted()
        given = self._names, self.categories_, self.unknown_categories_
        if isinstance(X, list) and X and isinstance(X[0], dict):
            matrix = document_matrix(X, *given)
        else:
            matrix = feature_matrix(X, *given)
        columns = [*self._names, EXPECTED_SCORE]
        if not len(matrix):
            return pl.DataFrame(schema=dict.fromkeys(columns, pl.Float64))
        values = self.booster_.predict(matrix, pred_contrib=True, **self._threads(matrix))
        return pl.DataFrame(np.asarray(values), schema=columns)

    def plot_importance(
        self,
        ax: Axes | None = None,
        *,
        kind: Literal["gain", "split"] = "gain",
        limit: int = MAX_FEATURES,
    ) -> FeatureImportanceDisplay:
        """Draw the share of each feature in the gain, or in the number, of all splits.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; new axes of pyplot by default.
        kind : {"gain", "split"}
            As of `feature_importances`.
        limit : int
            Features that are drawn.
        """
        found = self.feature_importances(kind)
        values = np.array(list(found.values()))
        return FeatureImportanceDisplay(tuple(found), values, kind, limit).plot(ax)

    def plot_contributions(
        self,
        X: TrainingPairs | ArrayLike | Any,
        ax: Axes | None = None,
        *,
        limit: int = MAX_FEATURES,
    ) -> ContributionsDisplay:
        """Draw what each feature adds to the score of a document, or to the scores of several.

        Parameters
        ----------
        X
            As of `contributions`: one document or more.
        ax : matplotlib Axes, optional
            Where to draw; new axes of pyplot by default.
        limit : int
            Features that are drawn, the largest contributions first.

        Raises
        ------
        InvalidInputError
            If there is no document.
        """
        values = self.contributions(X)
        if not len(values):
            msg = "X: no documents, expected at least one"
            raise InvalidInputError(msg)
        of_features = values.drop(EXPECTED_SCORE).to_numpy()
        expected = float(values[EXPECTED_SCORE][0])
        names = tuple(self._names)
        return ContributionsDisplay(names, of_features, expected, limit).plot(ax)

    def save(self, folder: str | Path) -> None:
        """Save into a folder, replacing the model in it; a crash leaves the old one or the new.

        Parameters
        ----------
        folder : str or Path
            Made if absent; gets ``manifest.json``, ``model-<sha12>.txt`` and, with a memory of
            queries, ``memory-<sha12>.bin``.
        """
        self._check_fitted()
        manifest = to_manifest(self.fitted_, self.get_params(deep=False))
        memory = None if self.memory_ is None else self.memory_.to_bytes()
        write_model(folder, self.booster_.model_to_string(), manifest, memory)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Return the ranker that `save` wrote, after checking the folder.

        Load models only from writers that you trust: hashes find damage, not tampering.

        Raises
        ------
        UnreadableSourceError
            If there is no such folder, or no model in it.
        IntegrityError
            If anything in it is damaged, of another format, or newer than this version reads.
        """
        load_lightgbm()
        import lightgbm

        text, manifest, memory = read_model(folder)
        try:
            booster = lightgbm.Booster(model_str=text)
            ranker = cls(**manifest.parameters)
            fitted = from_manifest(booster, manifest)
        except (lightgbm.basic.LightGBMError, TypeError, ValueError, KeyError) as error:
            msg = f"{str(folder)!r}: the model cannot be rebuilt ({error}); train and save again"
            raise IntegrityError(msg) from error
        ranker._with_state(fitted)
        return ranker if memory is None else ranker.attach_memory(QueryMemory.load_bytes(memory))

    def export(self, format: ExportFormat, path: str | Path, *, name: str = "rankloom") -> Exported:  # noqa: A002
        """Write the model for another runtime; its scores there are those of `predict`.

        Features keep their order. Only values between -1e-35 and 1e-35 may be scored otherwise:
        LightGBM takes them for 0.

        Parameters
        ----------
        format : {"onnx", "treelite", "vespa", "elasticsearch-ltr", "opensearch-ltr", "lightgbm"}
            "onnx": float32 features of shape (n, features) in, scores of shape (n,) out, for
            onnxruntime 1.20 or later. "treelite": a checkpoint of treelite. "vespa": JSON for
            ``lightgbm("...")`` in a rank profile. "elasticsearch-ltr" and "opensearch-ltr": the
            body that creates a model of type ``model/xgboost+json`` in the learning-to-rank
            plugin, without categorical features. "lightgbm": LightGBM's own text.
        path : str or Path
            The file; what is there is replaced, by the whole file or not at all.
        name : str
            Of the model in the plugin of a search engine.

        Returns
        -------
        Exported
            With the names of features in the exported model, and where it differs from this one.

        Raises
        ------
        InvalidInputError
            If the format is none of these, has no place for what the model does, or needs a
            package that is not installed (extra ``export``).
        """
        self._check_fitted()
        return export_ranker(self, format, path, name=name)

    def attach_memory(self, memory: QueryMemory | None) -> Self:
        """Let `rank` serve a memory of queries, or none; `save` writes it with the model.

        Raises
        ------
        StateMismatchError
            If the memory was fitted with another ranker, or without one.
        """
        self._check_fitted()
        if memory is not None:
            memory.check_prior(self)
        self.memory_ = memory
        return self

    def _with_state(self, fitted: Fitted) -> Self:
        self.fitted_ = fitted
        self.booster_ = fitted.booster
        self.feature_names_in_ = np.array(fitted.feature_names, dtype=object)
        self.n_features_in_ = len(fitted.feature_names)
        self.categories_ = fitted.categories
        self.unknown_categories_ = UnknownCategories()
        self.best_iteration_ = fitted.booster.num_trees()
        self.executions_left_out_ = fitted.executions_left_out
        self.examination_ = fitted.examination
        self.examination_source_ = fitted.examination_source
        self.pair_bias_ = fitted.pair_bias
        self.choice_ = fitted.choice
        self.members_ = fitted.members
        self.validation_values_ = fitted.validation_values
        self.notes_ = fitted.notes
        self.training_report_ = fitted.training_report
        self.training_period_ = fitted.training_period
        self.grades_ = fitted.grades
        self.seed_ = fitted.seed
        self.memory_ = None
        return self

    @property
    def _names(self) -> list[str]:
        return [str(name) for name in self.feature_names_in_]

    def _scores_or(
        self, production: Callable[[], Scores | None]
    ) -> Callable[[NDArray[np.float32]], Scores]:
        """Return a function that checks a matrix and scores it."""

        def score(matrix: NDArray[np.float32]) -> Scores:
            refuse_infinite(matrix, self._names)
            return self._served(production, lambda: self._scores(matrix))

        return score

    def _remembering(
        self,
        query: Any,
        ids: Callable[[], list[str]],
        production: Callable[[], Scores | None],
    ) -> Callable[[NDArray[np.float32]], Scores]:
        """Return `_scores_or`, with what the memory knows of the query."""
        plain = self._scores_or(production)
        memory = self.memory_
        if query is None or memory is None:
            return plain
        # The memory is calibrated on what this ranker serves: not on what stands in for it.
        if self.choice_ is not None and self.choice_.fall_back and production() is None:
            return plain

        def score(matrix: NDArray[np.float32]) -> Scores:
            return memory.rescore(query, ids(), plain(matrix))

        return score

    def _served(
        self, production: Callable[[], Scores | None], learnt: Callable[[], Scores]
    ) -> Scores:
        """Return the learnt scores or, where the fit chose to fall back, production's if given."""
        if self.choice_ is None or not self.choice_.fall_back:
            return learnt()
        scores = production()
        if scores is None:
            logger.warning(
                "this ranker falls back to document_score (see choice_), which is not given for "
                "every document: the learnt scores are returned"
            )
            return learnt()
        return scores

    def _scores(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        if not len(matrix):
            return np.empty(0, dtype=np.float32)
        scores = self.booster_.predict(matrix, raw_score=True, **self._threads(matrix))
        return np.asarray(scores, dtype=np.float32)

    def _threads(self, matrix: NDArray[np.float32]) -> dict[str, Any]:
        """Explicit threads, few for few rows: to start one costs more than to score a row."""
        allowed = main_names(self.params).get("num_threads", self.n_jobs)
        useful = 1 + len(matrix) // _ROWS_PER_THREAD
        return {"num_threads": min(thread_count(allowed or None), useful)}

    def _check_fitted(self) -> None:
        if not hasattr(self, "booster_"):
            msg = "this Ranker is not fitted yet; call fit(pairs), or Ranker.load(folder)"
            raise InvalidInputError(msg)

    def _repr_html_(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        return summary_html(self._summary())

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """Return both forms: scikit-learn's own would hold a script."""
        return {"text/plain": repr(self), "text/html": self._repr_html_()}

    def _summary(self) -> Summary:
        if not hasattr(self, "booster_"):
            return Summary(f"{self!r}: not fitted")
        gain = self.feature_importances()
        total = sum(gain.values()) or 1.0
        rows = [(name, f"{value / total:.1%}") for name, value in gain.items()]
        trees = f"{self.best_iteration_:,} trees, {len(rows):,} features"
        choice = [] if self.choice_ is None else str(self.choice_).split("\n")
        return Summary(
            f"{self!r}: {trees}", [Table.of(["feature", "gain"], rows)], [*choice, *self.notes_]
        )
