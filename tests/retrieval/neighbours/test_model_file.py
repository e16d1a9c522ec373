"""Fitted neighbours are saved without pickle and read back as they were."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import sparse

from rankloom.errors import IntegrityError, UnreadableSourceError
from rankloom.retrieval import EngagementMatrix, SimilarItems, SimilarUsers

MODELS = [SimilarItems("bm25", n_neighbours=4, b=0.5), SimilarItems("ease"), SimilarUsers("bm25")]


def matrix_of(*, named):
    rng = np.random.default_rng(6)
    engagement = sparse.random(30, 12, 0.3, format="csr", dtype=np.float32, rng=rng)
    if not named:
        return engagement
    users, documents = (pl.Series([f"id{i:02}" for i in range(n)]) for n in engagement.shape)
    return EngagementMatrix(engagement, engagement, users, documents)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("named", [True, False])
def test_a_saved_model_answers_as_before(model, named, tmp_path):
    model = model.fit(matrix_of(named=named))
    model.save(tmp_path / "model.npz")
    loaded = type(model).load(tmp_path / "model.npz")
    assert loaded.get_params() == model.get_params()
    who, documents = ("id05", ["id03", "id07"]) if named else (5, [3, 7])
    assert loaded.recommend(who).equals(model.recommend(who))
    assert loaded.recommend(documents).equals(model.recommend(documents))
    assert loaded.similar(who).equals(model.similar(who))


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "model.npz"
    SimilarUsers().fit(matrix_of(named=True)).save(path)
    with pytest.raises(IntegrityError, match="similar-items"):
        SimilarItems.load(path)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(IntegrityError, match="damaged"):
        SimilarUsers.load(path)
    with pytest.raises(UnreadableSourceError):
        SimilarUsers.load(tmp_path / "missing.npz")
