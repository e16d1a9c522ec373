"""`rankloom demo`: every step on simulated interactions, where the truth is known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import InvalidInputError
from ..options import Threads, option
from ..output import show, table
from .demo_fusion import fusion_lines
from .retrievers import RETRIEVER, TRIAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from ...datasets import PositionBias, TrainingPairs
    from ...ltr import Ranker

SEED = 7
MODES = ("none", "position", "auto")

Out = Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the files of the demo.")]
Executions = Annotated[
    int, option("--executions", "N", "Result lists to simulate.", show_default=True, min=200)
]


def demo(
    out: Out = Path("demo-output"), *, executions: Executions = 20_000, threads: Threads = None
) -> None:
    """Simulate a search engine's log, learn from it, and compare with the truth.

    Because the interactions are simulated, the true examination curve and the true grade of
    every document are known: each estimate is shown beside them.

    **Example**: `rankloom demo demo-output`
    """
    out.mkdir(parents=True, exist_ok=True)
    log, features = out / "log.parquet", out / "features.parquet"
    catalogue = _simulate(log, features, executions)
    _validate(log, out / "quarantine.jsonl")
    earlier, later = _load(log, features)
    bias = _measure(earlier)
    rankers = _train(earlier, bias, out / "model", threads)
    _judge(catalogue, bias.apply(later), rankers)
    _rerank(catalogue, later, rankers["auto"])
    weights = fusion_lines(catalogue, log, out / "weights.json")
    _step("8. Weights for fusing the retrieval channels", *weights)
    _report(log, features, out / "report.html", threads)
    show(["", f"The log, features, quarantine, model, weights and report are in {out}."])


def _step(title: str, *lines: str) -> None:
    show(["", f"== {title}", *lines])


def _simulate(log: Path, features: Path, executions: int) -> pl.DataFrame:
    from ...datasets import simulate_catalogue
    from .demo_log import demo_log

    catalogue = simulate_catalogue(random_state=SEED)
    frame = demo_log(catalogue, executions, SEED)
    frame.write_parquet(log)
    catalogue.drop("query", "grade").write_parquet(features)
    _step(
        "1. A search engine's log",
        f"{executions:,} result lists of 10 over 200 queries: 70 % by the 3 rankers of retriever",
        f"{RETRIEVER!r}, 30 % by those of {TRIAL!r}, which rank better. Some queries are first",
        "misspelt and find nothing. There are more searches from day 20 on.",
        "Users examine rank k with probability 1/k and click what they examine and find relevant.",
        f"{frame.height:,} interactions, 0.5 % of them broken on purpose -> {log}",
    )
    return catalogue


def _validate(log: Path, quarantine: Path) -> None:
    from ... import validate

    report = validate(log, quarantine=quarantine)
    _step(
        "2. Rows that break a rule",
        f"{report.rows_read:,} rows read = {report.rows_kept:,} kept + "
        f"{report.duplicates:,} duplicates + {report.quarantined:,} quarantined, because of",
        *(f"{count:>8,}  {reason}" for reason, count in report.quarantine_reasons.items()),
        f"each with its row, field, value and reason -> {quarantine}",
    )


def _load(log: Path, features: Path) -> tuple[TrainingPairs, TrainingPairs]:
    from ...datasets import load_pairs, split_by_time

    earlier, later = split_by_time(load_pairs(log, features=features), test_fraction=0.2)
    _step(
        "3. Training pairs, split by time",
        f"earlier: {earlier!r}",
        f"later:   {later!r}",
    )
    return earlier, later


def _measure(pairs: TrainingPairs) -> PositionBias:
    from ...datasets import PositionBias, true_examination

    bias = PositionBias().fit(pairs)
    truth = true_examination(len(bias.examination_))
    curve = zip(bias.examination_, bias.lower_, bias.upper_, truth, strict=True)
    rows = [
        (position, f"{estimate:.3f}", f"{low:.3f} - {high:.3f}", f"{true:.3f}")
        for position, (estimate, low, high, true) in enumerate(curve)
    ]
    _step(
        "4. How likely is each position examined?",
        "Estimated from documents that the rankers put at different positions.",
        *table(["position", "estimate", "90% interval", "truth"], rows),
    )
    return bias


def _train(
    pairs: TrainingPairs, bias: PositionBias, folder: Path, threads: int | None
) -> dict[str, Ranker]:
    from ...ltr import Ranker

    bias.apply(pairs)
    rankers = {
        mode: Ranker(debias=mode, n_jobs=threads).fit(pairs)  # type: ignore[arg-type]
        for mode in MODES
    }
    chosen = rankers["auto"]
    chosen.save(folder)
    top = ", ".join(list(chosen.feature_importances())[:4])
    _step(
        "5. Rankers learnt from the earlier clicks",
        f"{len(pairs.feature_names)} features; the most important with debias='auto': {top}",
        f"the one with debias='auto' -> {folder}",
        "What debias='auto' chose, and why:",
        "",
        *str(chosen.choice_).splitlines(),
    )
    return rankers


def true_grades(catalogue: pl.DataFrame, pairs: TrainingPairs) -> NDArray[np.float32]:
    """Return the true grade of every pair, from the catalogue that the log was simulated with."""
    import polars as pl

    grades = catalogue.select("feature_id", pl.col("grade").cast(pl.Float32))
    documents = pairs.document_id.alias("feature_id").to_frame()
    return documents.join(grades, on="feature_id", how="left", maintain_order="left")[
        "grade"
    ].to_numpy()


def _judge(catalogue: pl.DataFrame, pairs: TrainingPairs, rankers: dict[str, Ranker]) -> None:
    from ...ltr import evaluate

    judged = replace(pairs, y=true_grades(catalogue, pairs))
    rows: list[Sequence[str]] = []
    for mode, ranker in rankers.items():
        scores = ranker.predict(pairs)
        clicks, corrected = evaluate(pairs, scores, metrics=["ndcg@10"]).metrics.values()
        (truth,) = evaluate(
            replace(judged, examination=None), scores, metrics=["ndcg@10"]
        ).metrics.values()
        compared = (clicks, corrected, truth)
        if not rows:
            rows.append(("production order", *(f"{each.baseline:.3f}" for each in compared), ""))
        low, high = truth.interval or (0.0, 0.0)
        gain = f"{truth.difference:+.3f} ({low:+.3f} to {high:+.3f})"
        rows.append((f"debias={mode!r}", *(f"{each.ranker:.3f}" for each in compared), gain))
    headings = ["on later lists", "clicks", "corrected", "truth", "gain by truth (95% interval)"]
    _step(
        "6. Their quality on later lists",
        *table(headings, rows),
        "clicks and truth: NDCG@10; corrected: DCG of clicks, each counted 1 / examination.",
        "Uncorrected clicks favour what was shown first and hide the gain; corrected ones show it.",
    )


def _rerank(catalogue: pl.DataFrame, pairs: TrainingPairs, ranker: Ranker) -> None:
    import numpy as np

    chosen = pairs.take([_first_varied(pairs, true_grades(catalogue, pairs))])
    grades = true_grades(catalogue, chosen).astype(int)
    before = np.argsort(chosen.position)
    after = np.argsort(-ranker.predict(chosen), kind="stable")
    names = chosen.document_id.to_list()
    rows = [
        (k, names[b], "*" * grades[b], names[a], "*" * grades[a])
        for k, (b, a) in enumerate(zip(before, after, strict=True))
    ]
    _step(
        f"7. One later list, reranked: {json.loads(chosen.query_id[0])['query']}",
        *_left(["position", "as shown", "true grade", "reranked", "true grade"], rows),
    )


def _report(log: Path, features: Path, page: Path, threads: int | None) -> None:
    from ...insights import build_report
    from ...insights.report.page import check_packages

    title = "9. A report for people who would rather look than read"
    try:
        check_packages()
    except InvalidInputError as error:
        _step(title, str(error))
        return
    report = build_report(log, features=features, title="The demo's log", n_jobs=threads)
    report.save(page)
    lines = [
        f"{result.section.title}: {result.view.headline}"
        for result in report.sections
        if result.missing is None
    ]
    _step(title, *lines, f"pictures -> {page}")


def _left(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    return table(headings, rows, left=len(headings))


def _first_varied(pairs: TrainingPairs, grades: NDArray[np.float32]) -> int:
    """Return the first execution that shows documents of four different grades, else the first."""
    import numpy as np

    for execution, start in enumerate(pairs.offsets[:-1]):
        if len(np.unique(grades[start : pairs.offsets[execution + 1]])) >= 4:
            return execution
    return 0
