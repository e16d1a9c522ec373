"""A snapshot says the same as the bandit it was taken from, or it says that it is damaged."""

import datetime as dt
import json
import math
import subprocess
import sys

import pytest

from rankloom.bandit import FusionBandit, FusionWeights
from rankloom.errors import IntegrityError, InvalidInputError, UnreadableSourceError

NOW = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
ARMS = ["text", "image", "audio"]


def learnt(*, scored=True, arms=ARMS, **options):
    bandit = FusionBandit(arms, segment_by=["country"], **options)
    rows = []
    for i in range(240):
        arm = arms[i % len(arms)]
        clicked = i % (4 + i % len(arms)) == 0
        metadata = {"country": ("de", "fr", "übersee")[i % 7 % 3]}
        if scored:
            metadata["features"] = {a: {"score": 0.8 if a == arm else 0.3} for a in arms}
        rows.append(
            {
                "execution_id": f"e{i}",
                "feature_id": f"d{i}",
                "interaction_type": ["impression", "click"] if clicked else ["impression"],
                "position": i % 3,
                "feature_uri": arm,
                "timestamp": (NOW + dt.timedelta(minutes=i)).isoformat(),
                "metadata": metadata,
            }
        )
    bandit.update(rows)
    return bandit


@pytest.fixture(params=[False, True], ids=["beta", "linear"])
def bandit(request):
    return learnt(scored=request.param)


@pytest.mark.parametrize("segment", [None, "de", "übersee", "nowhere"])
def test_a_snapshot_answers_as_its_bandit_does_before_and_after_a_file(bandit, segment, tmp_path):
    bandit.snapshot().save(tmp_path / "w.json")
    for weights in (bandit.snapshot(), FusionWeights.load(tmp_path / "w.json")):
        assert weights.mean(segment=segment) == bandit.mean(segment=segment)
        for request in ({"session_id": "s"}, {"user_id": "u"}, {"execution_id": "e"}):
            expected = bandit.sample(segment=segment, **request)
            found = weights.sample(segment=segment, **request)
            assert found == expected
            assert found.to_metadata() == expected.to_metadata()


def test_everything_survives_the_text_exactly(bandit):
    weights = bandit.snapshot()
    text = weights.to_json()
    again = FusionWeights.from_json(text)
    assert again.to_json() == text
    assert again.snapshot_id == weights.snapshot_id
    assert again.feature_uris == tuple(ARMS)
    assert set(again.segments) == {("de",), ("fr",), ("übersee",)}
    assert again.evidence_until == NOW + dt.timedelta(minutes=239)
    assert repr(again) == repr(weights)
    assert json.loads(text)["format"] == "rankloom-fusion-weights-1"


def test_roll_out_and_experiments_go_with_the_snapshot():
    bandit = learnt(
        rollout_pct=60, control_pct=20, explore_pct=20, production_weights=dict.fromkeys(ARMS, 1)
    )
    weights = FusionWeights.from_json(bandit.snapshot().to_json())
    served = [weights.sample(user_id=f"u{i}") for i in range(100)]
    assert served == [bandit.sample(user_id=f"u{i}") for i in range(100)]
    assert {each.policy for each in served} == {"learned", "production", "control", "explore"}
    shadow = FusionWeights.from_json(learnt(shadow_mode=True).snapshot().to_json())
    assert shadow.sample(session_id="s").shadow == learnt().sample(session_id="s")


def test_the_same_evidence_has_the_same_id_and_another_one_another():
    assert learnt().snapshot().snapshot_id == learnt().snapshot().snapshot_id
    other = learnt()
    other.observe(
        {
            "execution_id": "new",
            "feature_id": "d",
            "interaction_type": ["impression"],
            "position": 0,
            "feature_uri": "text",
            "timestamp": NOW.isoformat(),
        }
    )
    assert other.snapshot().snapshot_id != learnt().snapshot().snapshot_id


def test_any_flipped_bit_is_found():
    data = learnt(arms=["a", "b"], scored=False).snapshot().to_json().encode()
    for at in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[at] ^= 1 << bit
            with pytest.raises(IntegrityError, match=r"digest|begins with"):
                FusionWeights.from_json(bytes(damaged))


@pytest.mark.parametrize("cut", [0, 1, 10, 100, -1, -2, -50])
def test_a_file_cut_off_is_found(cut):
    data = learnt().snapshot().to_json().encode()
    with pytest.raises(IntegrityError, match=r"digest|begins with"):
        FusionWeights.from_json(data[:cut])


def test_other_formats_and_versions_are_refused(tmp_path):
    text = learnt().snapshot().to_json()
    for other in (text.replace("weights-1", "weights-2"), "{}", '{"weights": {}}', "\ud800"):
        with pytest.raises(IntegrityError, match="expected a file that begins with"):
            FusionWeights.from_json(other)
    with pytest.raises(UnreadableSourceError, match="cannot be read"):
        FusionWeights.load(tmp_path / "none.json")


def test_a_failing_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "w.json"
    learnt().snapshot().save(path)
    before = path.read_bytes()
    with pytest.raises(OSError, match="nowhere"):
        learnt().snapshot().save(tmp_path / "nowhere" / "w.json")
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["w.json"]


def test_a_segment_of_another_shape_is_refused():
    weights = learnt().snapshot()
    with pytest.raises(InvalidInputError, match="one value for each"):
        weights.sample(segment=("de", "phone"))
    assert math.fsum(weights.mean(segment="de").values()) == pytest.approx(1.0)


def test_serving_loads_none_of_the_engines(tmp_path):
    """Services start with this: scipy alone would cost them 150 ms and numba 200."""
    learnt().snapshot().save(tmp_path / "w.json")
    code = f"""if True:
        import sys
        from rankloom import FusionBandit, FusionWeights
        with FusionWeights.watch({str(tmp_path / "w.json")!r}, {ARMS!r}, every=60) as weights:
            weights.sample(user_id="u", session_id="s", segment="de")
            assert weights.current is not None
        bandit = FusionBandit({ARMS!r})
        bandit.sample(session_id="s")
        bandit.snapshot()
        heavy = "scipy numba polars pandas pyarrow sklearn lightgbm redis sqlite3"
        print(sorted(set(heavy.split()) & set(sys.modules)))
    """
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
