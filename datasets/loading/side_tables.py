"""The tables that join a log: the user's features, impressions, judgements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..pairs.array_storage import gathered, release
from ..pairs.confounding import confounded_features
from ..pairs.features import (
    append_features,
    check_joined,
    impression_features,
    join_features,
    read_feature_table,
    without_features,
    without_outcomes,
)
from ..pairs.judgments import join_judgments, read_judgments
from ..reading.open_sources import OpenedSources

if TYPE_CHECKING:
    from collections.abc import Collection

    import polars as pl

    from ..pairs.array_storage import ArrayStorage
    from ..pairs.features import FeatureTable
    from ..pairs.training_pairs import TrainingPairs
    from .settings import LoadSettings


@dataclass(frozen=True)
class SideTables:
    """What was given beside the interactions; None where it was not.

    Attributes
    ----------
    features, shown : FeatureTable or None
        The user's features, and those of the impressions.
    judged : DataFrame or None
        Judgements.
    impressions : OpenedSources or None
        The impressions, for the reader of rows.
    """

    features: FeatureTable | None
    shown: FeatureTable | None
    judged: pl.DataFrame | None
    impressions: OpenedSources | None

    @classmethod
    def read(
        cls, settings: LoadSettings, *, features: Any, impressions: Any, judgments: Any
    ) -> SideTables:
        """Read them; a wrong table should not cost the time that the log takes."""
        mapping, query_key = settings.mapping, settings.query_key
        used = [*settings.context, settings.query_column or ""]
        own = None if features is None else read_feature_table(features, mapping=mapping)
        judged = None if judgments is None else read_judgments(judgments, mapping, query_key)
        opened = None if impressions is None else OpenedSources(impressions, "impressions")
        shown = None if opened is None else impression_features(opened, mapping, used)
        return cls(own, shown, judged, opened)

    @property
    def named(self) -> list[tuple[FeatureTable, str]]:
        """The tables of features with their parameters, in the order in which they join."""
        tables = ((self.shown, "impressions"), (self.features, "features"))
        return [(table, parameter) for table, parameter in tables if table is not None]

    def append(
        self, pairs: TrainingPairs, left_out: Collection[str], storage: ArrayStorage
    ) -> TrainingPairs:
        """Return some of a log's pairs with features, without those of `left_out`."""
        for table, parameter in self.named:
            check_joined(table, parameter, pairs.feature_names)
            if table.names:
                pairs, _ = append_features(pairs, table, storage)
        return without_features(pairs, left_out, storage)

    def join(self, pairs: TrainingPairs, storage: ArrayStorage) -> TrainingPairs:
        """Return the pairs with features and judgements, without features that are outcomes."""
        for table, parameter in self.named:
            pairs = join_features(pairs, table, parameter, storage)
        pairs = without_outcomes(pairs, storage)
        _release(pairs)
        report = pairs.report
        report.notes += [f"{name!r} left out: {w}" for name, w in report.features_left_out.items()]
        report.confounded = confounded_features(pairs, gather=gathered)
        _release(pairs)
        return pairs if self.judged is None else join_judgments(pairs, self.judged, self.features)


def _release(pairs: TrainingPairs) -> None:
    """Give back what looking at all pairs brought into memory."""
    release(pairs.X, pairs.y, pairs.clicked, pairs.negative, pairs.position, pairs.document_code)
    release(pairs.document_score, pairs.age_days, pairs.weight)
