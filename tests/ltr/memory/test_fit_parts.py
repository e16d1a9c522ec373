"""A memory learnt where the pairs are is the one learnt from all of them."""

from __future__ import annotations

import numpy as np
import pytest

from rankloom import load_pairs
from rankloom.datasets import PositionBias, simulate_interactions
from rankloom.datasets.distributed import fit_position_bias, pair_parts
from rankloom.errors import InvalidInputError
from rankloom.ltr import QueryMemory


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "log.parquet"
    simulate_interactions(n_executions=600, random_state=3).write_parquet(path)
    return path


@pytest.fixture(scope="module")
def parts(file, dask_client):
    with pair_parts(file, client=dask_client, partitions=3) as found:
        yield found


@pytest.mark.slow
def test_a_memory_of_parts_is_that_of_all_pairs(parts, file):
    curve = fit_position_bias(parts, PositionBias("all_pairs", n_bootstrap=0)).examination_
    settings = {"examination": curve, "half_life": 20.0, "source": "one"}
    expected = QueryMemory(**settings).fit(load_pairs(file))
    found = QueryMemory(**settings).fit_parts(parts)
    one, other = (memory.table().sort("query_id", "feature_id") for memory in (found, expected))
    assert one.select("query_id", "feature_id").equals(other.select("query_id", "feature_id"))
    numbers = [name for name, kind in other.schema.items() if kind.is_float()]
    assert len(numbers) > 2
    for name in numbers:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-9, atol=1e-12)
    assert found.served_bands_ == expected.served_bands_


def test_a_curve_is_asked_for(parts):
    with pytest.raises(InvalidInputError, match="examination: expected a curve"):
        QueryMemory().fit_parts(parts)
