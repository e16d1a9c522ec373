"""A memory for people to read: its rows as a table, its strength by band as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..._shared.checks import checked_number
from ..exposure.frequency_bands import BANDS, band_of

if TYPE_CHECKING:
    import polars as pl

    from .examination import ExaminationTable
    from .names import Names
    from .served import ServedMemory


def memory_table(served: ServedMemory, names: dict[str, Names], confidence: float) -> pl.DataFrame:
    """Return every (query, document) with its relevance; see `QueryMemory.table`."""
    import polars as pl
    from scipy import special

    checked_number("confidence", confidence, 0, 1, between=True)
    table, estimates = served.table, served.estimates
    band = band_of(table.impressions)
    strength = np.where(np.array(estimates.served), estimates.strength.by_band, np.inf)
    k = strength[band][table.of_document]
    columns = (table.clicks, table.exposure, table.prior)
    clicks, exposure, prior = (np.asarray(each, dtype=np.float64) for each in columns)
    alone = np.isinf(k)
    k[alone] = 1.0  # replaced below: these follow the prior
    every = np.arange(len(table.document))
    judged = [np.zeros(len(every)) + counted for counted in table.judged_at(every)]
    shape, rate = clicks + judged[0] + k * prior, exposure + judged[1] + k
    tails = ((1 - confidence) / 2, (1 + confidence) / 2)
    lower, upper = (special.gammaincinv(shape, tail) / rate for tail in tails)
    estimated = {"relevance": shape / rate, "lower": lower, "upper": upper}
    return pl.DataFrame(
        {
            "query_id": names["query"].texts_of(table.query[table.of_document]),
            "feature_id": names["document"].texts_of(table.document),
            "clicks": clicks,
            "exposure": exposure,
            "judged_clicks": judged[0],
            "judged_exposure": judged[1],
            "prior": prior,
            **{name: np.where(alone, prior, values) for name, values in estimated.items()},
        },
        schema_overrides={"query_id": pl.String, "feature_id": pl.String},
    ).sort(["query_id", "relevance", "feature_id"], descending=[False, True, False])


def memory_summary(served: ServedMemory, prior: str, examination: ExaminationTable) -> list[str]:
    """Return the lines of `QueryMemory.summary`."""
    table, estimates = served.table, served.estimates
    found = estimates.strength
    lines = [
        f"{len(table.query):,} queries, {len(table.document):,} documents of queries",
        f"prior: {prior}; examination: {examination.click_model}, {examination.source}",
        "impressions  queries  prior strength  log-likelihood gained a query (z)  served",
    ]
    for low, band, served_band in zip(BANDS, found.bands, estimates.served, strict=True):
        gain = f"{band.gain:+.3f} ({band.z:+.1f})"
        lines.append(
            f"{f'{low}+':>11}  {band.queries:7,}  {band.strength:14.1f}  {gain:>33}  "
            f"{'yes' if served_band else 'no':>6}"
        )
    for name, judge in estimates.judgments.by_source.items():
        agreement = judge.found.agreement
        why = f"{agreement:.0%} of relevance explained" if agreement else judge.found.reason
        lines.append(
            f"judgments of {name!r} count as {judge.found.strength:.1f} examinations each ({why}): "
            f"{judge.judged:,} documents, of which {judge.shown:,} were shown"
        )
    if not found.predicts:
        lines.append(
            "Clicks do not predict other clicks better than the prior does "
            f"(z {found.z:+.1f}): every query keeps the prior's order."
        )
    return lines
