"""`rankloom position-bias`: curves, curves by a column, pictures, and what it refuses."""

import json

import pytest


def test_position_bias_prints_a_curve_with_intervals(run, simulated):
    code, text, _ = run("position-bias", simulated / "log.parquet", "--json")
    report = json.loads(text)
    assert code == 0
    assert report["examination"][0] == pytest.approx(1.0)
    curve = zip(report["lower"], report["examination"], report["upper"], strict=True)
    assert all(low <= value <= high for low, value, high in curve)
    assert report["load"]["rows_read"] > 0
    code, text, _ = run("position-bias", simulated / "log.parquet")
    assert code == 0
    assert f"{report['examination'][1]:.4f}" in text


def test_position_bias_by_a_column_has_a_curve_for_each_value(run, simulated):
    code, text, _ = run("position-bias", simulated / "log.parquet", "--by", "device", "--json")
    report = json.loads(text)
    absent = {"desktop", "mobile", "tablet"} - set(report["curves"])
    assert code == 0
    assert "desktop" in report["curves"]
    assert [name for name in absent if name not in "".join(report["notes"])] == []


def test_position_bias_draws_a_picture(run, simulated, tmp_path):
    picture = tmp_path / "curve.png"
    code, _, err = run("position-bias", simulated / "log.parquet", "--plot", picture)
    assert code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert str(picture) in err


def test_position_bias_without_swaps_says_the_cause_in_one_line(run, simulated):
    run("position-bias", simulated / "one-ranker.parquet").assert_refused()


@pytest.mark.slow
def test_position_bias_of_one_ranker_by_features_says_how_far_they_predict_positions(
    run, simulated
):
    log = ["position-bias", simulated / "one-ranker.parquet", "--features"]
    code, text, _ = run(*log, simulated / "features.parquet")
    assert code == 0
    for part in ("auto, by features", "features explain", "by features", "100%"):
        assert part in text
    _, text, _ = run(*log, simulated / "features.parquet", "--estimator", "features", "--json")
    report = json.loads(text)
    assert 0 <= report["confounding"]["position_r2"] < 0.95
    assert report["contributions"]["features"][1:] == [1.0] * (len(report["examination"]) - 1)


def test_a_picture_in_a_format_that_cannot_be_drawn_is_refused_before_reading(run):
    run("position-bias", "missing.parquet", "--plot", "curve.doc").assert_refused("curve.doc")
