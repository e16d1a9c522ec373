"""Fusion state on a server that tenants share: hidden from each other, of one version, one pool."""

import psycopg
import pytest

from rankloom._shared.postgres import PostgresAddress
from rankloom.bandit import FusionBandit, open_store
from rankloom.bandit.store import postgres_tables
from rankloom.bandit.store.opening import public_url
from rankloom.errors import StoreError

SHOWN = {"interaction_type": ["impression"], "timestamp": "2026-01-31T12:00:00Z", "position": 0}


def learn(url, namespace):
    bandit = FusionBandit.open(url, ["text", "image"], namespace=namespace)
    rows = [
        {**SHOWN, "execution_id": str(n), "feature_id": "d", "feature_uri": "text", "user_id": "u"}
        for n in range(20)
    ]
    bandit.update(rows)
    bandit.opt_out("out")
    bandit.publish()
    bandit.learner.store.close()


@pytest.fixture
def raw(postgres_url):
    address = PostgresAddress(postgres_url)
    with psycopg.connect(address.conninfo, autocommit=True) as connection:
        connection.execute(f"SET search_path TO {address.schema}")
        yield connection


def test_the_database_hides_states_of_other_namespaces(postgres_url, raw):
    for namespace in ("ours", "theirs"):
        learn(postgres_url, namespace)
    tables = raw.execute(
        "SELECT relname, relrowsecurity AND relforcerowsecurity FROM pg_class "
        "WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'"
    ).fetchall()
    assert {name for name, is_hidden in tables if not is_hidden} == {"fusion_meta"}
    names = [name for name, is_hidden in tables if is_hidden]

    def counts():
        queries = [f"SELECT count(*) FROM {name}" for name in names]  # noqa: S608
        return dict(zip(names, [raw.execute(q).fetchone()[0] for q in queries], strict=True))

    assert sum(counts().values()) == 0
    raw.execute("SELECT set_config('rankloom.namespace', 'ours', false)")
    seen = counts()
    assert (seen["fusion_states"], seen["fusion_units"], seen["fusion_snapshots"]) == (1, 20, 1)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        raw.execute("UPDATE fusion_units SET namespace = 'theirs'")
    assert raw.execute("DELETE FROM fusion_units").rowcount == 20
    with open_store(postgres_url, namespace="theirs") as store:
        assert store.load().summary.open_units == 20


def test_a_state_of_a_later_version_is_refused(postgres_url, monkeypatch):
    learn(postgres_url, "ours")
    with monkeypatch.context() as newer:
        added = (*postgres_tables.STEPS, ("ALTER TABLE fusion_states ADD COLUMN note text",))
        newer.setattr(postgres_tables, "STEPS", added)
        # Of another timeout: tables are looked at once for all stores that share connections.
        with open_store(postgres_url, namespace="ours", timeout=28.0) as store:
            assert store.load().summary.open_units == 20
    with (
        open_store(postgres_url, namespace="ours", timeout=29.0) as store,
        pytest.raises(StoreError, match="version 3"),
    ):
        store.load()


def test_stores_of_a_process_share_their_connections(postgres_url):
    with open_store(postgres_url, namespace="a") as first, open_store(postgres_url) as second:
        assert first.backend._server is second.backend._server
        first.close()
        assert second.log_position() is None
        assert first.log_position() is None


def test_a_shown_url_has_no_password():
    shown = public_url("postgresql://me:secret@host/db?schema=s")
    assert shown == "postgresql://***@host/db?schema=s"
