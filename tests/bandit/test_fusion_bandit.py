"""The entry point of learned fusion: what goes in moves the weights, and nothing else does."""

import copy
import datetime as dt
import logging
import math
import pickle
import random
import subprocess
import sys
import threading

import numpy as np
import pytest

from rankloom.bandit import Evidence, FusionBandit, FusionWeights, open_store
from rankloom.errors import (
    InvalidInputError,
    NoExposuresError,
    NotPicklableError,
    StateMismatchError,
)

ARMS = ["text", "image", "audio"]
NOW = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def row(n, arm="text", types=("impression",), at=NOW, **fields):
    return {
        "execution_id": f"e{n}",
        "feature_id": f"d{n}",
        "interaction_type": list(types),
        "position": 0,
        "feature_uri": arm,
        "timestamp": at.isoformat(),
        **fields,
    }


def log(rates, shown=200, **fields):
    """Every arm is shown as often, and clicked at its own rate exactly."""
    rows = []
    for arm, rate in rates.items():
        for i in range(shown):
            clicked = math.floor((i + 1) * rate) > math.floor(i * rate)
            types = ["impression", "click"] if clicked else ["impression"]
            rows.append(row(f"{arm}{i}{sorted(fields.items())}", arm, types, **fields))
    return rows


def learnt(rates=None, **options):
    rates = {"text": 0.5, "image": 0.25, "audio": 0.1} if rates is None else rates
    bandit = FusionBandit(list(rates), **options)
    bandit.update(log(rates))
    return bandit


def test_more_clicks_more_weight_and_the_sum_is_one():
    weights = learnt().mean()
    assert list(weights) == ARMS
    assert weights["text"] > weights["image"] >= weights["audio"]
    assert math.fsum(weights.values()) == pytest.approx(1.0, abs=1e-12)


def test_the_channel_shown_higher_gets_no_credit_for_its_place():
    """Equal clicks at a third of the examination are three times the success rate."""
    rows = log({"text": 0.1, "image": 0.1})
    for each in rows:
        each["position"] = 2 if each["feature_uri"] == "image" else 0
    bandit = FusionBandit(["text", "image"])
    bandit.update(rows)
    found = {arm.feature_uri: arm for arm in bandit.explain().arms}
    assert found["image"].exposures == pytest.approx(200 / 3)
    assert found["image"].success_rate > 2 * found["text"].success_rate


@pytest.mark.parametrize("posterior", ["auto", "beta", "linear"])
def test_without_any_evidence_weights_are_sampled_from_the_prior(posterior):
    """Equal in the mean, for users and sessions too, and different from one request to another."""
    bandit = FusionBandit(ARMS, posterior=posterior, segment_by=["country"], shadow_mode=False)
    weights = bandit.snapshot()
    equal = pytest.approx(dict.fromkeys(ARMS, 1 / 3))
    for given in (bandit, weights):
        assert given.mean(segment="de") == equal
        served = [given.sample(session_id=f"s{n}") for n in range(2_000)]
        assert {each.policy for each in served} == {"prior"}
        assert {each.snapshot_id for each in served} == {weights.snapshot_id}
        assert served[0] != served[1]
        means = np.mean([list(each.values()) for each in served], axis=0)
        assert means == pytest.approx(1 / 3, abs=0.03)
    assert bandit.mean(user_id="u", session_id="s") == equal
    explanation = bandit.explain()
    assert (explanation.level, explanation.policy) == ("global", "prior")
    assert [arm.exposures for arm in explanation.arms] == [0.0, 0.0, 0.0]
    assert "sampled from the prior" in str(explanation)
    assert weights.evidence_until is None
    assert "no evidence" in repr(weights)


@pytest.mark.parametrize("ways", [["observe"], ["update"], ["update", "observe"]])
def test_the_first_exposure_ends_the_prior(ways):
    bandit = FusionBandit(ARMS)
    assert bandit.sample().policy == "prior"
    for number, way in enumerate(ways):
        first = row(number)
        getattr(bandit, way)([first] if way == "update" else first)
        assert bandit.sample().policy == "learned"
    assert bandit.explain().policy == "learned"
    assert bandit.snapshot().evidence_until == NOW


def test_rows_that_claim_no_exposure_and_no_reward_leave_the_prior():
    """An impression of another channel, or of none, does not keep a bandit from starting."""
    bandit = FusionBandit(ARMS)
    bandit.update([row(0, "video"), row(1, None), row(2, types=["query_refinement"])])
    assert bandit.evidence.summary.open_units == 2
    assert bandit.sample().policy == "prior"
    bandit.update([row(1, None, ["click"])])
    with pytest.raises(NoExposuresError, match="none was shown by a channel"):
        bandit.sample()


@pytest.mark.parametrize("ask", ["sample", "mean", "snapshot", "explain"])
def test_a_click_only_log_is_an_error_that_says_so(ask):
    bandit = FusionBandit(ARMS)
    report = bandit.update([row(i, types=["click"]) for i in range(50)])
    assert report.units_without_exposure == 50
    with pytest.raises(NoExposuresError, match="of 50 no 'impression'"):
        getattr(bandit, ask)()


def test_clicks_before_their_impressions_count_once_these_arrive():
    bandit = FusionBandit(ARMS)
    clicks = [row(i, types=["click"]) for i in range(20)]
    impressions = [row(i) for i in range(40)] + [row(100 + i, "image") for i in range(40)]
    bandit.update(clicks)
    bandit.update(impressions)
    whole = FusionBandit(ARMS)
    whole.update([*impressions, *clicks])
    assert bandit.mean() == whole.mean()
    assert bandit.mean()["text"] > bandit.mean()["image"]


def test_rows_of_another_retriever_are_counted_logged_and_no_evidence(caplog):
    bandit = FusionBandit(ARMS)
    with caplog.at_level(logging.WARNING, "rankloom"):
        report = bandit.update([row(i, retriever_id="other") for i in range(7)])
    assert report.other_retriever == 7
    assert "of 7 rows: 7 other_retriever" in caplog.text
    assert bandit.sample().policy == "prior"
    bandit.update([row("click", types=["click"])])
    with pytest.raises(NoExposuresError, match="7 other_retriever"):
        bandit.mean()
    every = FusionBandit(ARMS, retriever_id=None)
    every.update([row(i, retriever_id="other") for i in range(7)])
    assert math.fsum(every.mean().values()) == pytest.approx(1.0)


def test_unknown_channels_and_scores_that_are_no_numbers_are_counted_and_move_nothing(caplog):
    bandit, clean = learnt(), learnt()
    bad = [row(f"x{i}", "video", ["impression", "click"]) for i in range(30)]
    scores = {"text": {"score": math.nan}, "image": {"score": math.inf}, "video": {"score": 1.0}}
    with caplog.at_level(logging.WARNING, "rankloom"):
        report = bandit.update([{**each, "metadata": {"features": scores}} for each in bad])
    assert (report.unknown_feature_uri, report.bad_scores, report.unknown_scores) == (30, 60, 30)
    assert "30 unknown_feature_uri" in caplog.text
    assert bandit.mean() == clean.mean()
    assert bandit.snapshot().posterior.kind == "beta"


@pytest.mark.parametrize("arms", [1, 2, 5, 25, 200])
@pytest.mark.parametrize("scored", [False, True])
def test_any_number_of_channels_gives_weights_within_their_bounds(arms, scored):
    names = [f"mixpeek://{i}" for i in range(arms)]
    rows = []
    for i in range(3 * arms):
        types = ["impression", "click"] if i % 3 == 0 else ["impression"]
        rows.append(row(i, names[i % arms], types))
        if scored:
            features = {name: {"score": (i * 7 + j) % 11 / 10} for j, name in enumerate(names)}
            rows[-1]["metadata"] = {"features": features}
    bandit = FusionBandit(names)
    bandit.update(rows)
    floor, cap = min(0.05, 0.25 / arms), max(0.95, 1 - (arms - 1) * min(0.05, 0.25 / arms))
    found = [bandit.mean(), *(bandit.sample(session_id=f"s{i}") for i in range(5))]
    for weights in found:
        assert list(weights) == names
        assert math.fsum(weights.values()) == pytest.approx(1.0, abs=1e-9)
        assert min(weights.values()) >= floor - 1e-12
        assert max(weights.values()) <= cap + 1e-12
    again = type(bandit.snapshot()).from_json(bandit.snapshot().to_json())
    assert again.mean() == bandit.mean()


def test_auto_turns_linear_with_the_first_scores_as_fused():
    bandit = learnt()
    assert bandit.snapshot().posterior.kind == "beta"
    scores = {arm: {"score": 0.5} for arm in ARMS}
    bandit.update([row("scored", metadata={"features": scores})])
    assert bandit.snapshot().posterior.kind == "linear"
    only_beta = learnt(posterior="beta")
    only_beta.update([row("scored", metadata={"features": scores})])
    assert only_beta.snapshot().posterior.kind == "beta"


def test_scores_alone_are_exposures_for_the_linear_posterior():
    """Documents that name no channel say what channels' scores are worth."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(400):
        x = rng.random(3)
        types = ["impression", "purchase"] if rng.random() < 0.6 * x[0] else ["impression"]
        features = {arm: {"score": float(s)} for arm, s in zip(ARMS, x, strict=True)}
        rows.append(row(i, None, types, metadata={"features": features}))
    bandit = FusionBandit(ARMS)
    bandit.update(rows)
    assert max(bandit.mean(), key=bandit.mean().get) == "text"
    beta = FusionBandit(ARMS, posterior="beta")
    beta.update(rows)
    with pytest.raises(NoExposuresError):
        beta.mean()


def test_linear_without_scores_is_an_error():
    with pytest.raises(InvalidInputError, match="no scores as fused were logged"):
        learnt(posterior="linear").mean()


@pytest.mark.parametrize("seed", range(3))
def test_any_mix_of_update_and_observe_in_any_order_gives_the_same_mean(seed):
    fields = {"user_id": "u", "metadata": {"country": "de"}}
    rows = log({"text": 0.5, "image": 0.25}, shown=60, **fields) + log({"image": 0.5}, shown=30)
    options = {"segment_by": ["country"]}
    whole = FusionBandit(["text", "image"], **options)
    whole.update(rows)
    mixed = FusionBandit(["text", "image"], **options)
    shuffled = random.Random(seed).sample(rows * 2, len(rows) * 2)
    for start in range(0, len(shuffled), 20):
        part = shuffled[start : start + 20]
        if start % 40:
            mixed.update(part)
        else:
            for each in part:
                mixed.observe(each)
    for ask in ({}, {"segment": "de"}, {"segment": "de", "user_id": "u"}):
        expected = whole.mean(**ask)
        assert mixed.mean(**ask) == pytest.approx(expected, rel=1e-9)


def test_shards_merge_to_the_whole_and_merging_again_changes_nothing():
    rows = log({"text": 0.5, "image": 0.25, "audio": 0.1})
    whole = FusionBandit(ARMS)
    whole.update(rows)
    merged = FusionBandit(ARMS)
    for k in range(8):
        shard = FusionBandit(ARMS)
        shard.update(rows[k::8])
        if k % 2:
            shard.compact(NOW + DAY)
        merged.merge(shard)
        merged.merge(shard.evidence)
    assert merged.mean() == pytest.approx(whole.mean(), rel=1e-9)


def test_a_state_of_another_half_life_is_refused():
    ours, theirs = learnt(), learnt(half_life=30.0)
    before = ours.mean()
    with pytest.raises(StateMismatchError, match="half_life"):
        ours.merge(theirs)
    assert ours.mean() == before


def test_compaction_moves_no_weight():
    bandit = learnt()
    before = bandit.mean()
    assert bandit.compact(NOW + DAY) == 600
    assert bandit.mean() == pytest.approx(before, rel=1e-12)
    assert bandit.update([row("late")]).before_compaction == 1


def test_draws_are_the_posteriors_own():
    """Success rates of one arm drawn for many sessions have the Beta's distribution."""
    from scipy.stats import beta, kstest

    bandit = learnt({"text": 0.5, "image": 0.4}, floor=0.0, cap=1.0)
    posterior = bandit.snapshot().posterior
    level = posterior.level()
    a, b = level.beta.mean * level.beta.strength, (1 - level.beta.mean) * level.beta.strength
    rng = np.random.default_rng(5)
    thetas = rng.beta(a, b, size=(200_000, 2))
    share = thetas[:, 0] ** posterior.gamma
    share /= share + thetas[:, 1] ** posterior.gamma
    drawn = [bandit.sample(session_id=f"s{i}")["text"] for i in range(4_000)]
    assert kstest(drawn, share[:100_000]).pvalue > 0.001
    assert beta(a[0], b[0]).mean() == pytest.approx(level.beta.mean[0])


def test_the_same_noise_for_the_same_session_in_every_process_and_other_noise_for_others():
    one, other = learnt(random_state=7), learnt(random_state=7)
    assert one.sample(session_id="s") == other.sample(session_id="s")
    assert one.sample(session_id="s", user_id="u") == one.sample(session_id="s")
    assert one.sample(session_id="s") != one.sample(session_id="t")
    assert one.sample(session_id="s") != one.sample(user_id="s")
    assert one.sample(session_id="s") != learnt(random_state=8).sample(session_id="s")
    assert one.sample(session_id="s") != learnt(salt="new").sample(session_id="s")


def test_requests_without_an_id_get_noise_each_and_a_seed_repeats_it():
    one, other = learnt(random_state=7), learnt(random_state=7)
    drawn = [one.sample() for _ in range(20)]
    assert len({served["text"] for served in drawn}) > 1
    assert [other.sample() for _ in range(20)] == drawn
    assert len({served.randomised_by for served in drawn}) == 20


def test_users_move_away_from_all_as_far_as_their_own_evidence_says():
    bandit = FusionBandit(["text", "image"])
    bandit.update(log({"text": 0.4, "image": 0.35}, user_id="crowd"))
    bandit.update(log({"text": 0.05, "image": 0.6}, shown=60, user_id="odd"))
    assert bandit.mean(user_id="odd")["image"] > bandit.mean()["image"]
    assert bandit.mean(user_id="unheard of") == bandit.mean()
    assert bandit.sample(user_id=7) == bandit.sample(user_id="7")


def test_segments_move_away_from_all_and_unknown_ones_do_not():
    bandit = FusionBandit(["text", "image"], segment_by=["country", "device"])
    phone = {"country": "de", "device": "phone"}
    bandit.update(log({"text": 0.5, "image": 0.2}, metadata={"country": "fr", "device": "desk"}))
    bandit.update(log({"text": 0.2, "image": 0.5}, metadata=phone))
    weights = bandit.mean(segment=("de", "phone"))
    assert weights["image"] > bandit.mean()["image"] > bandit.mean(segment=("fr", "desk"))["image"]
    assert bandit.mean(segment=phone) == weights
    assert bandit.mean(segment=("xx", "phone")) == bandit.mean()


@pytest.mark.parametrize(
    ("segment_by", "segment", "match"),
    [
        ([], "de", "segment_by is empty"),
        (["country"], ("de", "phone"), "one value for each"),
        (["country"], {"device": "phone"}, "one value for each"),
        (["country"], 7, "one value for each"),
    ],
)
def test_a_segment_of_another_shape_is_refused(segment_by, segment, match):
    with pytest.raises(InvalidInputError, match=match):
        learnt(segment_by=segment_by).sample(segment=segment)


def test_a_user_who_resets_opts_out_or_is_deleted_gets_what_everybody_gets():
    rows = log({"text": 0.5, "image": 0.3}, 600) + log({"text": 0.0, "image": 0.9}, user_id="u")
    for reset in ("reset_user", "opt_out", "delete_user"):
        bandit = FusionBandit(["text", "image"])
        bandit.update(rows)
        everybody = bandit.mean()
        assert bandit.mean(user_id="u") != everybody
        getattr(bandit, reset)("u", at=NOW + DAY)
        assert bandit.mean(user_id="u") == bandit.mean()
        assert bandit.sample(user_id="u") == bandit.snapshot().sample(user_id="u")
        assert bandit.mean() == pytest.approx(everybody, rel=1e-2)
        later = log({"text": 0.0, "image": 0.9}, at=NOW + 3 * DAY, user_id="u")
        bandit.update(later)
        level = "global" if reset == "opt_out" else "user"
        assert bandit.explain(user_id="u").level == level
    bandit = FusionBandit(["text", "image"])
    bandit.update(rows)
    bandit.opt_out("u", at=NOW + DAY)
    bandit.opt_in("u", at=NOW + 2 * DAY)
    bandit.update(later)
    assert bandit.explain(user_id="u").level == "user"


def test_arms_come_and_go():
    bandit = learnt(production_weights={"text": 1, "image": 1, "audio": 2}, shadow_mode=True)
    bandit.add_arm("video")
    assert list(bandit.mean()) == [*ARMS, "video"]
    assert bandit.sample() == {"text": 0.25, "image": 0.25, "audio": 0.5, "video": 0.0}
    bandit.remove_arm("audio")
    assert list(bandit.mean()) == ["text", "image", "video"]
    assert bandit.sample() == {"text": 0.5, "image": 0.5, "video": 0.0}
    with pytest.raises(InvalidInputError, match="Did you mean 'video'"):
        bandit.remove_arm("vide")
    assert list(bandit.mean()) == ["text", "image", "video"]


def test_explicit_bounds_hold_and_impossible_ones_are_refused_before_anything_changes():
    bandit = learnt(floor=0.2, cap=0.5)
    assert sorted(bandit.mean().values()) == pytest.approx([0.2, 0.3, 0.5], abs=0.1)
    with pytest.raises(InvalidInputError, match="floor"):
        FusionBandit(ARMS, floor=0.4)
    with pytest.raises(InvalidInputError, match="floor"):
        bandit.add_arm("a", "b", "c")
    assert list(bandit.mean()) == ARMS


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"posterior": "gauss"}, "posterior: expected"),
        ({"half_life": 0}, "half_life: expected"),
        ({"random_state": -1}, "random_state: expected"),
        ({"production_weights": {"text": 1}}, "no weight for the channel 'image'"),
        ({"examination": [0.5, 1.0]}, "examination"),
        ({"segment_by": "country"}, "segment_by: expected"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options, match):
    with pytest.raises(InvalidInputError, match=match):
        FusionBandit(ARMS, **options)


def test_an_explanation_says_level_evidence_and_strength():
    bandit = FusionBandit(["text", "image"], segment_by=["country"])
    rows = log({"text": 0.4, "image": 0.2}, metadata={"country": "de"})
    bandit.update(rows + log({"text": 0.1, "image": 0.5}, shown=20, user_id="u"))
    top = bandit.explain()
    assert (top.level, top.context) == ("global", ())
    assert [arm.exposures for arm in top.arms] == pytest.approx([220, 220])
    assert {arm.feature_uri: arm.weight for arm in top.arms} == bandit.mean()
    assert bandit.explain(segment="de").context == ("segment", "de")
    assert bandit.explain(segment="nowhere").level == "global"
    user = bandit.explain(user_id="u", segment="de")
    assert (user.level, user.context) == ("user", ("user", "u"))
    assert [arm.exposures for arm in user.arms] == pytest.approx([20, 20])
    lines = str(user).splitlines()
    assert lines[0].endswith("beta posterior")
    assert lines[1] == "level: user u, with 40.0 exposures of its own"
    heads = "feature_uri  weight  success rate  strength  exposures  successes  negatives"
    assert lines[-3] == heads
    best = max(user.arms, key=lambda arm: arm.weight)
    assert lines[-2].split()[0] == best.feature_uri
    assert {len(line) for line in lines[-3:]} == {len(heads)}


def test_reading_from_one_thread_while_another_learns():
    """Requests go on during updates and always see whole weights."""
    bandit, wrong = learnt(), []
    done = threading.Event()

    def ask():
        n = 0
        while not done.is_set():
            served = bandit.sample(user_id=f"u{n % 5}", session_id=f"s{n % 7}")
            if abs(math.fsum(served.values()) - 1.0) > 1e-9 or served.snapshot_id is None:
                wrong.append(served)
            n += 1

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for each in threads:
        each.start()
    for i in range(12):
        bandit.add_arm("video")
        bandit.remove_arm("video")
        bandit.update([row(f"n{i}-{j}", "image", user_id=f"u{j % 5}") for j in range(20)])
        bandit.observe(row(f"live{i}", "audio", session_id=f"s{i % 7}"))
    done.set()
    for each in threads:
        each.join()
    assert wrong == []
    assert bandit.explain().arms[1].exposures == pytest.approx(440, rel=0.01)


def test_sample_sees_new_evidence_after_one_per_cent_of_it_and_mean_at_once():
    bandit = learnt()
    first = bandit.sample().snapshot_id
    for i in range(6):
        bandit.observe(row(f"new{i}"), now=NOW)
    assert bandit.sample().snapshot_id == first
    bandit.observe(row("new7"), now=NOW)
    second = bandit.sample().snapshot_id
    assert second != first
    bandit.observe(row("new8"), now=NOW)
    assert bandit.mean() != {}
    assert bandit.sample().snapshot_id not in {first, second}


def test_evidence_is_open_to_everything_else():
    bandit = learnt()
    assert isinstance(bandit.evidence, Evidence)
    assert repr(bandit) == "FusionBandit(default/default, 3 channels, 600 units)"


@pytest.mark.parametrize("copied", [pickle.dumps, copy.deepcopy, copy.copy])
def test_what_cannot_be_pickled_says_how_to_save_it(copied, tmp_path):
    bandit = learnt()
    with pytest.raises(NotPicklableError, match=r"evidence\.save.*snapshot\(\)\.save.*open\(url"):
        copied(bandit)
    with open_store(f"sqlite:///{tmp_path}/fusion.db") as store:
        with pytest.raises(TypeError, match="call open_store"):
            copied(store)
        with (
            FusionWeights.watch(store, ARMS, every=600) as watched,
            pytest.raises(NotPicklableError, match=r"FusionWeights\.watch in every process"),
        ):
            copied(watched)


def through_pickle(value):
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - our own bytes


@pytest.mark.parametrize("copied", [copy.deepcopy, through_pickle])
def test_evidence_snapshots_and_answers_are_copied_whole(copied):
    bandit = learnt()
    bandit.update([row("both", "text"), row("both", "image")])
    evidence = copied(bandit.evidence)
    np.testing.assert_array_equal(evidence.sums().N, bandit.evidence.sums().N)
    evidence.update(log({"text": 0.5}))
    assert copied(bandit.snapshot()).mean() == bandit.snapshot().mean()
    assert copied(bandit.sample(user_id="u")) == bandit.sample(user_id="u")
    snapshot = bandit.snapshot()
    snapshot.sample()
    twin = copied(snapshot)
    assert [twin.sample(), twin.sample()] == [snapshot.sample(), snapshot.sample()]


def test_a_pickled_state_means_the_same_in_another_process():
    """There the codes of several channels are others."""
    bandit = learnt()
    bandit.update([row("both", "text"), row("both", "audio")])
    code = (
        "import pickle, sys; from rankloom.bandit.units.channel_sets import code_of\n"
        "code_of([0, 1]); code_of([1, 2])\n"
        "print(pickle.load(sys.stdin.buffer).sums().N.tolist())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=pickle.dumps(bandit.evidence),
        stdout=subprocess.PIPE,
        check=True,
    )
    assert done.stdout.decode().strip() == str(bandit.evidence.sums().N.tolist())


def test_a_session_credits_every_channel_that_found_its_documents(tmp_path):
    """In memory, in a store and for the user, as in the sums of everything."""
    with open_store(f"sqlite:///{tmp_path}/fusion.db", retriever_id="r") as store:
        bandit = FusionBandit(ARMS, retriever_id="r", store=store)
        for arm, types in (
            ("text", ["impression"]),
            ("audio", ["impression"]),
            ("text", ["click"]),
        ):
            shown = row("live", arm, types, session_id="s", user_id="u")
            bandit.observe({**shown, "timestamp": None}, now=NOW)
        expected = [[1.0, 0.0, 1.0], [1 / 3, 0.0, 1 / 3]]
        sums = bandit.evidence.session_sums("s", now=NOW)
        of_user = bandit.evidence.sums([("user", "u")])
        stored = store.personal_sums("u", "s", arms=ARMS, now=NOW).session
        later = store.personal_sums("u", None, arms=ARMS, now=NOW).user
        for N, S in (sums.N, sums.S), (of_user.N[0], of_user.S[0]), stored[:2], later[:2]:
            np.testing.assert_allclose([N, S], expected)
