"""A registry: what is promoted, what is refused, and what can be rolled back."""

import shutil
import threading

import pytest

from rankloom._shared.atomic_files import TEMPORARY
from rankloom.errors import (
    IntegrityError,
    InvalidInputError,
    StoreError,
    UnreadableSourceError,
)
from rankloom.ltr import ModelRegistry, Ranker
from rankloom.ltr.model.files import model_digest
from rankloom.ltr.registry.version import is_name, next_moment, version_name


@pytest.fixture
def registry(tmp_path):
    return ModelRegistry(tmp_path / "registry")


def served(registry):
    """Return the number of trees of the model that readers of the link get."""
    return Ranker.load(registry.folder / "current").best_iteration_


def test_a_model_that_passed_its_gate_becomes_current(registry, models, judged):
    judged(models[0])
    first = registry.promote(models[0])
    assert (first.previous, first.changed, served(registry)) == (None, True, 1)
    judged(models[1], models[0])
    second = registry.promote(models[1])
    assert (second.previous, served(registry)) == (first.version.name, 2)
    assert registry.versions() == [second.version, first.version]
    assert second.version.gate["baseline"] == first.version.digest == model_digest(models[0])
    assert second.version.reason is None


def test_a_version_is_a_copy_with_the_verdict(registry, models, judged):
    judged(models[0])
    registry.promote(models[0])
    shutil.rmtree(models[0])
    assert (registry.folder / "current" / "gate-production.json").exists()
    assert served(registry) == 1


def test_what_is_current_is_left_as_it_is(registry, models, judged):
    judged(models[0])
    version = registry.promote(models[0]).version
    again = registry.promote(models[0])
    assert (again.changed, again.version, registry.versions()) == (False, version, [version])


def test_without_a_gate_against_what_is_current_a_model_is_refused(registry, models, judged):
    with pytest.raises(
        InvalidInputError, match="no gate against the order .* compare .*production"
    ):
        registry.promote(models[0])
    assert not registry.folder.exists()
    judged(models[0])
    registry.promote(models[0])
    judged(models[1])  # against what was shown, not against the current version
    judged(models[1], models[2])
    with pytest.raises(InvalidInputError, match=r"only against [0-9a-f]{12}, production; run"):
        registry.promote(models[1])
    assert served(registry) == 1


def test_a_gate_that_was_not_passed_is_refused_with_its_reasons(registry, models, judged):
    judged(models[0], passed=False)
    with pytest.raises(InvalidInputError, match="did not pass .* DCG@10: too little"):
        registry.promote(models[0])
    judged(models[0])  # a later verdict replaces it
    assert registry.promote(models[0]).changed


def test_a_gate_of_another_model_is_refused(registry, models, judged):
    judged(models[0])
    shutil.copy(models[0] / "gate-production.json", models[1])
    with pytest.raises(InvalidInputError, match="was made for another model"):
        registry.promote(models[1])


def test_saving_another_model_removes_the_verdicts_of_the_one_before(models, judged):
    judged(models[0])
    Ranker.load(models[0]).save(models[0])
    assert (models[0] / "gate-production.json").exists()
    Ranker.load(models[1]).save(models[0])
    assert not (models[0] / "gate-production.json").exists()


def test_a_forced_promotion_records_its_reason(registry, models):
    version = registry.promote(models[0], force="the gate's log was lost").version
    assert (version.reason, version.gate) == ("the gate's log was lost", None)
    with pytest.raises(InvalidInputError, match="the reason"):
        registry.promote(models[1], force=" ")


def test_a_roll_back_returns_to_what_was_current_before(registry, models):
    """Not to the version before in time: that one was rolled back already."""
    names = [registry.promote(model, force="test").version.name for model in models[:3]]
    assert registry.rollback().version.name == names[1]
    assert served(registry) == 2
    last = registry.promote(models[3], force="test").version.name
    back = registry.rollback()
    assert (back.previous, back.version.name, served(registry)) == (last, names[1], 2)
    assert registry.rollback().version.name == names[0]
    with pytest.raises(InvalidInputError, match="no version before .* --to"):
        registry.rollback()
    assert registry.rollback(names[2]).version.name == names[2]
    assert registry.rollback(model_digest(models[3])[:12]).version.name == last
    assert registry.rollback(last).changed is False
    with pytest.raises(InvalidInputError, match="no version is named"):
        registry.rollback("20200101")
    with pytest.raises(InvalidInputError, match="4 versions are named"):
        registry.rollback("2")


def test_the_last_versions_stay_and_so_do_the_current_one_and_its_predecessor(tmp_path, models):
    registry = ModelRegistry(tmp_path / "registry", keep=2)
    names = [registry.promote(model, force="test").version.name for model in models[:2]]
    done = registry.promote(models[2], force="test")
    assert done.removed == (names[0],)
    assert [each.name for each in registry.versions()] == [done.version.name, names[1]]
    registry.rollback()
    registry.promote(models[3], force="test")
    assert names[1] in [each.name for each in registry.versions()]
    assert registry.rollback().version.name == names[1]


@pytest.mark.parametrize("keep", [1, 0, 2.5, True])
def test_fewer_than_two_versions_are_refused(tmp_path, keep):
    with pytest.raises(InvalidInputError, match="keep: expected"):
        ModelRegistry(tmp_path, keep=keep)


@pytest.mark.parametrize("damage", ["cut", "missing", "manifest"])
def test_a_damaged_model_is_refused_and_nothing_is_left(registry, models, damage):
    registry.promote(models[0], force="test")
    file = next(models[1].glob("model-*.txt"))
    if damage == "missing":
        file.unlink()
    else:
        file = models[1] / "manifest.json" if damage == "manifest" else file
        file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises((IntegrityError, UnreadableSourceError)):
        registry.promote(models[1], force="test")
    assert served(registry) == 1
    left = [*registry.folder.iterdir(), *(registry.folder / "versions").iterdir()]
    assert [entry for entry in left if entry.name.startswith(TEMPORARY)] == []


def test_a_damaged_verdict_is_refused(registry, models, judged):
    judged(models[0], passed=False)
    file = models[0] / "gate-production.json"
    file.write_text(file.read_text().replace('"passed": false', '"passed": true'))
    with pytest.raises(IntegrityError, match="compare"):
        registry.promote(models[0])


def test_a_damaged_version_is_not_rolled_back_to(registry, models):
    registry.promote(models[0], force="test")
    registry.promote(models[1], force="test")
    file = next(file for file in (registry.folder / "versions").glob("*/model-*.txt") if
                file.name == next(models[0].glob("model-*")).name)  # fmt: skip
    file.write_bytes(file.read_bytes()[:-1] + b" ")
    with pytest.raises(IntegrityError):
        registry.rollback()
    assert served(registry) == 2


def test_a_damaged_current_version_can_be_replaced(registry, models):
    good = registry.promote(models[0], force="test").version.name
    registry.promote(models[1], force="test")
    (registry.folder / "current" / "promotion.json").write_text("{}")
    with pytest.raises(IntegrityError):
        registry.promote(models[2])
    assert registry.rollback(good).changed
    registry.promote(models[2], force="the current version is damaged")
    assert served(registry) == 3


def test_what_is_no_registry_is_refused(tmp_path, models):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write the registry"):
        ModelRegistry(tmp_path / "file").promote(models[0], force="test")
    with pytest.raises(UnreadableSourceError, match="no registry"):
        ModelRegistry(tmp_path / "absent").rollback()
    with pytest.raises(UnreadableSourceError, match="no registry"):
        ModelRegistry(models[0]).versions()
    (tmp_path / "registry" / "current").mkdir(parents=True)
    with pytest.raises(IntegrityError, match="is no link"):
        ModelRegistry(tmp_path / "registry").promote(models[0], force="test")
    with pytest.raises(UnreadableSourceError, match="absent"):
        ModelRegistry(tmp_path / "other").promote(tmp_path / "absent", force="test")
    assert not (tmp_path / "other").exists()


def test_promotions_at_once_wait_for_each_other(registry, models):
    registry.promote(models[0], force="test")
    threads = [
        threading.Thread(target=ModelRegistry(registry.folder).promote, args=[model],
                         kwargs={"force": "test"})
        for model in models[1:]
    ]  # fmt: skip
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    versions = registry.versions()
    assert len(versions) == len(models)
    # Each of them replaced the one before it.
    assert [each.previous for each in versions[:-1]] == [each.name for each in versions[1:]]


def test_names_sort_by_promotion_though_a_clock_is_set_back(models):
    digest = model_digest(models[0])
    future = "29991231T000000.000000Z-" + digest[:12]
    name = version_name(next_moment([future]), digest)
    assert is_name(name)
    assert name == "29991231T000000.000001Z-" + digest[:12]
