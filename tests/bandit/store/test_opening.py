"""Addresses and names of stores, and the snapshots that they hold."""

import pytest

from rankloom.bandit import open_store
from rankloom.errors import InvalidInputError


@pytest.mark.parametrize(
    "url",
    [
        *("fusion.db", "sqlite://fusion.db", "sqlite:///", "mysql://host/db", "redis://", ""),
        *("redis:///0", "redis://host/name", "redis://host:port/0", "unix://", "redis:host"),
    ],
)
def test_a_wrong_url_is_refused_with_the_forms_expected(url):
    with pytest.raises(InvalidInputError, match=r"url: .*"):
        open_store(url)


@pytest.mark.parametrize("names", [{"namespace": ""}, {"retriever_id": None}, {"timeout": 0}])
def test_wrong_names_are_refused(names, tmp_path):
    with pytest.raises(InvalidInputError, match=next(iter(names))):
        open_store(f"sqlite:///{tmp_path}/f.db", **names)


def test_snapshots_are_kept_newest_first(store_url, namespace):
    store = open_store(store_url, namespace=namespace)
    for i in range(25):
        store.put_snapshot(f"s{i}", f"weights {i} \N{SNOWMAN}")
    assert store.get_snapshot() == store.get_snapshot("s24") == "weights 24 \N{SNOWMAN}"
    assert store.get_snapshot("s5") == "weights 5 \N{SNOWMAN}"
    assert store.get_snapshot("s4") is None
    store.put_snapshot("s10", "again")
    assert store.get_snapshot() == store.get_snapshot("s10") == "again"
    store.close()
