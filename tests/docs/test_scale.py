"""The page about scale: its Dask snippets run on a cluster, and learn what one process does."""

from pathlib import Path

import numpy as np
import pytest

from rankloom import FusionBandit, load_pairs

from .daily_logs import write_log_in_files
from .snippets import blocks

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "scale.md"


def names_after(word, client, folder):
    """Run the snippet that holds a word, in a folder with a log; return the log and the names."""
    (code,) = [code for code in blocks(PAGE.read_text(encoding="utf-8"), "py") if word in code]
    log = write_log_in_files(folder)
    (folder / "tmp").mkdir()
    names = {"client": client}
    exec(code.replace("/shared", str(folder)), names)  # noqa: S102 - our own text
    return log, names


@pytest.mark.slow
def test_pairs_and_labels_come_from_the_workers(dask_client, tmp_path):
    log, names = names_after("pair_parts", dask_client, tmp_path)
    expected = load_pairs(log, context=["device"])
    assert np.array_equal(np.sort(names["pairs"].position), np.sort(expected.position))
    assert names["pairs"].y.sum() == expected.y.sum() > 0
    assert len(names["labels"]) == len(names["counted"].X)


@pytest.mark.slow
def test_fusion_evidence_is_that_of_one_process(dask_client, tmp_path):
    log, names = names_after("bandit.distributed", dask_client, tmp_path)
    alone = FusionBandit(names["channels"], retriever_id="search")
    alone.update(log)
    assert names["bandit"].mean() == pytest.approx(alone.mean(), abs=1e-9)
