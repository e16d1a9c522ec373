"""Every public result says what it is: a short text, and HTML that is sound whatever the data say.

A public class that is in neither `RESULTS` nor `NOT_RESULTS` fails here: make an instance of it in
`results`, or say why it is no result.
"""

import datetime as dt
import importlib
import inspect
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest

PACKAGES = (
    "rankloom",
    "rankloom.datasets",
    "rankloom.ltr",
    "rankloom.bandit",
    "rankloom.retrieval",
    "rankloom.insights",
)
HOSTILE = '<b>&"'
MIDDLE = dt.datetime(2025, 1, 25)  # noqa: DTZ001 - the log has times of UTC without a zone
LATER = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
LONGEST_TEXT = 8_000
DUMP = 2_000
NOT_RESULTS = {
    "Interaction": "a record, which users write: its repr is how to make it",
    "InteractionLog": "a connection to a database",
    "InteractionType": "an enumeration of names",
    "Deletion": "a row of the log's list of deletions",
    "PreparedRow": "a row as the database takes it",
    "Recorded": "the receipt of one row",
    "RowFault": "one fault, which has a text",
    "MixpeekSource": "a source to be read",
    "Scan": "a source that is being read",
    "Metric": "the name of a metric",
    "EventColumns": "input: arrays to be folded",
    "Identity": "settings",
    "RewardTable": "settings",
    "QueryKFold": "settings",
    "TimeSeriesQuerySplit": "settings",
    "LogFollower": "a process that follows a log",
    "LogPosition": "a number in a log",
    "ModelRegistry": "a folder of models",
    "Mark": "another name of LogPosition",
    "Store": "a connection to a database",
}
VOID = {"br", "hr", "img"}


def public_classes():
    """Return the public classes by name; errors are none, and displays draw."""
    found = {}
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in module.__all__:
            value = getattr(module, name)
            if not inspect.isclass(value) or issubclass(value, BaseException):
                continue
            if not name.endswith("Display"):
                found[f"{package}.{name}" if name == "Report" else name] = value
    return found


CLASSES = public_classes()
RESULTS = {name: value for name, value in CLASSES.items() if name not in NOT_RESULTS}


def hostile(frame, *columns):
    """Return a frame whose ids hold what HTML would take for markup."""
    return frame.with_columns(
        pl.format("{}{}", pl.lit(HOSTILE), name).alias(name) for name in columns
    )


@pytest.fixture(scope="module")
def log():
    from rankloom import simulate_interactions

    made = simulate_interactions(n_executions=800, random_state=0, n_users=40, retriever_id=HOSTILE)
    in_json = HOSTILE.replace('"', '\\"')
    made = made.with_columns(
        pl.col("metadata").str.replace_all('"mixpeek://', f'"{in_json}mixpeek://', literal=True)
    )
    names = ["feature_id", "execution_id", "user_id", "session_id", "feature_uri"]
    return hostile(made, *names, "query_snapshot")


@pytest.fixture(scope="module")
def pairs(log):
    from rankloom import load_pairs

    loaded = load_pairs(log)
    features = np.random.default_rng(0).normal(size=(len(loaded), 1)).astype(np.float32)
    from dataclasses import replace

    return replace(
        loaded, X=np.hstack([loaded.X, features]), feature_names=(*loaded.feature_names, HOSTILE)
    )


@pytest.fixture(scope="module")
def results(log, pairs, tmp_path_factory):
    """Return one instance of every result, from little work on a small log."""
    folder = tmp_path_factory.mktemp("results")
    return {
        **_of_datasets(log, pairs, folder),
        **_of_ltr(pairs, folder),
        **_of_bandit(log),
        **_of_retrieval(log),
        **_of_insights(log, folder),
    }


def _of_datasets(log, pairs, folder):
    from rankloom import InteractionLog, PositionBias, scan, validate
    from rankloom.datasets import (
        PBM,
        SignalTable,
        behaviour_features,
        load_ubi,
        partition_interactions,
    )
    from rankloom.datasets.importers.copy import CopyReport

    stored = InteractionLog(f"sqlite:///{folder}/log.db", retriever_id=HOSTILE)
    rows = [
        {
            "execution_id": f"{HOSTILE}{i}",
            "feature_id": HOSTILE,
            "position": 0,
            "interaction_type": ["click"],
            "query_snapshot": {"query": HOSTILE},
        }
        for i in range(3)
    ]
    bad = {"feature_id": "a", "interaction_type": ["click"], "position": HOSTILE}
    with stored:
        batch = stored.record_batch([*rows, bad])
        page = stored.find(limit=2)
        chunk = stored.rows_after(0)
    scanned = scan([*rows, bad])
    tables = behaviour_features(log, windows=["all"], examination=[1.0], as_of=LATER)
    ubi = load_ubi(
        [
            {
                "query_id": "q",
                "user_query": HOSTILE,
                "timestamp": "2026-01-01T00:00:00Z",
                "query_response_hit_ids": [HOSTILE, "b"],
            }
        ],
        [
            {
                "query_id": "q",
                "action_name": "click",
                "timestamp": "2026-01-01T00:00:00Z",
                "event_attributes": {
                    "object": {"object_id": HOSTILE},
                    "position": {"ordinal": 0},
                },
            }
        ],
    )
    return {
        "TrainingPairs": pairs,
        "LoadReport": pairs.report,
        "PositionBias": PositionBias(n_bootstrap=0).fit(pairs),
        "BatchReport": batch,
        "Page": page,
        "LogChunk": chunk,
        "ScanResult": scanned,
        "Quarantine": scanned.quarantine,
        "CopyReport": CopyReport(4, 3, quarantine=scanned.quarantine),
        "ValidationReport": validate([*rows, bad]),
        "SignalTable": SignalTable.with_types([HOSTILE]),
        "BehaviourTables": tables,
        "PBM": PBM().fit(pairs),
        "PartitionReport": partition_interactions(log, folder / "parts", partitions=2),
        "UbiResult": ubi,
    }


def _of_ltr(pairs, folder):
    from rankloom import Ranker, split_by_time
    from rankloom.ltr import (
        ModelCard,
        ModelRegistry,
        QueryMemory,
        compare,
        cross_validate,
        evaluate_from_logs,
        gated_memory,
        ips_relevance,
        judgment_list,
        paired_bootstrap,
        tune,
    )

    train, test = split_by_time(pairs)
    ranker = Ranker("position", n_jobs=1, n_estimators=5, progress=False).fit(train)
    memory = QueryMemory()
    report = gated_memory(ranker, train, memory)
    judged = ranker.evaluate(test)
    scores = ranker.predict(test)
    curve = 1.0 / (1.0 + np.arange(int(pairs.position.max()) + 1))
    known = Ranker("position", n_jobs=1, n_estimators=2, examination=curve)
    validated = cross_validate(known, train, cv=2, n=50)
    tuned = tune(train, ranker=known, n_trials=1, holdout=test, progress=False)
    ranker.save(folder / "model")
    promotion = ModelRegistry(folder / "registry").promote(folder / "model", force=HOSTILE)
    return {
        "CrossValidation": validated,
        "FoldResult": validated.folds[0],
        "Tuning": tuned,
        "Gain": tuned.folds_gain,
        "Ranker": ranker,
        "QueryMemory": memory,
        "MemoryReport": report,
        "rankloom.ltr.Report": judged,
        "Comparison": next(iter(judged.metrics.values())),
        "Gate": compare(ranker, "production", test, examination=curve),
        "CounterfactualReport": evaluate_from_logs(test, scores, examination=curve),
        "DocumentRelevance": ips_relevance(train, curve[train.position]),
        "Exported": ranker.export("lightgbm", folder / "ranker.txt"),
        "ModelCard": ModelCard.of(ranker, test),
        "Promotion": promotion,
        "Version": promotion.version,
        "JudgmentList": judgment_list(train, ranker=Ranker(n_estimators=5, n_jobs=1)),
        "PairedDifference": paired_bootstrap([0.1, 0.2, 0.4], [0.1, 0.1, 0.2], n=50),
    }


def _of_bandit(log):
    from rankloom import FusionBandit
    from rankloom.bandit import fuse, fuse_columns, learning_curve, replay_weights

    uris = log["feature_uri"].unique().drop_nulls().sort().to_list()
    bandit = FusionBandit(uris, retriever_id=HOSTILE)
    update = bandit.update(log)
    session = log["session_id"][0]
    equal = dict.fromkeys(uris, 1 / len(uris))
    fused = fuse({uri: [(HOSTILE, 2.0), ("b", 1.0)] for uri in uris}, equal)
    hits = {"query": [0, 0], "channel": [0, 1], "document": [0, 1], "score": [1.0, 2.0]}
    return {
        "FusionBandit": bandit,
        "FusionWeights": bandit.snapshot(),
        "Evidence": bandit.evidence,
        "Sums": bandit.evidence.sums(),
        "SessionSums": bandit.evidence.session_sums(session),
        "UpdateReport": update,
        "Explanation": bandit.explain(),
        "Served": bandit.sample(user_id=HOSTILE, session_id=HOSTILE),
        "LearningCurve": learning_curve(log, bandit, steps=3),
        "WeightsReplay": replay_weights(log, bandit, baseline=equal, later=False),
        "Fused": fused,
        "FusedColumns": fuse_columns(**hits, weights=[0.5, 0.5]),
    }


def _of_retrieval(log):
    from rankloom.retrieval import (
        EmbeddingAdapter,
        SimilarItems,
        SimilarUsers,
        affinity_features,
        engagement_matrix,
        training_triplets,
    )

    triplets = training_triplets(log)
    random = np.random.default_rng(0)
    queries = triplets.held_out["query"].append(triplets.train["query"]).unique().sort()
    documents = log["feature_id"].unique().sort()
    adapter = EmbeddingAdapter(rank=2).fit(
        triplets,
        queries=(queries, random.normal(size=(len(queries), 8))),
        documents=(documents, random.normal(size=(len(documents), 8))),
    )
    early = log.filter(pl.col("occurred_at") < MIDDLE)
    late = log.filter(pl.col("occurred_at") >= MIDDLE)
    matrix, held_out = engagement_matrix(early), engagement_matrix(late)
    items = SimilarItems().fit(matrix)
    return {
        "TrainingTriplets": triplets,
        "EmbeddingAdapter": adapter,
        "HeldOutGain": adapter.gain_,
        "EngagementMatrix": matrix,
        "EngagementReport": matrix.report,
        "SimilarItems": items,
        "SimilarUsers": SimilarUsers().fit(matrix),
        "RecommendationReport": items.evaluate(held_out),
        "UserAffinity": affinity_features(log, as_of=LATER),
    }


def _of_insights(log, folder):
    from rankloom.insights import (
        build_report,
        compare_retrievers,
        document_insights,
        query_insights,
        read_searches,
        trends,
        user_metrics,
    )

    two = pl.concat(
        [
            log,
            log.with_columns(
                pl.format("2{}", "execution_id").alias("execution_id"),
                pl.lit("other").alias("retriever_id"),
            ),
        ]
    )
    path = folder / f"{HOSTILE}.parquet"
    log.write_parquet(path)
    searches = read_searches(two)
    return {
        "Searches": searches,
        "RetrieverComparison": compare_retrievers(searches),
        "Trends": trends(searches),
        "UserMetrics": user_metrics(log, log["user_id"][0]),
        "DocumentInsights": document_insights(log),
        "QueryInsights": query_insights(log),
        "rankloom.insights.Report": build_report(path, n_jobs=1, sections=["load"]),
    }


class Tags(HTMLParser):
    """Collects the tags, the attributes and the text; fails where they do not match."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.attributes, self.text = [], set(), {}, []

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        self.attributes |= dict(attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def parsed(html):
    tags = Tags()
    tags.feed(html)
    tags.close()
    assert tags.open == []
    return tags


@pytest.mark.parametrize("name", sorted(RESULTS))
def test_every_public_class_is_a_result_or_has_a_reason_not_to_be_one(name):
    """A result has both forms."""
    assert RESULTS[name].__repr__ is not object.__repr__
    assert callable(getattr(RESULTS[name], "_repr_html_", None))


@pytest.mark.slow
def test_there_is_an_instance_of_every_result(results):
    assert len(RESULTS) > 40
    assert set(RESULTS) - set(results) == set()
    assert set(results) - set(RESULTS) == set()
    assert set(NOT_RESULTS) - set(CLASSES) == set()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(RESULTS))
def test_a_result_has_a_text_of_its_own(name, results):
    """No object at an address, and no dump of all fields."""
    value = results[name]
    assert isinstance(value, RESULTS[name])
    text = repr(value)
    assert " object at 0x" not in text
    assert 0 < len(text) < LONGEST_TEXT
    is_dump = text.startswith(f"{type(value).__name__}(") and "=" in text
    assert len(text) < DUMP or not is_dump
    assert "\x1b" not in text


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(RESULTS))
def test_the_html_of_a_result_is_sound_and_holds_no_markup_of_the_data(name, results):
    html = results[name]._repr_html_()
    tags = parsed(html)
    assert tags.seen <= {"div", "strong", "table", "thead", "tbody", "tr", "th", "td", "ul", "li"}
    assert set(tags.attributes) <= {"style"}
    assert "color:" not in html
    assert 0 < len(html) < 60_000
    assert "".join(tags.text).strip()


SHOW_DATA = (
    *("EngagementMatrix", "Evidence", "Explanation", "Exported", "Fused", "FusionBandit"),
    *("FusionWeights", "DocumentInsights", "JudgmentList", "LearningCurve", "LogChunk", "Page"),
    *("QueryInsights", "Ranker", "RetrieverComparison", "ScanResult", "Served", "SessionSums"),
    *("SignalTable", "Sums", "TrainingPairs", "TrainingTriplets", "UserMetrics"),
    "rankloom.insights.Report",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", SHOW_DATA)
def test_what_shows_data_shows_it_as_text(name, results):
    """The ids arrive, as text: were they left out, the test above would prove nothing."""
    assert HOSTILE in "".join(parsed(results[name]._repr_html_()).text)


TABLES = {name: value for name, value in RESULTS.items() if hasattr(value, "to_frame")}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_table_is_the_same_in_polars_and_pandas(name, results):
    frame, table = results[name].to_frame(), results[name].to_pandas()
    assert frame.shape == table.shape
    assert frame.columns == list(table.columns)


def test_there_are_tables():
    assert len(TABLES) > 20


@pytest.mark.slow
def test_frames_hold_the_numbers_of_their_results(results):
    gate = results["Gate"]
    frame = gate.to_frame()
    assert frame["metric"].to_list() == list(gate.metrics)
    assert frame["gain"].to_list() == [metric.gain for metric in gate.metrics.values()]
    assert frame["passed"].to_list() == [metric.passed for metric in gate.metrics.values()]
    report = results["rankloom.ltr.Report"]
    assert report.to_frame()["ranker"].to_list() == [m.ranker for m in report.metrics.values()]
    curve = results["LearningCurve"]
    steps = curve.to_frame().filter(pl.col("feature_uri") == curve.feature_uris[1])
    np.testing.assert_array_equal(steps["weight"].to_numpy(), curve.weights[:, 1])
    bias = results["PositionBias"]
    np.testing.assert_array_equal(bias.to_frame()["examination"], bias.examination_)
    sums = results["Sums"]
    np.testing.assert_array_equal(sums.to_frame()["N"].to_numpy(), sums.N.ravel())
    memory = results["MemoryReport"]
    assert memory.to_frame()["gain"].to_list() == [band.gain for band in memory.bands]
    log_value = results["CounterfactualReport"]
    values = log_value.to_frame().filter(ranking="baseline")
    assert values["value"].to_list() == [each.value for each in log_value.baseline.values()]


@pytest.mark.slow
def test_a_page_has_the_columns_of_interactions(results):
    from rankloom.datasets import canonical_schema

    frame = results["Page"].to_frame()
    assert dict(frame.schema) == canonical_schema()
    assert frame["feature_id"].to_list() == [HOSTILE, HOSTILE]
    assert frame["query_snapshot"].str.json_path_match("$.query").to_list() == [HOSTILE, HOSTILE]
