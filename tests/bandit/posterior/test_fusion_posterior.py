"""From sums to weights: the checks that hold for both posteriors."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloom.bandit.base.sums import ArmSums, Sums
from rankloom.bandit.posterior.estimation import estimate
from rankloom.bandit.posterior.fusion_posterior import FusionPosterior, session_theta
from rankloom.bandit.posterior.noise import FixedNoise
from rankloom.errors import InvalidInputError

KINDS = ["beta", "linear"]
CHANNELS = [1, 2, 5, 25, 200]
GOLD, NEW = ("segment", "gold"), ("segment", "unknown")


def evidence(arms, contexts, seed=0, units=600.0):
    """Sums in which the first arm is the best one."""
    generator = np.random.default_rng(seed)
    count = len(contexts)
    shown = generator.uniform(0.5, 1.5, (count, arms)) * units / arms
    clicks = shown * np.linspace(0.3, 0.1, arms) * generator.uniform(0.9, 1.1, (count, arms))
    z = np.concatenate([generator.random((count, 50, arms)), np.ones((count, 50, 1))], axis=2)
    slopes = np.append(np.linspace(0.5, 0.02, arms) / arms, 0.05)
    A = units / 50 * np.swapaxes(z, 1, 2) @ z
    names = tuple(f"mixpeek://arm:{number}" for number in range(arms))
    return Sums(names, tuple(contexts), 0, shown, clicks, 0.05 * shown, 1.0 * shown, A, A @ slopes)


def learnt(kind, arms=5, **options):
    top = evidence(arms, [()])
    segments = evidence(arms, [GOLD, ("segment", "empty")], seed=1, units=200.0)
    for part in (segments.N, segments.S, segments.F, segments.Q, segments.A, segments.b):
        part[1] = 0.0
    return estimate(top, segments, posterior=kind, **options)


def own(arms=5, **changed):
    parts = {"N": np.zeros(arms), "S": np.zeros(arms), "F": np.zeros(arms)}
    for name, (arm, value) in changed.items():
        parts[name][arm] = value
    return ArmSums(**parts)


def noises(posterior, count=50):
    source = FixedNoise(posterior.arms, "salt")
    return [source.of(f"user:{number}") for number in range(count)]


@pytest.fixture(params=KINDS)
def posterior(request):
    return learnt(request.param)


@pytest.mark.parametrize("arms", CHANNELS)
@pytest.mark.parametrize("kind", KINDS)
def test_weights_sum_to_one_within_floors_and_caps(kind, arms):
    posterior = learnt(kind, arms)
    found = [posterior.draw(noise) for noise in noises(posterior)]
    clicked = own(arms, N=(0, 5.0), S=(0, 3.0))
    found += [posterior.mean(), posterior.mean(GOLD, clicked, clicked)]
    for weights in found:
        assert weights.shape == (arms,)
        assert weights.sum() == pytest.approx(1.0, abs=1e-12)
        assert posterior.bounds.floor <= weights.min() <= weights.max() <= posterior.bounds.cap


@pytest.mark.parametrize("arms", CHANNELS)
@pytest.mark.parametrize("kind", KINDS)
def test_without_any_evidence_all_weights_are_equal(kind, arms):
    cold = evidence(arms, [()])
    cold = replace(cold, **{part: 0.0 * getattr(cold, part) for part in "NSFQ"}, A=None, b=None)
    prior = estimate(cold, posterior=kind)
    assert (prior.kind, prior.has_evidence) == (kind, False)
    assert prior.mean() == pytest.approx(np.full(arms, 1 / arms))
    assert prior.draw(noises(prior, 1)[0]).sum() == pytest.approx(1.0)
    assert learnt(kind, arms).has_evidence


def test_the_better_arm_gets_more(posterior):
    assert np.argmax(posterior.mean()) == 0
    assert np.diff(posterior.mean()).max() < 0.05


def test_the_same_noise_gives_the_same_weights_and_other_noise_others(posterior):
    first, second = noises(posterior, 2)
    assert np.array_equal(posterior.draw(first), posterior.draw(first))
    assert not np.array_equal(posterior.draw(first), posterior.draw(second))


@pytest.mark.parametrize("segment", [NEW, ("segment", "empty")])
def test_a_segment_without_evidence_draws_the_global_draw_bit_for_bit(posterior, segment):
    for noise in noises(posterior):
        assert np.array_equal(posterior.draw(noise, segment), posterior.draw(noise))
    assert not np.array_equal(posterior.draw(noise, GOLD), posterior.draw(noise))


def test_a_user_without_evidence_draws_the_segments_draw_bit_for_bit(posterior):
    for noise in noises(posterior):
        assert np.array_equal(posterior.draw(noise, GOLD, own()), posterior.draw(noise, GOLD))


def test_a_session_without_evidence_changes_no_bit(posterior):
    user = own(N=(1, 3.0), S=(1, 1.0))
    for noise in noises(posterior):
        for person in (None, user):
            assert np.array_equal(
                posterior.draw(noise, GOLD, person, own()), posterior.draw(noise, GOLD, person)
            )
    assert np.array_equal(posterior.mean(GOLD, user, own()), posterior.mean(GOLD, user))


@pytest.mark.parametrize("level", ["user", "session"])
def test_a_click_raises_its_arms_weight_whatever_the_noise(posterior, level):
    shown = own(N=(3, 1.0))
    clicked = own(N=(3, 1.0), S=(3, 1.0))
    raised = 0
    for noise in noises(posterior):
        before = posterior.draw(noise, **{level: shown})
        after = posterior.draw(noise, **{level: clicked})
        assert after[3] >= before[3]
        assert np.delete(after - before, 3).max() <= 1e-15
        raised += after[3] > before[3]
    assert raised > 0


@pytest.mark.parametrize("level", ["user", "session"])
def test_a_negative_reward_lowers_its_arms_weight(posterior, level):
    disliked = own(N=(0, 1.0), F=(0, 1.0))
    assert posterior.mean(**{level: disliked})[0] < posterior.mean()[0]


def test_a_user_with_much_evidence_gets_his_own_weights(posterior):
    shown = ArmSums(np.full(5, 5e5), np.array([0.1, 0.1, 0.1, 0.1, 0.4]) * 5e5, np.zeros(5))
    assert np.argmax(posterior.mean(user=shown)) == 4


def test_a_grain_of_evidence_moves_weights_by_a_grain(posterior):
    for noise in noises(posterior, 10):
        grain = posterior.draw(noise, GOLD, own(N=(1, 1e-9), S=(1, 5e-10)))
        assert grain == pytest.approx(posterior.draw(noise, GOLD), rel=1e-5)


def test_draws_lie_around_the_mean(posterior):
    drawn = np.mean([posterior.draw(noise) for noise in noises(posterior, 400)], axis=0)
    assert drawn == pytest.approx(posterior.mean(), abs=0.05)


def test_json_carries_every_bit(posterior):
    again = FusionPosterior.from_dict(json.loads(json.dumps(posterior.to_dict())))
    assert again.kind == posterior.kind
    clicked = own(N=(3, 1.0), S=(3, 1.0))
    for noise in noises(posterior, 10):
        assert np.array_equal(
            again.draw(noise, GOLD, clicked, clicked), posterior.draw(noise, GOLD, clicked, clicked)
        )


def test_auto_is_linear_where_scores_were_logged_and_beta_elsewhere():
    top = evidence(3, [()])
    assert estimate(top).kind == "linear"
    assert estimate(top, posterior="beta").kind == "beta"
    assert estimate(replace(top, A=None, b=None)).kind == "beta"
    assert estimate(replace(top, A=0 * top.A, b=0 * top.b)).kind == "beta"
    shown_by_none = replace(top, **{part: 0.0 * getattr(top, part) for part in "NSFQ"})
    assert estimate(shown_by_none).has_evidence
    assert not estimate(shown_by_none, posterior="beta").has_evidence


def test_linear_without_scores_is_refused():
    top = replace(evidence(3, [()]), A=None, b=None)
    with pytest.raises(
        InvalidInputError, match=r"no scores as fused were logged.*posterior='beta'"
    ):
        estimate(top, posterior="linear")


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
@pytest.mark.parametrize("part", ["N", "S", "F", "Q"])
def test_damaged_sums_are_refused(part, value):
    top = evidence(3, [()])
    getattr(top, part)[0, 1] = value
    with pytest.raises(InvalidInputError, match=rf"top\.{part}: got a negative or non-finite"):
        estimate(top)


@pytest.mark.parametrize("part", ["A", "b"])
def test_damaged_linear_sums_are_refused(part):
    top = evidence(3, [()])
    getattr(top, part)[0, 1] = np.nan
    with pytest.raises(InvalidInputError, match=rf"top\.{part}: .* finite"):
        estimate(top)
    with pytest.raises(InvalidInputError, match=rf"top\.{part}: got shape"):
        estimate(replace(top, **{part: getattr(top, part)[:, :2]}))


@pytest.mark.parametrize("part", ["N", "S", "F", "Q"])
def test_sums_of_other_arms_are_refused(part):
    top = evidence(3, [()])
    with pytest.raises(InvalidInputError, match=rf"top\.{part}: got shape \(1, 2\)"):
        estimate(replace(top, **{part: getattr(top, part)[:, :2]}))


def test_segments_without_names_are_refused():
    top = evidence(3, [()])
    with pytest.raises(InvalidInputError, match=r"segments\.contexts: got None"):
        estimate(top, replace(evidence(3, [GOLD]), contexts=None))


def test_infeasible_bounds_are_refused():
    with pytest.raises(InvalidInputError, match="floor: got 0.3"):
        estimate(evidence(5, [()]), floor=0.3)


def test_the_more_users_differ_the_weaker_is_their_prior():
    top, generator = evidence(3, [()], units=30_000.0), np.random.default_rng(0)
    shown = np.full((300, 3), 30.0)

    def with_rates(rate):
        clicks = generator.poisson(rate * shown) * 1.0
        return Sums(top.arms, None, 0, shown, clicks, 0 * shown, shown)

    alike = estimate(top, users=with_rates(top.S / top.N))
    apart = estimate(top, users=with_rates(generator.beta(1, 4, (300, 3))))
    assert apart.prior_strength < 10
    assert alike.prior_strength > 50


NONE = np.zeros(2)


def test_the_rule_of_a_session_by_hand():
    moved = session_theta(
        np.array([0.2, 0.1]), np.array([1.5, 0.5]), np.array([1.0, 0.0]), NONE, kappa=10.0
    )
    assert moved == pytest.approx([(10 * 0.2 + 1) / 11.5, (10 * 0.1) / 10.5])


def test_a_negative_reward_of_a_session_counts_as_a_trial():
    moved = session_theta(np.array([0.2, 0.1]), NONE, NONE, np.array([2.0, 0.0]), kappa=10.0)
    assert moved == pytest.approx([2 / 12, 0.1])


@given(theta=st.floats(1e-9, 1.0), kappa=st.floats(0.1, 1e6))
def test_an_arm_without_evidence_of_a_session_keeps_its_theta_bit_for_bit(theta, kappa):
    given_theta = np.array([theta, 0.3])
    moved = session_theta(given_theta, np.array([0.0, 1.0]), NONE, NONE, kappa)
    assert moved[0] == given_theta[0]
    assert moved[1] < given_theta[1]


@given(theta=st.floats(0.001, 0.999), shown=st.floats(0.0, 50.0), clicks=st.floats(0.0, 20.0))
def test_a_further_click_of_a_session_raises_its_arm_and_no_other(theta, shown, clicks):
    both = np.array([theta, theta]), np.full(2, shown)
    before = session_theta(*both, np.array([clicks, 0.0]), NONE)
    after = session_theta(*both, np.array([clicks + 1, 0.0]), NONE)
    assert after[0] > before[0]
    assert after[1] == before[1]


def test_reading_sums_loads_no_scipy_nor_anything_else_heavy():
    heavy = ["scipy", "numba", "polars", "pandas", "pyarrow", "lightgbm", "sklearn", "redis"]
    code = (
        "import sys, numpy as np\n"
        "from rankloom.bandit.posterior.estimation import estimate\n"
        "from rankloom.bandit.posterior.noise import FixedNoise\n"
        "from rankloom.bandit.base.sums import Sums\n"
        "n = np.ones((1, 2)); s = Sums(('a', 'b'), ((),), 0, n, n / 2, n, n, np.eye(3)[None],"
        " np.ones((1, 3)))\n"
        "estimate(s).draw(FixedNoise(s.arms).of('u'))\n"
        f"print(sorted(set({heavy}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
