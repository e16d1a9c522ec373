"""Real logged clicks: the Open Bandit Dataset (small), from its CSV files to a ranker.

The data (Saito, Aihara, Matsutani & Narita, arXiv 2008.07146): a fashion shop shows three items
side by side. Two policies served the same week: uniformly random, and Bernoulli Thompson sampling
(bts) without context. Campaigns men (34 items) and women (46); 10,000 rows of each policy and
campaign, some 50 clicks in each.

What an execution is here. A row is one item at one position; which two other items were shown
with it was not logged. So every row becomes an execution of one document: ``impression``, or
``impression`` and ``click``. The query is the campaign (what any visitor asks for), user features
go to the metadata and from there to the context, the policy's propensity is the document_score,
item_context is the feature table. The consequences:

- Exposure is certain for the logged item and unknown for its neighbours: no list can be compared
  within itself. ``debias="none"`` and ``"position"`` learn from pairs inside a list and refuse;
  ``"ips"`` adds clicks and examination up by (query, document) and can learn.
- Affinity of user and item varies from row to row of one (query, document); rows that are added up
  carry one value each, so it is left out.

What identifies the position bias. Under the random policy the position is drawn independently of
the item and the visitor: swaps of every item between all three positions, and even the plain click
rates by position estimate the curve ("randomised" below). Under bts the first position goes to the
item that the policy's draw prefers, and propensities move from day to day: the plain rates mix
position and item and are printed as confounded. Swaps within an item identify the curve only if,
given the item, position has nothing to do with the visitor or the hour, which the log cannot
prove. In both, (campaign, item) has ONE relevance: if items please some visitors only, harvesting
still holds (position is independent of the visitor), the click model by EM does not exactly.
Positions are left, middle and right rather than ranks: nothing says that the curve has to fall.
With about fifty clicks a log the intervals are wide, and that is the result.

How the ranker is judged. On the random log every item was shown equally often to everyone, so
clicks compare items without bias: AUC = share of (clicked row, unclicked row) of one campaign in
which the clicked item scores higher (ties count half; 0.5 is chance), and the click rate of the
best-scored third of the items over that of all. Intervals: bootstrap over rows.

usage: open_bandit_dataset.py [--data DIR] [--threads N] [--out JSON]
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
import polars as pl

import rankloom
from rankloom.datasets import PositionBias, TrainingPairs, load_pairs, split_by_time
from rankloom.errors import NotIdentifiableError, RankloomError
from rankloom.ltr import Ranker

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEFAULT_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
POLICIES = ("random", "bts")
CAMPAIGNS = ("men", "women")
USER_FEATURES = tuple(f"user_feature_{k}" for k in range(4))
ESTIMATORS = ("all_pairs", "pivot", "adjacent", "em")
CONFIDENCE = 0.9
SEED = 0
# Fixed beforehand: 80 rows (items) can feed small leaves and few trees only.
RANKER = {"n_estimators": 50, "num_leaves": 4, "min_data_in_leaf": 5, "random_state": SEED}


def interactions(folder: Path, policy: str, campaign: str) -> pl.DataFrame:
    """Return one policy's log of one campaign as interactions."""
    log = pl.read_csv(folder / policy / campaign / f"{campaign}.csv.gz", try_parse_dates=False)
    row = pl.int_range(pl.len()).cast(pl.String).str.zfill(5)
    shown = pl.when(pl.col("click") == 1).then(pl.lit("impression|click"))
    return log.select(
        feature_id=f"{campaign}-" + pl.col("item_id").cast(pl.String),
        interaction_type=shown.otherwise(pl.lit("impression")).str.split("|"),
        position=pl.col("position") - 1,
        metadata=pl.struct(*USER_FEATURES, pl.lit(policy).alias("policy")).struct.json_encode(),
        execution_id=f"{policy}-{campaign}-" + row,
        retriever_id=pl.lit("open-bandit"),
        query_snapshot=pl.lit(json.dumps({"query": campaign})),
        document_score=pl.col("propensity_score"),
        occurred_at=pl.col("timestamp").str.to_datetime("%Y-%m-%d %H:%M:%S%.f%:z"),
    )


def item_table(folder: Path, policy: str) -> pl.DataFrame:
    """Return the items' features: the number as it is, categories as one column each.

    Every folder salts its category names anew, so a category is named by the first item in it.
    """
    tables = []
    for campaign in CAMPAIGNS:
        items = pl.read_csv(folder / policy / campaign / "item_context.csv.gz").sort("item_id")
        categories = [
            f"{campaign}-c{k}-" + pl.col("item_id").min().over(f"item_feature_{k}").cast(pl.String)
            for k in (1, 2, 3)
        ]
        tables.append(
            items.select(
                (f"{campaign}-" + pl.col("item_id").cast(pl.String)).alias("feature_id"),
                pl.col("item_feature_0"),
                *(column.alias(f"c{k}") for k, column in enumerate(categories, 1)),
            )
        )
    return pl.concat(tables).to_dummies(["c1", "c2", "c3"])


def load(folder: Path, policy: str, campaigns: tuple[str, ...] = CAMPAIGNS) -> TrainingPairs:
    """Return a policy's pairs."""
    log = pl.concat([interactions(folder, policy, campaign) for campaign in campaigns])
    return load_pairs(
        log,
        features=item_table(folder, policy),
        builtin_features=(),
        context=(*USER_FEATURES, "policy"),
        on_error="raise",
    )


def rate_ratios(pairs: TrainingPairs) -> list[dict[str, float]]:
    """Return click rate by position over that of position 0, with intervals on the log scale."""
    n = np.bincount(pairs.position, minlength=3)
    clicks = np.bincount(pairs.position, weights=pairs.clicked, minlength=3)
    found = []
    for k in range(3):
        ratio = (clicks[k] / n[k]) / (clicks[0] / n[0])
        error = np.sqrt(1 / clicks[k] - 1 / n[k] + 1 / clicks[0] - 1 / n[0]) if k else 0.0
        found.append(
            {
                "shown": int(n[k]),
                "clicks": int(clicks[k]),
                "ratio": float(ratio),
                "lower": float(ratio * np.exp(-1.645 * error)),
                "upper": float(ratio * np.exp(1.645 * error)),
            }
        )
    return found


def curves(pairs: TrainingPairs) -> dict[str, Any]:
    """Return the curve by every estimator, or why it is not identified."""
    found: dict[str, Any] = {}
    for name in ESTIMATORS:
        try:
            bias = PositionBias(name, confidence=CONFIDENCE, random_state=SEED).fit(pairs)
        except NotIdentifiableError as error:
            found[name] = {"not_identifiable": str(error)}
        else:
            found[name] = {
                "examination": bias.examination_.tolist(),
                "lower": bias.lower_.tolist(),
                "upper": bias.upper_.tolist(),
                "swaps": bias.swaps_.tolist(),
            }
    return found


def print_curves(name: str, rates: list[dict[str, float]], found: dict[str, Any]) -> None:
    """Print one log's curves, one estimator a line."""
    plain = "randomised" if name.startswith("random") else "confounded"
    counts = ", ".join(f"{row['clicks']}/{row['shown']}" for row in rates)
    print(f"\n{name}: clicks/shown by position {counts}")
    cells = [f"{row['ratio']:.2f} ({row['lower']:.2f}-{row['upper']:.2f})" for row in rates[1:]]
    print(f"  {plain + ' rates':18} 1.00  {'  '.join(cells)}")
    for estimator, curve in found.items():
        if "not_identifiable" in curve:
            print(f"  {estimator:18} not identifiable: {curve['not_identifiable']}")
            continue
        bounds = zip(curve["examination"], curve["lower"], curve["upper"], strict=True)
        cells = [f"{e:.2f} ({low:.2f}-{high:.2f})" for e, low, high in list(bounds)[1:]]
        print(f"  {estimator:18} 1.00  {'  '.join(cells)}")


def refusals(pairs: TrainingPairs, threads: int) -> dict[str, str]:
    """Return what the modes that learn inside lists say to lists of one document."""
    said = {}
    for mode in ("none", "position"):
        try:
            Ranker(mode, n_jobs=threads, progress=False, **RANKER).fit(pairs)
            said[mode] = "trained"
        except RankloomError as error:
            said[mode] = f"{type(error).__name__}: {error}"
    return said


def candidates(train: TrainingPairs, threads: int) -> dict[str, dict[str, float]]:
    """Return scores of the items by each contender, learnt from one log."""
    item = train.document_id.to_list()
    clicks = np.bincount(train.document_code, weights=train.clicked, minlength=len(train.documents))
    shown = np.bincount(train.document_code, minlength=len(train.documents))
    # One expected click's worth of exposures; fixed beforehand, like the other settings.
    strength = float(len(train) / max(train.clicked.sum(), 1))
    shrunk = (clicks + 1) / (shown + strength)
    found = {
        "click rate of the item": {
            item[i]: float(shrunk[train.document_code[i]]) for i in range(len(item))
        },
    }
    if train.context["policy"][0] == "bts":  # a random policy prefers no item
        preferred = pl.DataFrame({"item": item, "p": train.document_score})
        found["the policy's own propensity"] = dict(preferred.group_by("item").mean().iter_rows())
    for name, examination in (("flat curve", [1.0, 1.0, 1.0]), ("estimated curve", None)):
        ranker = Ranker(
            "ips",
            examination=examination,
            prior_exposure=strength,
            n_jobs=threads,
            progress=False,
            **RANKER,
        )
        try:
            scores = ranker.fit(train).predict(train)
        except NotIdentifiableError as error:
            print(f"  Ranker('ips', {name}) refuses: {error}")
            continue
        found[f"Ranker('ips', {name})"] = dict(zip(item, scores.tolist(), strict=True))
    return found


def judge(test: TrainingPairs, scores: dict[str, float]) -> dict[str, Any]:
    """Return AUC and lift on a random log, with bootstrap intervals over rows."""
    default = float(np.mean(list(scores.values())))
    value = np.array([scores.get(item, default) for item in test.document_id.to_list()])
    campaign = test.query_code[test.execution_index]
    rng = np.random.default_rng(SEED)
    point = _auc_and_lift(value, test.clicked, campaign)
    draws = [
        _auc_and_lift(value[rows], test.clicked[rows], campaign[rows])
        for rows in (rng.integers(0, len(value), len(value)) for _ in range(300))
    ]
    low, high = np.quantile(np.array(draws), [0.05, 0.95], axis=0)
    return {
        name: {"value": point[k], "lower": float(low[k]), "upper": float(high[k])}
        for k, name in enumerate(("auc", "lift_of_best_third"))
    }


def _auc_and_lift(
    value: NDArray[Any], clicked: NDArray[np.bool_], campaign: NDArray[Any]
) -> tuple[float, float]:
    wins = pairs = best_clicks = best_shown = 0.0
    for code in np.unique(campaign):
        rows = campaign == code
        yes, no = value[rows & clicked], np.sort(value[rows & ~clicked])
        below, upto = np.searchsorted(no, yes, "left"), np.searchsorted(no, yes, "right")
        wins += float((below + upto).sum()) / 2
        pairs += len(yes) * len(no)
        best = value[rows] >= np.quantile(np.unique(value[rows]), 2 / 3)
        best_clicks += float(clicked[rows][best].sum())
        best_shown += float(best.sum())
    return wins / pairs, (best_clicks / best_shown) / float(clicked.mean())


def rank_and_judge(
    name: str, train: TrainingPairs, test: TrainingPairs, threads: int
) -> dict[str, Any]:
    """Learn from one log, judge on another, print a line for each contender."""
    learnt, judged = int(train.clicked.sum()), int(test.clicked.sum())
    print(f"\n{name}: {learnt} clicks to learn from, {judged} to judge")
    results = {}
    for contender, scores in candidates(train, threads).items():
        found = judge(test, scores)
        results[contender] = found
        auc, lift = found["auc"], found["lift_of_best_third"]
        print(
            f"  {contender:32} AUC {auc['value']:.3f} ({auc['lower']:.3f}-{auc['upper']:.3f})  "
            f"best third {lift['value']:.2f} ({lift['lower']:.2f}-{lift['upper']:.2f})"
        )
    return results


def run(folder: Path, threads: int) -> dict[str, Any]:
    """Load, estimate, train and judge; return everything that was printed."""
    both = {policy: load(folder, policy) for policy in POLICIES}
    record: dict[str, Any] = {"load": {}, "position_bias": {}}
    for policy, pairs in both.items():
        report = pairs.report
        print(
            f"{policy}: {pairs}; rows read {report.rows_read:,}, duplicates {report.duplicates}, "
            f"quarantined {report.quarantined}"
        )
        record["load"][policy] = report.to_dict()
    print(f"\nExamination relative to position 0, {CONFIDENCE:.0%} intervals")
    for policy in POLICIES:
        logs = {f"{policy}, {c}": load(folder, policy, (c,)) for c in CAMPAIGNS}
        for name, pairs in {**logs, f"{policy}, both campaigns": both[policy]}.items():
            rates, found = rate_ratios(pairs), curves(pairs)
            print_curves(name, rates, found)
            record["position_bias"][name] = {"rates": rates, "curves": found}
    record["refusals"] = refusals(both["bts"], threads)
    print("\nModes that learn inside a list, given lists of one document:")
    for mode, said in record["refusals"].items():
        print(f"  {mode}: {said}")
    early, late = split_by_time(both["random"], test_fraction=0.5)
    tasks = {
        "learn on bts, judge on random": (both["bts"], both["random"]),
        "learn on the first half of random, judge on the second": (early, late),
        "learn on the second half of random, judge on the first": (late, early),
    }
    record["ranking"] = {name: rank_and_judge(name, *task, threads) for name, task in tasks.items()}
    return record


def main() -> None:
    """Print the tables and write the JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    folder = given.data / "obd"
    if not folder.is_dir():
        sys.exit(f"No data: {folder} is absent. Name the folder that holds it with --data DIR")
    versions = {
        "rankloom": rankloom.__version__,
        "lightgbm": lightgbm.__version__,
        "polars": pl.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    print(f"{versions}, {given.threads} threads, seed {SEED}, ranker {RANKER}\n")
    record = run(folder, given.threads)
    if given.out:
        whole = {"versions": versions, "threads": given.threads, "ranker": RANKER, **record}
        given.out.write_text(json.dumps(whole, indent=2))


if __name__ == "__main__":
    main()
