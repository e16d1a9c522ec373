"""Roll-out, control, exploration and shadow mode: who is served what, and what the log says."""

import json
import logging
import math

import numpy as np
import pytest

from rankloom.bandit import FusionBandit
from rankloom.errors import InvalidInputError, NoExposuresError

ARMS = ["text", "image", "audio"]
EQUAL = dict.fromkeys(ARMS, 1 / 3)
USERS = 6_000


def row(n, arm, types=("impression",), **fields):
    return {
        "execution_id": f"e{n}",
        "feature_id": f"d{n}",
        "interaction_type": list(types),
        "position": 0,
        "feature_uri": arm,
        "timestamp": "2026-01-31T12:00:00Z",
        **fields,
    }


def learnt(**options):
    bandit = FusionBandit(ARMS, **options)
    clicked = {"text": 2, "image": 4, "audio": 8}
    bandit.update(
        [
            row(f"{arm}{i}", arm, ["impression"] if i % every else ["impression", "click"])
            for arm, every in clicked.items()
            for i in range(200)
        ]
    )
    return bandit


def shares(bandit):
    found = [bandit.server.split.of(f"user:u{i}") for i in range(USERS)]
    names = [each.policy for each in found]
    for each in set(found):
        # What is logged as the propensity is how often it happens.
        slack = 4 * math.sqrt(each.share * (1 - each.share) / USERS)
        assert names.count(each.policy) / USERS == pytest.approx(each.share, abs=slack + 1e-12)
    return {name: names.count(name) for name in set(names)}


@pytest.mark.slow
def test_shares_are_near_the_percentages_and_the_propensities_true():
    bandit = learnt(rollout_pct=40, control_pct=10, explore_pct=20)
    assert set(shares(bandit)) == {"production", "control", "explore", "learned"}
    assert sum(learnt().server.split.of(f"user:u{i}").policy == "learned" for i in range(99)) == 99
    assert set(shares(learnt(rollout_pct=0))) == {"production"}
    assert set(shares(learnt(control_pct=100))) == {"control"}
    assert set(shares(learnt(control_pct=50, explore_pct=50))) == {"control", "explore"}


def test_a_user_keeps_the_policy_over_sessions_executions_and_processes():
    one, other = learnt(rollout_pct=50, control_pct=20), learnt(rollout_pct=50, control_pct=20)
    for i in range(200):
        first = one.sample(user_id=f"u{i}", session_id="s1", execution_id="e1")
        second = other.sample(user_id=f"u{i}", session_id="s2", execution_id="e2")
        assert first.policy == second.policy


def test_raising_the_roll_out_takes_no_user_out():
    policies = [learnt(rollout_pct=pct).server.split for pct in (5, 20, 60)]
    taking_part = [
        {i for i in range(2_000) if policy.of(f"user:u{i}").policy == "learned"}
        for policy in policies
    ]
    assert taking_part[0] < taking_part[1] < taking_part[2]


def test_two_retrievers_do_not_choose_the_same_users():
    one, other = learnt(control_pct=50), learnt(control_pct=50, namespace="other")
    same = sum(
        one.server.split.of(f"user:u{i}") == other.server.split.of(f"user:u{i}")
        for i in range(2_000)
    )
    assert same / 2_000 == pytest.approx(0.5, abs=0.05)


def test_the_policy_is_chosen_by_the_user_else_the_session_else_the_execution():
    bandit = learnt(rollout_pct=50)

    def policies(**fixed):
        return {
            bandit.sample(**{"session_id": f"s{i}", "execution_id": f"e{i}", **fixed}).policy
            for i in range(50)
        }

    assert len(policies(user_id="u")) == 1
    assert len(policies()) == 2
    assert len(policies(session_id="s")) == 1
    assert len(policies(session_id=None)) == 2
    assert len(policies(session_id=None, execution_id="e")) == 1
    assert len(policies(session_id=None, execution_id=None)) == 2


def test_control_is_served_equal_weights():
    served = learnt(control_pct=100).sample(user_id="u")
    assert served == EQUAL
    assert (served.policy, served.propensity, served.snapshot_id) == ("control", 1.0, None)


def test_exploration_is_uniform_over_all_weights():
    """Each weight of a Dirichlet with all parameters 1 is Beta(1, arms - 1)."""
    from scipy.stats import kstest

    bandit = learnt(explore_pct=100)
    drawn = [bandit.sample(user_id=f"u{i}") for i in range(3_000)]
    assert {served.policy for served in drawn} == {"explore"}
    values = np.array([list(served.values()) for served in drawn])
    np.testing.assert_allclose(values.sum(axis=1), 1.0)
    for arm in range(3):
        assert kstest(values[:, arm], "beta", args=(1, 2)).pvalue > 0.001
    assert bandit.sample(user_id="u1") == drawn[1]


@pytest.mark.parametrize("production", [None, {"text": 2, "image": 1, "audio": 1}])
def test_outside_the_roll_out_production_goes_on(production):
    served = learnt(rollout_pct=0, production_weights=production).sample(user_id="u")
    assert served == (EQUAL if production is None else {"text": 0.5, "image": 0.25, "audio": 0.25})
    assert (served.policy, served.propensity) == ("production", 1.0)


def test_shadow_mode_serves_production_and_reports_what_would_have_been():
    shadow = learnt(shadow_mode=True, explore_pct=50, control_pct=50)
    served = shadow.sample(session_id="s")
    assert served == EQUAL
    assert (served.policy, served.propensity) == ("shadow", 1.0)
    assert served.shadow == learnt().sample(session_id="s")
    assert served.snapshot_id == shadow.snapshot().snapshot_id
    assert served.to_metadata()["fusion"]["shadow"] == served.shadow
    assert shadow.mean() == learnt().mean()


def test_shadow_mode_starts_before_anything_is_learnt():
    bandit = FusionBandit(ARMS, shadow_mode=True)
    served = bandit.sample(session_id="s")
    assert (served, served.policy) == (EQUAL, "shadow")
    assert served.shadow == FusionBandit(ARMS).sample(session_id="s")
    bandit.update([row("click", "text", ["click"])])
    served = bandit.sample()
    assert (served, served.shadow, served.snapshot_id) == (EQUAL, None, None)
    with pytest.raises(NoExposuresError):
        bandit.mean()


def test_credit_goes_by_the_weights_that_were_served():
    """In shadow mode that is production, though the posterior would have served others."""
    bandit = learnt(shadow_mode=True, production_weights={"text": 0, "image": 1, "audio": 1})
    served = bandit.sample(session_id="s")
    assert served.shadow["text"] > 0.4
    before = bandit.evidence.sums()
    scores = {"features": {arm: {"score": 0.5} for arm in ARMS}}
    logged = json.loads(json.dumps({**served.to_metadata(), **scores}))
    bandit.update([row("new", "text", ["impression", "purchase"], metadata=logged)])
    after = bandit.evidence.sums()
    assert (after.S - before.S)[0].tolist() == pytest.approx([0.0, 0.5, 0.5])


def test_what_was_served_is_ready_for_the_log():
    bandit = learnt(rollout_pct=50, random_state=3)
    served = next(
        each for i in range(50) if (each := bandit.sample(user_id=f"u{i}")).policy == "learned"
    )
    facts = json.loads(json.dumps(served.to_metadata()))["fusion"]
    assert facts == {
        "weights": served.weights,
        "policy": "learned",
        "propensity": 0.5,
        "snapshot_id": bandit.snapshot().snapshot_id,
        "salt": "default/default/3",
        "noise_of": "user",
    }


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"rollout_pct": 101}, "rollout_pct: expected per cent"),
        ({"control_pct": -1}, "control_pct: expected per cent"),
        ({"explore_pct": float("nan")}, "explore_pct: expected per cent"),
        ({"explore_pct": True}, "explore_pct: expected per cent"),
        ({"control_pct": 60, "explore_pct": 50}, "at most 100 together"),
        ({"shadow_mode": "yes"}, "shadow_mode: expected"),
    ],
)
def test_percentages_that_make_no_sense_are_refused(options, match):
    with pytest.raises(InvalidInputError, match=match):
        FusionBandit(ARMS, **options)


def test_an_explanation_says_what_is_served_instead(caplog):
    with caplog.at_level(logging.WARNING):
        assert "served instead: the weights of policy 'control'" in str(
            learnt(control_pct=100).explain(user_id="u")
        )
    assert caplog.text == ""
