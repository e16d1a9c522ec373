from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qdrant_client.hybrid import fusion as qdrant
from qdrant_client.models import ScoredPoint

from rankloom.bandit import Fused, fuse
from rankloom.datasets import parse_interaction
from rankloom.errors import InvalidInputError

METHODS = ["min_max", "z_score", "distribution", "rrf"]
every_method = pytest.mark.parametrize("method", METHODS)

ids = st.text(st.sampled_from("ab1é\U0001f600"), min_size=1, max_size=2)
scores = st.integers(-8, 8).map(lambda n: n / 4)
one_list = st.dictionaries(ids, scores, max_size=7).map(lambda d: list(d.items()))
some_lists = st.dictionaries(st.sampled_from("pqrst"), one_list, min_size=1, max_size=5)
methods = st.sampled_from(METHODS)


def some_weights(lists):
    return {uri: (3 + 5 * i) % 7 / 7 for i, uri in enumerate(sorted(lists))}


def random_lists(seed, channels=4, documents=30):
    generator = np.random.default_rng(seed)
    names = [f"d{i:03d}" for i in range(2 * documents)]
    return {
        f"uri{c}": [
            (str(name), float(generator.gamma(1 + c)))
            for name in generator.choice(names, documents, replace=False)
        ]
        for c in range(channels)
    }


def slowly(pairs, method, rank_constant):
    """Return x of every document of one list, by the definitions and nothing else."""
    values = dict(pairs)
    if method == "rrf":
        above = {d: sum(other > score for other in values.values()) for d, score in values.items()}
        return {d: (rank_constant + 1) / (rank_constant + 1 + n) for d, n in above.items()}
    if len(set(values.values())) < 2:
        return dict.fromkeys(values, 0.5 if method == "distribution" else 1.0)
    lowest, highest = min(values.values()), max(values.values())
    mean, sigma = statistics.mean(values.values()), statistics.stdev(values.values())
    return {
        document: {
            "min_max": (score - lowest) / (highest - lowest),
            "z_score": (score - mean) / sigma - (lowest - mean) / sigma,
            "distribution": max((score - (mean - 3 * sigma)) / (6 * sigma), 0.0),
        }[method]
        for document, score in values.items()
    }


@given(some_lists, methods, st.sampled_from([0, 1, 60, 2.5]))
@settings(deadline=None, max_examples=150)
def test_scores_are_the_weighted_sums_of_the_definitions(lists, method, rank_constant):
    weights = some_weights(lists)
    fused = fuse(lists, weights, method=method, k=None, rank_constant=rank_constant)
    x = {uri: slowly(lists[uri], method, rank_constant) for uri in lists}
    assert sorted(fused.documents) == sorted({d for pairs in x.values() for d in pairs})
    for row, document in enumerate(fused.documents):
        for column, uri in enumerate(fused.feature_uris):
            assert fused.found[row, column] == (document in x[uri])
            assert fused.channel_scores[row, column] == pytest.approx(x[uri].get(document, 0.0))
        expected = sum(weights[uri] * x[uri].get(document, 0.0) for uri in lists)
        assert fused.scores[row] == pytest.approx(expected)


@given(some_lists, methods, st.integers(1, 9))
def test_documents_come_by_score_then_id_and_k_only_cuts(lists, method, k):
    weights = some_weights(lists)
    full = fuse(lists, weights, method=method, k=None)
    keys = [(-score, document) for score, document in zip(full.scores, full.documents, strict=True)]
    assert keys == sorted(keys)
    cut = fuse(lists, weights, method=method, k=k)
    assert cut.documents == full.documents[:k]
    np.testing.assert_array_equal(cut.channel_scores, full.channel_scores[:k])
    assert len(cut.documents) == min(k, len(full.documents))


@given(some_lists, methods, st.randoms(use_true_random=False))
def test_no_order_of_channels_or_pairs_changes_a_bit(lists, method, random):
    weights = {uri: weight / 3 for uri, weight in some_weights(lists).items()}
    shuffled = {uri: random.sample(lists[uri], len(lists[uri])) for uri in lists}
    reordered = {uri: shuffled[uri] for uri in random.sample(sorted(lists), len(lists))}
    first, second = (fuse(each, weights, method=method) for each in (lists, reordered))
    assert first.documents == second.documents
    assert first.scores.tobytes() == second.scores.tobytes()
    assert first.channel_scores.tobytes() == second.channel_scores.tobytes()


@given(some_lists, methods)
def test_finding_a_document_never_counts_less_than_missing_it(lists, method):
    fused = fuse(lists, some_weights(lists), method=method, k=None)
    assert (fused.channel_scores >= 0).all()
    assert (fused.channel_scores[~fused.found] == 0).all()


@every_method
def test_a_channels_scale_does_not_matter(method):
    lists = random_lists(1)
    weights = some_weights(lists)
    moved = lists | {"uri2": [(d, 1000 * s - 3) for d, s in lists["uri2"]]}
    first, second = (fuse(each, weights, method=method, k=None) for each in (lists, moved))
    np.testing.assert_allclose(
        first.scores[np.argsort(first.documents)], second.scores[np.argsort(second.documents)]
    )


def test_rank_fusion_looks_at_the_order_only():
    lists = random_lists(2)
    bent = {uri: [(d, math.exp(3 * s)) for d, s in pairs] for uri, pairs in lists.items()}
    weights = some_weights(lists)
    first, second = (fuse(each, weights, method="rrf") for each in (lists, bent))
    assert first.documents == second.documents
    np.testing.assert_array_equal(first.scores, second.scores)


def test_a_z_score_that_is_missing_counts_as_the_lowest():
    """Subtracting one constant from all documents gives the z-scores with the gaps filled."""
    lists = random_lists(3, channels=3)
    weights = {uri: 0.2 + i for i, uri in enumerate(lists)}
    total = {}
    for uri, pairs in lists.items():
        values = np.array([score for _, score in pairs])
        z = dict(zip(dict(pairs), (values - values.mean()) / values.std(ddof=1), strict=True))
        for document in {d for each in lists.values() for d, _ in each}:
            total.setdefault(document, []).append(weights[uri] * z.get(document, min(z.values())))
    fused = fuse(lists, weights, method="z_score", k=None)
    expected = np.array([sum(total[document]) for document in fused.documents])
    np.testing.assert_allclose(np.ptp(expected - fused.scores), 0, atol=1e-12)


def points(pairs):
    """Return a list as Qdrant returns it: best first."""
    best_first = sorted(pairs, key=lambda pair: (-pair[1], pair[0]))
    return [ScoredPoint(id=document, version=0, score=score) for document, score in best_first]


def test_distribution_based_fusion_is_qdrants():
    lists = random_lists(4)
    fused = fuse(lists, dict.fromkeys(lists, 1), method="distribution", k=12)
    theirs = qdrant.distribution_based_score_fusion([points(p) for p in lists.values()], limit=12)
    assert fused.documents == tuple(point.id for point in theirs)
    np.testing.assert_allclose(fused.scores, [point.score for point in theirs])


@pytest.mark.parametrize("pairs", [[("a", 0.3)], [("a", 0.3), ("b", 0.3)]])
def test_distribution_based_fusion_of_equal_scores_is_qdrants(pairs):
    theirs = qdrant.distribution_based_score_fusion([points(pairs)], limit=9)
    fused = fuse({"u": pairs}, {"u": 1}, method="distribution")
    assert fused.scores.tolist() == [point.score for point in theirs] == [0.5] * len(pairs)


def test_distribution_based_fusion_ends_at_0_where_qdrant_goes_below():
    pairs = [(f"d{i:02d}", 1.0 + i / 100) for i in range(20)] + [("outlier", -9.0)]
    theirs = {p.id: p.score for p in qdrant.distribution_based_score_fusion([points(pairs)], 99)}
    fused = fuse({"u": pairs}, {"u": 1}, method="distribution", k=None)
    assert theirs["outlier"] < 0
    assert fused.documents[-1] == "outlier"
    assert fused.scores[-1] == 0
    np.testing.assert_allclose(fused.scores[:-1], [theirs[d] for d in fused.documents[:-1]])


@pytest.mark.parametrize("rank_constant", [1, 20, 60])
def test_rank_fusion_is_the_published_formula_times_a_constant(rank_constant):
    """Score += weight / (rank_constant + rank) over the lists: Elasticsearch's, OpenSearch's."""
    lists = random_lists(5)
    weights = some_weights(lists)
    score = {}
    for uri, pairs in lists.items():
        for rank, (document, _) in enumerate(sorted(pairs, key=lambda pair: -pair[1]), start=1):
            score[document] = score.get(document, 0) + weights[uri] / (rank_constant + rank)
    fused = fuse(lists, weights, method="rrf", k=10, rank_constant=rank_constant)
    assert fused.documents == tuple(sorted(score, key=score.__getitem__, reverse=True)[:10])
    published = [(rank_constant + 1) * score[document] for document in fused.documents]
    np.testing.assert_allclose(fused.scores, published)


def test_equal_rank_fusion_is_qdrants_with_k_one_higher():
    lists = random_lists(6)
    theirs = qdrant.reciprocal_rank_fusion(
        [points(pairs) for pairs in lists.values()], limit=999, ranking_constant_k=61
    )
    fused = fuse(lists, dict.fromkeys(lists, 1), method="rrf", k=None)
    expected = {point.id: 61 * point.score for point in theirs}
    np.testing.assert_allclose(fused.scores, [expected[d] for d in fused.documents])


def test_ties_go_by_code_point_not_by_number_or_locale():
    names = ["9", "10", "a", "B", "é", "z", "\U0001f600", "\ufffd"]
    fused = fuse({"u": [(name, 1.0) for name in names]}, {"u": 1}, k=None)
    assert fused.documents == ("10", "9", "B", "a", "z", "é", "\ufffd", "\U0001f600")


def test_equal_scores_within_a_channel_share_the_rank_of_the_first():
    pairs = [("b", 1.0), ("a", 1.0), ("c", 2.0), ("d", 0.0), ("e", 0.0), ("f", -1.0)]
    fused = fuse({"u": pairs}, {"u": 1}, method="rrf")
    assert fused.documents == ("c", "a", "b", "d", "e", "f")
    np.testing.assert_allclose(fused.scores, [1, 61 / 62, 61 / 62, 61 / 64, 61 / 64, 61 / 66])


@given(some_lists, methods, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=100)
def test_what_documents_are_called_changes_no_score(lists, method, random):
    documents = sorted({document for pairs in lists.values() for document, _ in pairs})
    renamed = [f"{i:03d}" for i in range(len(documents))]
    random.shuffle(renamed)
    name = dict(zip(documents, renamed, strict=True))
    others = {uri: [(name[d], score) for d, score in pairs] for uri, pairs in lists.items()}
    one, other = (
        fuse(each, some_weights(lists), method=method, k=None) for each in (lists, others)
    )
    scores = dict(zip(other.documents, other.scores, strict=True))
    assert [scores[name[d]] for d in one.documents] == pytest.approx(one.scores.tolist())


@pytest.mark.parametrize(
    ("method", "x"), [("min_max", 1), ("z_score", 1), ("distribution", 0.5), ("rrf", 1)]
)
@pytest.mark.parametrize("scores", [[7.3], [0.1, 0.1, 0.1], [-2, -2], [0.0, -0.0]])
def test_lists_without_two_different_scores(method, x, scores):
    """Their documents are known to be found, and nothing else."""
    pairs = [(f"d{i}", score) for i, score in enumerate(scores)]
    fused = fuse({"u": pairs, "v": []}, {"u": 1, "v": 1}, method=method)
    assert fused.scores.tolist() == [x] * len(pairs)


@every_method
def test_the_smallest_and_the_widest_differences_are_seen(method):
    tiny = math.ulp(0.0)
    for low, high in ((0.0, tiny), (1.0, math.nextafter(1.0, 2.0)), (-8e307, 8e307)):
        fused = fuse({"u": [("a", low), ("b", high)]}, {"u": 1}, method=method)
        assert fused.documents == ("b", "a")
        assert np.isfinite(fused.scores).all()


@every_method
def test_nothing_found_is_an_empty_ranking(method):
    fused = fuse({"u": [], "v": []}, {"u": 1, "v": 2}, method=method)
    assert fused.documents == ()
    assert fused.metadata() == []
    assert fused.scores.shape == (0,)
    assert fused.channel_scores.shape == fused.found.shape == (0, 2)


def test_a_channel_of_weight_0_adds_its_documents_and_no_score():
    fused = fuse({"u": [("b", 1.0)], "v": [("a", 9.0), ("b", 1.0)]}, {"u": 2, "v": 0})
    assert fused.documents == ("b", "a")
    assert fused.scores.tolist() == [2, 0]
    assert fused.weights == {"u": 2.0, "v": 0.0}


@every_method
def test_scores_to_log_are_normalised_over_all_candidates(method):
    lists = random_lists(7)
    weights = some_weights(lists)
    shown = fuse(lists, weights, method=method, k=3)
    everything = fuse(lists, weights, method=method, k=None)
    assert shown.metadata() == everything.metadata()[:3]


def test_metadata_is_what_an_interaction_record_takes():
    """The scores as logged rebuild the fused ranking: x = 0 where a channel is not named."""
    lists = random_lists(8)
    fused = fuse(lists, some_weights(lists), k=None)
    assert fused.channel_scores[fused.found].min() == 0
    for position, document in enumerate(fused.documents):
        record = {
            "feature_id": document,
            "interaction_type": ["impression"],
            "position": position,
            "document_score": float(fused.scores[position]),
            "metadata": fused.metadata()[position],
        }
        kept = parse_interaction(json.loads(json.dumps(record)))
        features = kept.metadata["features"]
        assert set(features) == {uri for uri in lists if document in dict(lists[uri])}
        rebuilt = sum(fused.weights[uri] * features[uri]["score"] for uri in features)
        assert rebuilt == pytest.approx(kept.document_score)


def test_numbers_of_every_kind_are_scores():
    pairs = [("a", np.float32(0.5)), ("b", 2), ("c", np.int8(1)), ("d", np.float64(0.25))]
    fused = fuse({"u": iter(pairs)}, {"u": np.float64(1)})
    assert isinstance(fused, Fused)
    assert fused.documents == ("b", "c", "a", "d")
    assert fused.scores.dtype == np.float64


@pytest.mark.parametrize(
    ("lists", "weights", "options", "message"),
    [
        ({"u": [("a", math.nan)]}, {"u": 1}, {}, r"lists\['u'\]: document 'a' has the score nan"),
        ({"u": [("a", 1), ("b", -math.inf)]}, {"u": 1}, {}, "document 'b' has the score -inf"),
        ({"u": [("a", None)]}, {"u": 1}, {}, "document 'a' has the score None"),
        ({"u": [("a", 1.0), ("b", "2")]}, {"u": 1}, {}, "document 'b' has the score '2'"),
        ({"u": [("a", [1.0, 2.0]), ("b", 1)]}, {"u": 1}, {}, "'a' has the score"),
        ({"u": [("a", 1), ("b", 1), ("a", 2)]}, {"u": 1}, {}, "'a' is twice in the list"),
        ({"u": [("a", -1e308), ("b", 1.7e308)]}, {"u": 1}, {}, "further apart than a float64"),
        ({"u": [(7, 1.0)]}, {"u": 1}, {}, "document id is a non-empty text, got 7"),
        ({"u": [("", 1.0)]}, {"u": 1}, {}, "document id is a non-empty text, got ''"),
        ({"u": ["abc"]}, {"u": 1}, {}, r"lists\['u'\]: .*pairs"),
        ({"u": [1.0, 2.0]}, {"u": 1}, {}, r"expected \(document id, score\) pairs, got 1.0"),
        ({"u": [("a", 1.0)]}, {}, {}, "weights: got none"),
        ({}, {"u": 1}, {}, "lists: nothing for 'u'"),
        ({"text": []}, {"text": 1, "txt": 1}, {}, "nothing for 'txt'.*Did you mean 'text'"),
        ({"text": [], "img": []}, {"text": 1}, {}, "no weight for the channel 'img' of lists"),
        ({"u": []}, {"u": -0.1}, {}, r"weights\['u'\]: expected a finite number >= 0, got -0.1"),
        ({"u": []}, {"u": math.nan}, {}, "finite number >= 0, got nan"),
        ({"u": []}, {"u": "1"}, {}, r"weights\['u'\]: expected a number, got '1'"),
        ({"u": []}, {"u": True}, {}, "expected a number, got True"),
        ({"u": [], "v": []}, {"u": 0, "v": 0}, {}, "weights: all 2 are 0"),
        ({"": []}, {"": 1}, {}, "a feature_uri is a non-empty text"),
        ({"u": []}, {"u": 1}, {"method": "minmax"}, "Did you mean 'min_max'"),
        ({"u": []}, {"u": 1}, {"k": 0}, "k: expected a whole number >= 1"),
        ({"u": []}, {"u": 1}, {"k": 2.0}, "k: expected a whole number >= 1"),
        ({"u": []}, {"u": 1}, {"rank_constant": -1}, "rank_constant: expected"),
        ({"u": []}, {"u": 1}, {"rank_constant": math.inf}, "rank_constant: expected"),
    ],
)
def test_bad_input_is_named(lists, weights, options, message):
    with pytest.raises(InvalidInputError, match=message):
        fuse(lists, weights, **options)


def test_fusing_loads_nothing_beyond_numpy():
    code = """if True:
        import json, sys
        import numpy
        before = set(sys.modules)
        from rankloom.bandit import fuse
        from rankloom.bandit.exports import to_qdrant
        for method in ("min_max", "z_score", "distribution", "rrf"):
            fuse({"u": [("a", 1.0), ("b", 2.0)]}, {"u": 1}, method=method).metadata()
        to_qdrant({"u": 1}, {"u": {"query": [1.0]}})
        names = {name.partition(".")[0] for name in set(sys.modules) - before}
        print(json.dumps(sorted(names - sys.stdlib_module_names - {"numpy", "rankloom"})))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert json.loads(done.stdout) == []
