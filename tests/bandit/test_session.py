"""What a session adds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloom.bandit.session import session_theta

NONE = np.zeros(2)


def test_the_rule_by_hand():
    moved = session_theta(
        np.array([0.2, 0.1]), np.array([1.5, 0.5]), np.array([1.0, 0.0]), NONE, kappa=10.0
    )
    assert moved == pytest.approx([(10 * 0.2 + 1) / 11.5, (10 * 0.1) / 10.5])


def test_a_negative_reward_counts_as_a_trial():
    moved = session_theta(np.array([0.2, 0.1]), NONE, NONE, np.array([2.0, 0.0]), kappa=10.0)
    assert moved == pytest.approx([2 / 12, 0.1])


@given(theta=st.floats(1e-9, 1.0), kappa=st.floats(0.1, 1e6))
def test_no_evidence_gives_theta_bit_for_bit(theta, kappa):
    given_theta = np.array([theta, 0.3])
    moved = session_theta(given_theta, np.array([0.0, 1.0]), NONE, NONE, kappa)
    assert moved[0] == given_theta[0]
    assert moved[1] < given_theta[1]


@given(theta=st.floats(0.001, 0.999), shown=st.floats(0.0, 50.0), clicks=st.floats(0.0, 20.0))
def test_a_further_click_raises_its_arm_and_no_other(theta, shown, clicks):
    before = session_theta(
        np.array([theta, theta]), np.full(2, shown), np.array([clicks, 0.0]), NONE
    )
    after = session_theta(
        np.array([theta, theta]), np.full(2, shown), np.array([clicks + 1, 0.0]), NONE
    )
    assert after[0] > before[0]
    assert after[1] == before[1]
