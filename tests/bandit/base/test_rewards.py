"""Rewards are scaled by the highest, which there must be."""

import pytest

from rankloom.bandit.base.rewards import RewardTable
from rankloom.errors import InvalidInputError


def test_rewards_need_a_success():
    nothing = {name: 0.0 for name, value in RewardTable().rewards.items() if value > 0}
    with pytest.raises(InvalidInputError, match="at least one above 0"):
        RewardTable(nothing)
