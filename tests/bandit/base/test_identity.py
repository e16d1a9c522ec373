"""Identities are compared by what gives sums their meaning, and come back from JSON."""

from rankloom.bandit.base.identity import Identity
from rankloom.bandit.base.rewards import RewardTable
from rankloom.bandit.evidence.evidence import Evidence


def test_another_arm_is_no_difference():
    assert Evidence(["text"]).identity == Evidence(["image", "audio"]).identity
    assert Evidence(["a"]).identity.digest == Evidence(["b"]).identity.digest


def test_an_identity_comes_back_from_its_json():
    rewards = RewardTable({"click": 2.0, "skip": 0.0})
    identity = Identity.of(rewards, half_life=9, examination=[1, 0.25], segment_by=["a"])
    assert Identity.from_json(identity.as_json()) == identity
    assert identity.reward_table().rewards == rewards.rewards
