"""`rankloom demo`: its files, and that what it says of fusion is true of the catalogue."""

import numpy as np
import pytest

from rankloom.bandit import FusionWeights
from rankloom.cli.demo.demo_fusion import fusion_lines, true_ndcg
from rankloom.datasets import simulate_catalogue, simulate_interactions
from rankloom.ltr import ndcg


@pytest.mark.slow
def test_the_demo_runs_and_leaves_its_files(run, tmp_path):
    code, text, err = run("demo", tmp_path / "out", "--executions", "400", "--threads", "1")
    assert (code, err) == (0, "")
    for heading in ("examined", "debias='auto'", "members:", "reranked", "learnt weight"):
        assert heading in text
    written = {path.name for path in (tmp_path / "out").iterdir()}
    data = {"log.parquet", "features.parquet", "quarantine.jsonl"}
    assert written == data | {"model", "weights.json", "report.html"}
    assert "Not in this report." not in (tmp_path / "out" / "report.html").read_text("utf-8")


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
