"""Fixed noise: a function of (salt, key, arm), and as random as noise should be."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from scipy import stats

from rankloom.bandit.posterior.noise import STEPS, FixedNoise

ARMS = ["text", "image", "mixpeek://video@v1/scene"]


def test_the_numbers_are_those_of_the_documented_digest():
    noise = FixedNoise(["ä"], salt="salt").of("user:1")
    digest = hashlib.blake2b(b"4:salt6:user:1" + "ä".encode()).digest()
    words = [int.from_bytes(digest[at : at + 4], "little") for at in range(0, 64, 4)]
    uniform = (np.array(words) + 0.5) / 2**32
    radius = np.sqrt(-2 * np.log(uniform[0]))
    assert noise.normal[0, 0] == pytest.approx(radius * np.cos(2 * np.pi * uniform[1]))
    assert noise.normal[1, 0] == pytest.approx(radius * np.sin(2 * np.pi * uniform[1]))
    assert noise.exponential.ravel() == pytest.approx(-np.log(uniform[2:]))


def test_the_same_key_gives_the_same_numbers_in_another_object():
    one, other = FixedNoise(ARMS, "s").of("session:1"), FixedNoise(ARMS, "s").of("session:1")
    assert np.array_equal(one.normal, other.normal)
    assert np.array_equal(one.exponential, other.exponential)


@pytest.mark.parametrize(("salt", "key"), [("s", "session:2"), ("t", "session:1"), ("", "x")])
def test_another_key_or_salt_throws_all_dice_anew(salt, key):
    one, other = FixedNoise(ARMS, "s").of("session:1"), FixedNoise(ARMS, salt).of(key)
    assert not np.isclose(one.normal, other.normal).any()
    assert not np.isclose(one.exponential, other.exponential).any()


def test_salt_and_key_do_not_run_into_each_other():
    one, other = FixedNoise(["text"], "a").of("bc"), FixedNoise(["text"], "ab").of("c")
    assert not np.isclose(one.normal, other.normal).any()


def test_other_arms_and_their_order_change_nothing():
    noise = FixedNoise(ARMS, "s").of("u")
    turned = FixedNoise([*ARMS[::-1], "new"], "s").of("u")
    assert np.array_equal(turned.normal[:, 2::-1], noise.normal)
    assert np.array_equal(turned.exponential[:, :, 2::-1], noise.exponential)


@pytest.mark.parametrize("over", ["keys", "salts"])
def test_numbers_are_normal_and_exponential_over_keys_and_over_salts(over):
    if over == "keys":
        source = FixedNoise(ARMS, "salt")
        drawn = [source.of(f"user:{n}") for n in range(4000)]
    else:
        drawn = [FixedNoise(ARMS, str(n)).of("user") for n in range(4000)]
    normal = np.array([noise.normal for noise in drawn])
    exponential = np.array([noise.exponential for noise in drawn])
    assert normal.shape == (4000, 2, 3)
    assert exponential.shape == (4000, STEPS, 2, 3)
    assert stats.kstest(normal.ravel(), "norm").pvalue > 1e-3
    assert stats.kstest(exponential.ravel(), "expon").pvalue > 1e-3
    together = np.concatenate([normal.reshape(4000, -1), exponential.reshape(4000, -1)], axis=1)
    correlation = np.corrcoef(together, rowvar=False) - np.eye(together.shape[1])
    assert np.abs(correlation).max() < 5 / np.sqrt(4000)
