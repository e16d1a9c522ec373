"""Rewards by policy against a fold by hand, as rows come, repeat and go."""

import datetime as dt

import numpy as np
import pytest

from rankloom.datasets import InteractionLog
from rankloom.service.learning import policy_rewards
from rankloom.service.learning.policy_rewards import PolicyRewards

GAIN = {"click": 1 / 3, "purchase": 1.0, "skip": -1 / 6, "impression": 0.0}


@pytest.fixture(params=["sqlite", "postgres"])
def log(request, tmp_path):
    url = f"sqlite:///{tmp_path}/log.db"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
    with InteractionLog(url, retriever_id="r") as log:
        yield log


@pytest.fixture
def rewards(log, monkeypatch):
    monkeypatch.setattr(policy_rewards, "FOLDED_EVERY", 0.0)
    monkeypatch.setattr(policy_rewards, "_CHUNK", 7)
    return PolicyRewards(log)


def row(execution, document, kinds, policy, **more):
    moment = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    return {
        "feature_id": document,
        "execution_id": execution,
        "interaction_type": kinds,
        "position": 0,
        "user_id": f"u{execution}",
        "occurred_at": moment.isoformat(),
        "metadata": None if policy is None else {"fusion": {"policy": policy}},
        **more,
    }


def shown(number, policies, seed=0):
    """Return rows of lists and what each list brought, by policy."""
    random = np.random.default_rng(seed)
    rows, brought = [], {}
    for n in range(number):
        policy, total = policies[n % len(policies)], 0.0
        for document in range(3):
            kinds = [k for k in ("click", "purchase", "skip") if random.random() < 0.2]
            rows.append(row(f"e{seed}-{n}", f"d{document}", ["impression"], policy))
            # Clicks come as rows of their own, without the policy: the list has one all the same.
            rows += [row(f"e{seed}-{n}", f"d{document}", [kind], None) for kind in kinds]
            total += max((GAIN[k] for k in kinds if GAIN[k] > 0), default=0.0)
            total += min((GAIN[k] for k in kinds if GAIN[k] < 0), default=0.0)
        brought.setdefault(policy, []).append(total)
    return rows, brought


def test_rewards_are_those_of_a_fold_by_hand_however_rows_come(log, rewards):
    rows, brought = shown(60, ["learned", "learned", "control", "own policy"])
    np.random.default_rng(1).shuffle(rows)
    for start in range(0, len(rows), 50):
        log.record_batch(rows[start : start + 50])
        rewards.read()
    found = {each.policy: each for each in rewards.read()}
    brought["other"] = brought.pop("own policy")
    assert set(found) == set(brought)
    for policy, totals in brought.items():
        n, each = len(totals), found[policy]
        error = 1.96 * np.std(totals, ddof=1) / np.sqrt(n)
        assert each.lists == n
        assert each.reward == pytest.approx(np.mean(totals))
        assert (each.low, each.high) == pytest.approx((each.reward - error, each.reward + error))
    assert rewards.read()[0].policy == "learned"
    again = PolicyRewards(log).read()
    assert [each[:2] for each in again] == [each[:2] for each in rewards.read()]
    for one, other in zip(again, rewards.read(), strict=True):
        assert one[2:] == pytest.approx(other[2:])


def test_lists_of_few_people_have_no_interval_and_those_without_a_policy_do_not_count(log, rewards):
    log.record_batch([row(f"e{n}", "d", ["click"], "learned", user_id="u") for n in range(50)])
    log.record_batch([row(f"f{n}", "d", ["click"], None) for n in range(50)])
    (found,) = rewards.read()
    assert found[:2] == ("learned", 50)
    assert (found.low, found.high) == (None, None)


def test_the_newest_documents_are_held_and_deleted_ones_are_not(log, rewards, monkeypatch):
    monkeypatch.setattr(policy_rewards, "MOST_DOCUMENTS", 30)
    log.record_batch([row(f"e{n}", "d", ["purchase"], "learned") for n in range(40)])
    log.record_batch([row(f"f{n}", "d", ["impression"], "learned") for n in range(20)])
    (found,) = rewards.read()
    assert (found.lists, found.reward) == (30, pytest.approx(1 / 3))
    for n in range(20):
        log.delete_user(f"uf{n}")
    (found,) = rewards.read()
    assert (found.lists, found.reward) == (30, pytest.approx(1.0))
    for n in range(40):
        log.delete_user(f"ue{n}")
    assert rewards.read() == []


def test_of_a_retriever_among_others_only_its_own_rows_count(log, rewards):
    log.within("default").record_batch(
        [
            row(f"e{n}", "d", ["purchase"], "learned", retriever_id="r" if n % 3 == 0 else "s")
            for n in range(90)
        ]
    )
    log.within("other").record_batch([row("e", "d", ["click"], "learned", retriever_id="r")])
    assert [each[:2] for each in rewards.read()] == [("learned", 30)]
