"""Model cards: what they say of a ranker, where evidence is missing, and what is refused."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from rankloom.datasets import PositionBias, split_by_time
from rankloom.errors import IntegrityError, InvalidInputError, StoreError
from rankloom.ltr import ModelCard, Ranker, compare
from rankloom.ltr.metrics.debiased import examination_weighted_dcg
from rankloom.ltr.model.files import model_digest
from rankloom.ltr.model.gate_record import PRODUCTION, write_gate

CURVE = 1 / np.arange(1.0, 11.0)
TITLES = [
    *("Model", "Data", "Choice", "Evidence", "Gate", "Slices", "Limits", "Importance of features"),
]


@pytest.fixture(scope="module")
def parts(make_pairs):
    """Earlier and later executions of two languages."""
    pairs = make_pairs(400)
    time = np.datetime64("2026-01-01", "us") + np.arange(400) * np.timedelta64(1, "h")
    language = pl.Series("language", ["en", "de", "de", None] * 100)
    pairs = replace(pairs, time=time, context={"language": language})
    pairs = PositionBias.from_curve(CURVE).apply(pairs)  # to estimate one takes seconds
    return split_by_time(pairs, test_fraction=0.5)


@pytest.fixture(scope="module")
def ranker(parts):
    return Ranker("none", n_jobs=1, n_estimators=20, min_data_in_leaf=5).fit(parts[0])


@pytest.fixture
def folder(ranker, tmp_path):
    ranker.save(tmp_path / "model")
    return tmp_path / "model"


def section(card, title):
    """Return the text of a section in Markdown."""
    return card.to_markdown().partition(f"## {title}\n")[2].partition("\n## ")[0]


def test_a_card_without_evidence_says_what_to_give(ranker):
    card = ModelCard.of(ranker)
    headings = [line[3:] for line in card.to_markdown().splitlines() if line.startswith("## ")]
    assert headings == TITLES
    assert "--validation" in section(card, "Evidence")
    assert "--slice" in section(card, "Slices")
    assert "rankloom compare" in section(card, "Gate")
    assert "not saved yet" in section(card, "Model")
    assert "debias=none was given" in section(card, "Choice")
    assert "page" not in card.to_dict()
    assert [title for title in TITLES if f"<h2>{title}</h2>" not in card.to_html()] == []


def test_data_are_those_of_the_training(ranker, parts):
    card, earlier = ModelCard.of(ranker), parts[0]
    data = section(card, "Data")
    assert f"{len(earlier):,} rows of training data in {earlier.n_executions:,}" in data
    assert "period: 2026-01-01T00:00:00.000000Z" in data
    clicked = int(earlier.clicked.sum())
    assert f"| 1 | {int((earlier.y == 1).sum()):,} |" in data
    assert f"Clicked: {clicked:,} rows" in data
    assert "quarantine: unknown" in data  # these pairs come from arrays


def test_slices_are_the_values_of_columns_and_head_and_tail(ranker, parts):
    later = parts[1]
    card = ModelCard.of(ranker, later, slices=["language"])
    found = {(each["column"], each["value"]): each for each in card.facts["held_out"]["slices"]}
    assert list(found) == [
        *(("query frequency", "head"), ("query frequency", "tail")),
        *(("language", "de"), ("language", "(none)"), ("language", "en")),
    ]
    german = (later.context["language"] == "de").fill_null(value=False).to_numpy()
    assert found["language", "de"]["executions"] == german.sum() == 100
    part = later.take(german)
    dcg, weight = examination_weighted_dcg(
        part.y, ranker.predict(part), part.group, part.examination, clip=ranker.clip
    )
    expected = dcg.sum() / weight.sum()
    assert found["language", "de"]["comparison"]["ranker"] == pytest.approx(expected)
    head, tail = (found["query frequency", each] for each in ("head", "tail"))
    assert head["executions"] + tail["executions"] == later.n_executions
    assert head["executions"] >= later.n_executions / 2
    assert head["executions"] / head["queries"] > tail["executions"] / tail["queries"]
    assert f"| language | de | {german.sum():,} |" in section(card, "Slices")


@pytest.mark.slow
def test_without_a_curve_one_is_estimated_and_the_pairs_given_stay_as_they_are(ranker, parts):
    later = replace(parts[1], examination=None)
    card = ModelCard.of(ranker, later)
    assert "estimated on the held-out executions" in section(card, "Evidence")
    assert later.examination is None


def test_a_written_card_is_read_back_with_its_evidence_and_gates(ranker, parts, folder):
    card = ModelCard.of(ranker, parts[1], slices=["language"])
    card.write(folder)
    loaded = ModelCard.load(folder)
    assert loaded.facts["held_out"] == card.facts["held_out"]
    assert loaded.to_markdown() == (folder / "card.md").read_text("utf-8")
    assert loaded.to_html() == (folder / "card.html").read_text("utf-8")
    digest = model_digest(folder)
    assert digest in loaded.to_markdown()
    gate = compare(ranker, "production", parts[1], examination=CURVE)
    write_gate(folder, gate, model=digest, baseline=PRODUCTION)
    write_gate(folder, gate, model="0" * 64, baseline="1" * 64)  # of another model
    loaded = ModelCard.load(folder)
    assert len(loaded.facts["gates"]) == 1
    assert "against the order that was shown" in section(loaded, "Gate")
    assert f"{gate.metrics['DCG@10'].candidate:.4f}" in section(loaded, "Gate")


def test_a_card_of_a_ranker_that_was_loaded_says_the_same(ranker, parts, folder):
    assert ModelCard.of(Ranker.load(folder), parts[1]) == ModelCard.of(ranker, parts[1])


def test_evidence_of_another_model_is_not_taken(ranker, parts, folder):
    ModelCard.of(ranker, parts[1]).write(folder)
    evidence = (folder / "evidence.json").read_bytes()
    Ranker("none", n_jobs=1, n_estimators=3).fit(parts[0]).save(folder)
    assert not (folder / "card.md").exists()
    (folder / "evidence.json").write_bytes(evidence)
    assert ModelCard.load(folder).facts["held_out"] is None
    with pytest.raises(InvalidInputError, match="another ranker"):
        ModelCard.of(ranker).write(folder)


def test_a_damaged_evidence_is_refused(ranker, parts, folder):
    ModelCard.of(ranker, parts[1]).write(folder)
    file = folder / "evidence.json"
    file.write_bytes(file.read_bytes().replace(b"0.", b"1.", 1))
    with pytest.raises(IntegrityError, match="train again"):
        ModelCard.load(folder)


def test_executions_that_do_not_judge_fairly_are_named(ranker, parts):
    card = ModelCard.of(ranker, parts[0], stopped_by=True)
    assert "lie in the training period" in section(card, "Evidence")
    assert "decided how many trees" in section(card, "Evidence")


@pytest.mark.slow
def test_names_are_escaped(make_pairs):
    pairs = replace(make_pairs(60), feature_names=("<b>|f*", "a", "b", "c", "d"))
    queries = pl.Series([f"<script>{n}</script>" for n in range(len(pairs.queries))])
    pairs = replace(pairs, queries=queries)
    ranker = Ranker("none", n_jobs=1, n_estimators=5, min_data_in_leaf=5).fit(pairs)
    card = ModelCard.of(ranker, pairs)
    for text in (card.to_markdown(), card.to_html()):
        assert "<script>" not in text
        assert "&lt;script&gt;" in text
        assert "<b>" not in text


def test_what_is_wrong_is_refused(ranker, parts, folder, monkeypatch):
    with pytest.raises(InvalidInputError, match="not fitted"):
        ModelCard.of(Ranker())
    with pytest.raises(InvalidInputError, match="give held_out="):
        ModelCard.of(ranker, slices=["language"])
    with pytest.raises(InvalidInputError, match="no context 'langage'. Did you mean 'language'"):
        ModelCard.of(ranker, parts[1], slices=["langage"])

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("rankloom.ltr.model_card.model_card.write_whole", refuse)
    with pytest.raises(StoreError, match="cannot write the model card"):
        ModelCard.of(ranker).write(folder)
