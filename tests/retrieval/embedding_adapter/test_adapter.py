"""The adapter in worlds whose right map is known, its file, and what it refuses."""

import json

import numpy as np
import polars as pl
import pytest

from rankloom.errors import IntegrityError, InvalidInputError, RankloomError, UnreadableSourceError
from rankloom.retrieval import EmbeddingAdapter, training_triplets

from .world import DIMENSIONS, make_world

CURVE = 1 / np.arange(1, 11)
TRUE_MAP = np.diag(np.repeat([2.0, 0.0, 0.7], 4))


@pytest.fixture(scope="module")
def learnable():
    """A world with another map than the identity, and its triplets."""
    world = make_world(TRUE_MAP, executions=12_000)
    return world, training_triplets(world.log, examination=CURVE)


@pytest.fixture(scope="module")
def adapter(learnable):
    """The adapter that is learnt there."""
    world, triplets = learnable
    return EmbeddingAdapter().fit(triplets, queries=world.queries, documents=world.documents)


def test_the_right_map_is_learnt_and_passes(learnable, adapter):
    world, triplets = learnable
    held_out = set(triplets.held_out["query"])
    plain = world.ndcg(lambda q, d: q @ d.T, held_out)
    assert not adapter.is_identity_
    assert world.ndcg(adapter.score, held_out) > plain + 0.08
    assert adapter.gain_.lower > 0
    diagonal = np.diag(adapter.matrix_).reshape(3, 4).mean(axis=1)
    assert diagonal[0] > diagonal[2] > diagonal[1]
    assert adapter.n_triplets_ == len(triplets.train)
    assert np.isinf(adapter.ridges_[0].ridge)
    assert adapter.ridge_ == min(adapter.ridges_, key=lambda tried: tried.loss).ridge


def test_where_embeddings_are_right_the_map_is_the_identity():
    world = make_world(np.eye(DIMENSIONS), executions=4_000, seed=1)
    triplets = training_triplets(world.log, examination=CURVE)
    adapter = EmbeddingAdapter(ridge=1e-6).fit(
        triplets, queries=world.queries, documents=world.documents
    )
    assert adapter.is_identity_
    assert not adapter.gain_.passed
    assert "bound of the held-out gain" in adapter.notes_[-1]
    np.testing.assert_array_equal(adapter.matrix_, np.eye(DIMENSIONS))
    np.testing.assert_array_equal(adapter.transform_queries(world.queries[1]), world.queries[1])


@pytest.mark.parametrize("side", ["query", "document", "both"])
def test_every_side_gives_the_same_scores(learnable, adapter, side):
    world, triplets = learnable
    other = EmbeddingAdapter(side=side, ridge=adapter.ridge_).fit(
        triplets, queries=world.queries, documents=world.documents
    )
    q, d = world.queries[1][:7], world.documents[1][:9]
    expected = q @ adapter.matrix_ @ d.T
    np.testing.assert_allclose(other.score(q, d), expected, rtol=1e-3, atol=1e-3)
    by_hand = other.transform_queries(q) @ other.transform_documents(d).T
    np.testing.assert_allclose(by_hand, expected, rtol=1e-3, atol=1e-3)
    changed = {
        "query": not np.array_equal(other.transform_queries(q), q),
        "document": not np.array_equal(other.transform_documents(d), d),
    }
    assert changed == {"query": side != "document", "document": side != "query"}


def test_neither_the_order_of_the_vectors_nor_of_the_triplets_matters(learnable, adapter):
    world, triplets = learnable
    back = [(ids[::-1], vectors[::-1]) for ids, vectors in (world.queries, world.documents)]
    other = EmbeddingAdapter().fit(triplets, queries=back[0], documents=back[1])
    assert other.ridge_ == adapter.ridge_
    np.testing.assert_allclose(other.matrix_, adapter.matrix_, atol=0.02)


def test_a_low_rank_map_is_learnt(learnable):
    world, triplets = learnable
    adapter = EmbeddingAdapter(rank=8).fit(
        triplets, queries=world.queries, documents=world.documents
    )
    change = adapter.matrix_ - np.eye(DIMENSIONS)
    assert not adapter.is_identity_
    assert np.linalg.matrix_rank(change, tol=1e-4) <= 8


def test_save_and_load(adapter, learnable, tmp_path):
    path = tmp_path / "adapter.bin"
    adapter.save(path)
    loaded = EmbeddingAdapter.load(path)
    q, d = learnable[0].queries[1], learnable[0].documents[1]
    np.testing.assert_array_equal(loaded.score(q, d), adapter.score(q, d))
    assert str(loaded) == str(adapter)
    assert repr(loaded) == repr(adapter)
    assert loaded.gain_ == adapter.gain_
    assert loaded.ridges_ == adapter.ridges_
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match="damaged"):
        EmbeddingAdapter.load(path)
    path.write_bytes(b"something else")
    with pytest.raises(IntegrityError, match="of the format"):
        EmbeddingAdapter.load(path)
    with pytest.raises(UnreadableSourceError, match="nowhere"):
        EmbeddingAdapter.load(tmp_path / "nowhere")


def test_an_identity_is_saved_with_numbers_that_json_lacks(tmp_path):
    world = make_world(np.eye(DIMENSIONS), executions=1_500, n_queries=60, seed=2)
    triplets = training_triplets(world.log, examination=CURVE)
    adapter = EmbeddingAdapter(ridge=1.0).fit(
        triplets, queries=world.queries, documents=world.documents
    )
    adapter.ridge_ = float("inf")
    adapter.save(tmp_path / "a")
    assert EmbeddingAdapter.load(tmp_path / "a").ridge_ == float("inf")
    assert json.dumps(adapter.gain_.to_dict(), allow_nan=False)


def test_missing_vectors_are_counted(learnable):
    world, triplets = learnable
    fewer = world.documents[0][:900], world.documents[1][:900]
    adapter = EmbeddingAdapter(ridge=0.01).fit(triplets, queries=world.queries, documents=fewer)
    known = triplets.train.filter(
        (pl.col("positive_id").cast(pl.Int64) < 900) & (pl.col("negative_id").cast(pl.Int64) < 900)
    )
    assert adapter.n_triplets_ == len(known)
    left_out = len(triplets.train) - len(known)
    assert f"{left_out:,} of {len(triplets.train):,} triplets left out" in adapter.notes_[0]
    assert "documents of held-out queries left out" in adapter.notes_[1]


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("rank", 0), ("ridge", 0), ("side", "queries"), ("k", 0.5), ("confidence", 1)],
)
def test_wrong_parameters_are_named(learnable, parameter, value):
    world, triplets = learnable
    with pytest.raises(InvalidInputError, match=parameter):
        EmbeddingAdapter(**{parameter: value}).fit(
            triplets, queries=world.queries, documents=world.documents
        )


@pytest.mark.parametrize(
    ("queries", "words"),
    [
        ([1, 2, 3], "ids and an array"),
        ((["a"], [[1.0, 2.0]]), "as long as"),
        ((["a", "a"], np.ones((2, DIMENSIONS))), "'a' occurs more than once"),
        ((["a"], np.ones((2, DIMENSIONS))), "for each of 2 rows"),
        ((["a", 1], np.ones((2, DIMENSIONS))), "all text or all whole"),
        (([0.5], np.ones((1, DIMENSIONS))), "Float64"),
        ((["a"], [[np.nan] * DIMENSIONS]), "row 0"),
        ((["a"], ["b"]), "shape"),
        ((["a"], np.ones((1, DIMENSIONS))), "none of"),
    ],
)
def test_wrong_vectors_are_refused(learnable, queries, words):
    world, triplets = learnable
    with pytest.raises(InvalidInputError, match=words):
        EmbeddingAdapter().fit(triplets, queries=queries, documents=world.documents)


def test_a_test_part_and_a_fit_are_needed(learnable):
    world, _ = learnable
    triplets = training_triplets(world.log, examination=CURVE, test_fraction=0)
    with pytest.raises(InvalidInputError, match="test_fraction"):
        EmbeddingAdapter().fit(triplets, queries=world.queries, documents=world.documents)
    with pytest.raises(RankloomError, match="call fit"):
        EmbeddingAdapter().transform_queries(world.queries[1])


def test_vectors_of_another_length_are_refused(adapter):
    with pytest.raises(InvalidInputError, match=r"shape \(n, 12\)"):
        adapter.transform_queries(np.ones((2, 3)))
