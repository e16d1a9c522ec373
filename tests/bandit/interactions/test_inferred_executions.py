"""One rule gives rows without an execution_id their execution, wherever they are read."""

import datetime as dt

import numpy as np
import pytest

from rankloom import InteractionLog
from rankloom.bandit.base.rewards import RewardTable
from rankloom.bandit.interactions.inferred_executions import InferredExecutions
from rankloom.bandit.interactions.live_event import read_event
from rankloom.bandit.log_follower.inferred_executions import with_inferred_executions
from rankloom.datasets import load_pairs
from rankloom.datasets.record.inferred_executions import SESSION_GAP

START = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)


def rows_without_execution(rng, n=120):
    """Return rows whose distances lie around the gap, in the order of time."""
    time, rows = 0, []
    for i in range(n):
        time += int(rng.choice([0, 1, 60_000_000, SESSION_GAP // 3, SESSION_GAP, SESSION_GAP + 1]))
        query = str(rng.choice(["shoes", "  Shoes", "boots"]))
        rows.append(
            {
                "session_id": f"s{rng.integers(2)}",
                "query_snapshot": f'{{"query": "{query}", "page": {rng.integers(3)}}}',
                "feature_id": f"d{i}",
                "position": 0,
                "interaction_type": ["impression", "click"] if i % 3 else ["impression"],
                "occurred_at": (START + dt.timedelta(microseconds=time)).isoformat(),
            }
        )
    return rows


@pytest.mark.parametrize("seed", range(5))
def test_loader_live_events_and_followed_log_agree(tmp_path, seed):
    """The log and the loader get the rows in any order, live events come as they happen."""
    rng = np.random.default_rng(seed)
    rows = rows_without_execution(rng)
    shuffled = [rows[i] for i in rng.permutation(len(rows))]
    pairs = load_pairs(shuffled)
    executions = pairs.execution_id.gather(pairs.execution_index)
    by_loader = dict(zip(pairs.document_id, executions, strict=True))
    live, table = InferredExecutions(), RewardTable()
    by_live = {
        each["feature_id"]: live.execution_of(read_event(each, table, (), 0)) for each in rows
    }
    with InteractionLog(f"sqlite:///{tmp_path}/log.db") as log:
        log.record_batch(shuffled)
        followed = with_inferred_executions(log.rows_of(sessions=["s0", "s1"]))
    by_log = dict(followed.select("feature_id", "execution_id").iter_rows())
    assert by_loader == by_live == by_log
    assert len(by_live) == len(rows) > len(set(by_live.values())) > 4
