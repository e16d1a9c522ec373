"""The fusion part of the demo: what it says is true of the catalogue behind the log."""

import numpy as np

from rankloom._cli.demo_fusion import fusion_lines, true_ndcg
from rankloom.bandit import FusionWeights
from rankloom.datasets import simulate_catalogue, simulate_interactions
from rankloom.ltr import ndcg


def test_learnt_weights_rank_better_than_equal_ones_and_the_snapshot_holds_them(tmp_path):
    catalogue = simulate_catalogue(n_queries=60, random_state=1)
    log = tmp_path / "log.parquet"
    simulate_interactions(catalogue, n_executions=1500, random_state=1).write_parquet(log)
    lines = fusion_lines(catalogue, log, tmp_path / "weights.json")
    weights = FusionWeights.load(tmp_path / "weights.json").mean()
    equal = dict.fromkeys(weights, 1 / 3)
    before, after = (true_ndcg(catalogue, each).mean() for each in (equal, weights))
    assert max(weights, key=weights.get) == "mixpeek://text"
    assert after > before
    assert f"{before:.3f} with equal weights, {after:.3f} learnt" in "\n".join(lines)


def test_the_truth_of_one_channel_is_that_of_its_scores():
    catalogue = simulate_catalogue(n_queries=5, random_state=2)
    scores = np.nan_to_num(catalogue["mixpeek://text"].to_numpy(), nan=-1e9)
    group = np.full(5, 30)
    expected = ndcg(catalogue["grade"].to_numpy(), scores, group)
    assert (
        true_ndcg(catalogue, {"mixpeek://text": 1.0}).round(6).tolist()
        == expected.round(6).tolist()
    )
