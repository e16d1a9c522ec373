from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy import stats

from rankloom._shared.ids import stable_id, stable_ids
from rankloom.datasets.record.query_keys import canonical_query
from rankloom.errors import InvalidInputError, StateMismatchError
from rankloom.ltr import QueryMemory, Ranker
from rankloom.ltr.memory import served
from rankloom.ltr.memory.cached_ids import CachedIds
from rankloom.ltr.memory.served import query_ids

CURVE = 1 / np.arange(1.0, 11.0)


@pytest.fixture(scope="module")
def log(make_pairs):
    """Few queries with many executions: memory has something to learn."""
    return make_pairs(1500, queries=15, shuffled=True, random_state=3)


@pytest.fixture(scope="module")
def noise(log):
    return np.random.default_rng(0).normal(size=len(log)).astype(np.float32)


@pytest.fixture(scope="module")
def memory(log, noise):
    return QueryMemory(examination=CURVE).fit(log, prior=noise)


def relevance(log):
    """P(click | examined) as `make_pairs` draws clicks."""
    value = np.nan_to_num(log.X[:, 0]) + 0.7 * np.nan_to_num(log.X[:, 1])
    return 1 / (1 + np.exp(-2 * value + 1))


def by_hand(log, memory):
    """C and E of every (query, document), summed one row at a time."""
    sums = {}
    factor = memory.estimates.calibration.factor
    query = log.query_id.gather(log.execution_index).to_list()
    for row, key in enumerate(zip(query, log.document_id.to_list(), strict=True)):
        c, e = sums.get(key, (0.0, 0.0))
        examined = max(CURVE[log.position[row]], 0.05) * factor[log.position[row]]
        sums[key] = (c + float(log.y[row] > 0), e + examined)
    return sums


def test_the_table_has_the_closed_form(log, memory):
    sums, table = by_hand(log, memory), memory.table()
    assert len(table) == len(sums)
    k = memory.strength_.common
    assert all(band.strength == k for band in memory.strength_.bands)
    for row in table.iter_rows(named=True):
        c, e = sums[row["query_id"], row["feature_id"]]
        assert row["clicks"] == pytest.approx(c, rel=1e-5)
        assert row["exposure"] == pytest.approx(e, rel=1e-5)
        assert row["relevance"] == pytest.approx((c + k * row["prior"]) / (e + k), rel=1e-5)
        gamma = stats.gamma(c + k * row["prior"], scale=1 / (e + k))
        assert row["lower"] == pytest.approx(gamma.ppf(0.05), rel=1e-4)
        assert row["upper"] == pytest.approx(gamma.ppf(0.95), rel=1e-4)


def test_served_relevance_is_that_of_the_table_for_the_prior_given(memory):
    table = memory.table()
    query = table["query_id"][0]
    own = table.filter(query_id=query)
    scores = np.linspace(-1, 1, len(own))
    p = memory.estimates.calibration(scores)
    k = memory.strength_.common
    expected = (own["clicks"].to_numpy() + k * p) / (own["exposure"].to_numpy() + k)
    found = memory.relevance(query, own["feature_id"].to_list(), prior=scores)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_document_never_shown_for_a_known_query_has_its_prior(memory):
    query = memory.table()["query_id"][0]
    found = memory.relevance(query, ["never shown", "nor this"], prior=[0.3, -0.3])
    np.testing.assert_array_equal(found, memory.estimates.calibration(np.array([0.3, -0.3])))


def test_a_query_that_was_never_logged_keeps_the_scores_bit_for_bit(memory):
    scores = np.random.default_rng(1).normal(size=50).astype(np.float32)
    ids = [f"document-{i}" for i in range(50)]
    assert memory.rescore("never logged", ids, scores) is scores


def test_calibration_is_strictly_increasing_far_beyond_the_logged_scores(memory):
    scores = np.linspace(-1000, 1000, 5001)
    assert (np.diff(memory.estimates.calibration(scores)) > 0).all()


@pytest.mark.parametrize("query", ["query-3", {"query": "Query-3"}, "Query-3"])
def test_queries_are_found_by_id_and_by_snapshot(make_pairs, query):
    ids = pl.Series([f'{{"query":"query-{i}"}}' for i in range(15)])
    log = make_pairs(1500, queries=15, shuffled=True)
    if query != "query-3":
        log.queries = ids
    memory = QueryMemory(examination=CURVE).fit(log)
    row = memory.table().filter(query_id=log.queries[3]).row(0, named=True)
    assert memory.relevance(query, [row["feature_id"]])[0] != memory.relevance("none", ["x"])[0]


def test_clicks_at_random_leave_every_query_with_the_prior(make_pairs):
    served = 0
    for seed in range(20):
        log = make_pairs(400, queries=10, shuffled=True, random_state=seed)
        generator = np.random.default_rng(seed)
        log.clicked = generator.random(len(log)) < 0.3 * CURVE[log.position]
        log.y = log.clicked.astype(np.float32)
        memory = QueryMemory(examination=CURVE).fit(log, prior=generator.normal(size=len(log)))
        served += any(memory.served_bands_)
        assert QueryMemory.load_bytes(memory.to_bytes()).served_bands_ == memory.served_bands_
    assert served <= 3


def test_memory_comes_closer_to_the_truth_than_clicks_or_prior_alone(make_pairs):
    log = make_pairs(600, queries=15, shuffled=True, random_state=5)
    value = np.nan_to_num(log.X[:, 0])
    memory = QueryMemory(examination=CURVE).fit(log, prior=value)
    truth = dict(zip(log.document_id, relevance(log), strict=True))
    table = memory.table()
    right = np.array([truth[document] for document in table["feature_id"]])

    def error(values):
        return float(np.mean((values - right) ** 2))

    raw = (table["clicks"] / table["exposure"]).to_numpy()
    assert error(table["relevance"].to_numpy()) < 0.8 * error(raw)
    assert error(table["relevance"].to_numpy()) < 0.8 * error(table["prior"].to_numpy())
    covered = (table["lower"].to_numpy() <= right) & (right <= table["upper"].to_numpy())
    assert 0.75 < covered.mean() < 0.98


def test_a_curve_that_is_too_steep_does_not_lift_low_positions(make_pairs):
    """Documents at fixed positions: true examination 1 / sqrt(rank), 1 / rank assumed."""
    log = make_pairs(3000, queries=30, random_state=2)
    generator = np.random.default_rng(0)
    log.clicked = generator.random(len(log)) < 0.4 / np.sqrt(log.position + 1.0)
    log.y = log.clicked.astype(np.float32)
    score = generator.normal(size=len(log))
    memory = QueryMemory(examination=CURVE).fit(log, prior=score)
    factor = memory.estimates.calibration.factor
    assert factor[9] / factor[0] == pytest.approx(np.sqrt(10), rel=0.15)


def test_halved_evidence_after_a_half_life(make_pairs):
    log = make_pairs(400, queries=5)
    day = np.timedelta64(1, "D")
    log.time = np.datetime64("2024-01-01", "us") + np.arange(400) % 2 * (10 * day)
    whole = QueryMemory(examination=CURVE, half_life=10.0).fit(log)
    late = QueryMemory(examination=CURVE).fit(log.take(log.time > log.time.min()))
    early = QueryMemory(examination=CURVE).fit(log.take(log.time == log.time.min()))
    total = whole.table()["clicks"].sum()
    assert total == pytest.approx(late.table()["clicks"].sum() + early.table()["clicks"].sum() / 2)


def test_gains_by_grade(make_pairs):
    log = make_pairs(400, queries=5)
    log.y = np.where(log.clicked, 1 + np.arange(len(log)) % 3, 0).astype(np.float32)
    memory = QueryMemory(examination=CURVE, gains=[0, 1, 5]).fit(log)
    expected = (log.y == 1).sum() + 5 * (log.y >= 2).sum()
    assert memory.table()["clicks"].sum() == pytest.approx(expected)


def test_without_a_ranker_the_prior_is_the_click_rate_by_position(make_pairs):
    log = make_pairs(3000, queries=30)
    memory = QueryMemory(examination=CURVE).fit(log)
    p = memory.relevance("never logged", [f"{i}" for i in range(10)])
    rate = np.bincount(log.position, log.y) / np.bincount(log.position) / CURVE
    assert (np.diff(p) < 0).all()
    np.testing.assert_allclose(p[:3], rate[:3], rtol=0.1)


def test_caps_keep_the_most_evidence_and_count_the_rest(log, noise, memory):
    small = QueryMemory(examination=CURVE, max_queries=4, max_documents=6).fit(log, prior=noise)
    whole, kept = memory.table(), small.table()
    assert kept["query_id"].n_unique() == 4
    assert kept.group_by("query_id").len()["len"].max() == 6
    assert small.left_out_ == (11, len(whole) - len(kept))
    assert "left out by the caps: 11 queries" in small.summary()
    counts = log.query_id.value_counts().sort("count", descending=True)["query_id"]
    assert set(kept["query_id"]) <= set(counts.head(5))
    least = kept.group_by("query_id").agg(pl.col("exposure").min())
    dropped = whole.join(kept, on=["query_id", "feature_id"], how="anti")
    joined = dropped.join(least, on="query_id", suffix="_least")
    assert (joined["exposure"] <= joined["exposure_least"] + 1e-6).all()


def test_one_serves_only_bands_that_passed(log, noise):
    memory = QueryMemory(examination=CURVE).fit(log.take(np.arange(1000)), prior=noise[:10000])
    later = log.take(np.arange(1000, 1500))
    report = memory.evaluate(later, noise[10000:])
    assert report.passed
    query = memory.table()["query_id"][0]
    document = memory.table()["feature_id"][0]
    before = memory.relevance(query, [document], prior=[0.0])
    assert memory.restrict(report).relevance(query, [document], prior=[0.0]) == before
    object.__setattr__(report, "passed_bands", (False,) * 4)
    memory.restrict(report)
    scores = np.zeros(1, dtype=np.float32)
    assert memory.rescore(query, [document], scores) is scores


# With a ranker


@pytest.fixture(scope="module")
def blind(log):
    """The log with features that say nothing of the documents: a ranker learns little."""
    values = np.random.default_rng(0).normal(size=(len(log.documents), 5)).astype(np.float32)
    return replace(log, X=values[log.document_code])


@pytest.fixture(scope="module")
def ranker(blind):
    return Ranker("none", n_jobs=1, n_estimators=5, min_data_in_leaf=5).fit(blind)


@pytest.fixture(scope="module")
def documents(blind):
    rows = np.flatnonzero(np.isin(blind.execution_index, np.flatnonzero(blind.query_code == 0)))
    rows = rows[np.unique(blind.document_code[rows], return_index=True)[1]]
    features = [
        dict(zip(blind.feature_names, map(float, blind.X[row]), strict=True)) for row in rows
    ]
    ids = blind.document_id.gather(rows).to_list()
    return [{"feature_id": i, "features": f} for i, f in zip(ids, features, strict=True)]


def test_rank_serves_the_memory_for_its_query_alone(blind, ranker, documents, tmp_path):
    ranker = Ranker("none", n_jobs=1, n_estimators=5, min_data_in_leaf=5).fit(blind)
    plain = ranker.rank(documents)
    assert ranker.rank(documents, query="query-0") == plain
    memory = QueryMemory(examination=CURVE).fit(blind, prior=ranker)
    ranker.attach_memory(memory)
    assert ranker.rank(documents) == plain
    assert ranker.rank(documents, query="never logged") == plain
    found = ranker.rank(documents, query="query-0")
    table = memory.table().filter(query_id="query-0")
    order = [document["feature_id"] for document in found]
    assert order != [document["feature_id"] for document in plain]
    expected = memory.relevance(
        "query-0", order, prior=[d["score"] for i in order for d in plain if d["feature_id"] == i]
    )
    np.testing.assert_allclose([d["score"] for d in found], expected, rtol=1e-6)
    assert order[0] in table["feature_id"].head(5).to_list()
    as_table = pl.DataFrame([{"feature_id": d["feature_id"], **d["features"]} for d in documents])
    assert ranker.rank(as_table, query="query-0")["feature_id"].to_list() == order
    ranker.save(tmp_path / "model")
    loaded = Ranker.load(tmp_path / "model")
    assert loaded.rank(documents, query="query-0") == found
    assert loaded.attach_memory(None).rank(documents, query="query-0") == plain


def test_documents_without_an_id_have_their_prior(ranker, documents, blind):
    ranker.attach_memory(QueryMemory(examination=CURVE).fit(blind, prior=ranker))
    nameless = [{"features": d["features"]} for d in documents]
    order = [d["features"] for d in ranker.rank(nameless, query="query-0")]
    assert order == [d["features"] for d in ranker.attach_memory(None).rank(nameless)]


def test_another_rankers_memory_is_refused(ranker, blind):
    other = Ranker("none", n_jobs=1, n_estimators=4, min_data_in_leaf=5).fit(blind)
    memory = QueryMemory(examination=CURVE).fit(blind, prior=other)
    with pytest.raises(StateMismatchError, match=r"calibrated on ranker \w+, not on ranker"):
        ranker.attach_memory(memory)
    with pytest.raises(StateMismatchError, match="calibrated on production's order"):
        ranker.attach_memory(QueryMemory(examination=CURVE).fit(blind))
    ranker.attach_memory(QueryMemory(examination=CURVE).fit(blind, prior=ranker.predict(blind)))


# Faults


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"half_life": 0}, "half_life: expected a number between"),
        ({"clip": 1.0}, "clip: expected a number between 0 and 1"),
        ({"max_queries": 0}, "max_queries: expected a whole number of at least 1"),
        ({"gains": [1, 2]}, "gains: expected 0 and then"),
        ({"gains": [0, float("nan")]}, "gains: expected 0 and then"),
    ],
)
def test_wrong_parameters_are_refused(options, message):
    with pytest.raises(InvalidInputError, match=message):
        QueryMemory(**options)


def test_wrong_pairs_and_calls_are_refused(log, memory, make_pairs, noise):
    with pytest.raises(InvalidInputError, match="expected TrainingPairs"):
        QueryMemory().fit([1, 2])
    with pytest.raises(InvalidInputError, match="needs the position"):
        QueryMemory().fit(make_pairs(10, judged=True))
    with pytest.raises(InvalidInputError, match="expected a Ranker or 15,000 finite scores"):
        QueryMemory().fit(log, prior=np.zeros(3))
    with pytest.raises(InvalidInputError, match="not fitted yet"):
        QueryMemory().table()
    with pytest.raises(InvalidInputError, match="expected 2 finite scores"):
        memory.relevance("query-0", ["a", "b"])
    with pytest.raises(InvalidInputError, match="query: expected text or a dict, got int"):
        memory.relevance(3, ["a"], prior=[0.0])
    with pytest.raises(InvalidInputError, match="are not later than the memory's"):
        memory.evaluate(log, noise)
    with pytest.raises(InvalidInputError, match="expected one of query"):
        memory.forget(query="a", user_id="b")
    timeless = make_pairs(100, time=np.full(100, np.datetime64("NaT", "us")))
    with pytest.raises(InvalidInputError, match="the pairs have no times"):
        QueryMemory(half_life=3.0, examination=CURVE).fit(timeless)
    found = QueryMemory(examination=CURVE).fit(timeless)
    with pytest.raises(InvalidInputError, match="compact needs all times"):
        found.compact(dt.datetime(2024, 1, 1, tzinfo=dt.UTC))


def test_scores_of_another_scale_are_warned_of_once(log, noise, caplog):
    scores = noise.astype(np.float64)
    memory = QueryMemory(examination=CURVE).fit(log, prior=scores)
    query = log.query_id[0]
    memory.relevance(query, ["a", "b"], prior=[scores.min(), scores.max()])
    assert not caplog.records
    span = scores.max() - scores.min()
    for _ in range(2):
        memory.relevance(query, ["a", "b"], prior=scores.max() + span * np.array([2.0, 3.0]))
    assert [each.levelname for each in caplog.records] == ["WARNING"]
    assert "another scale" in caplog.text


def test_long_texts_from_clients_are_served_but_not_cached(memory):
    assert memory.served.table.find(stable_id("query-0")) is not None
    cached = served._cached_document_ids
    before = len(cached)
    query, ids = memory.table()["query_id"][0], ["x" * 1000, memory.table()["feature_id"][0]]
    memory.relevance("q" * 1000, ids, prior=[0.0, 0.0])
    found = memory.relevance(query, ids, prior=[0.0, 0.0])
    # Not to the last bit: numpy computes an array of two by other instructions than one of one.
    alone = [memory.relevance(query, [each], prior=[0.0])[0] for each in ("new", ids[1])]
    assert found.tolist() == pytest.approx(alone, rel=1e-12)
    assert len(cached) <= before + 3
    assert ids[0] not in cached
    assert ids[1] in cached


def test_ids_are_remembered_in_two_generations():
    ids = CachedIds(3)
    for _ in range(2):
        for text in "abcdefgh":
            assert ids.ids_of([text, "hot"]).tolist() == [stable_id(text), stable_id("hot")]
            assert "hot" in ids
            assert len(ids) <= 7
    assert "a" not in ids
    long = "x" * 300
    assert (
        ids.ids_of([long, "a", "a", long]).tolist() == stable_ids([long, "a", "a", long]).tolist()
    )
    assert long not in ids
    assert ids.ids_of([]).tolist() == []


def test_a_query_is_found_by_every_form_that_it_may_be_stored_in():
    words = {"query": "Red shoes"}
    stored = [stable_id(canonical_query(text)) for text in ("Red shoes", json.dumps(words))]
    for query in ("Red  SHOES", '"red shoes"', json.dumps(words), words):
        assert set(stored) <= set(query_ids(query))
    assert next(query_ids("as given")) == stable_id("as given")
