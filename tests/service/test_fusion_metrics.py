"""Series of learned fusion, bounded and by namespace; the dashboard names no others."""

import datetime as dt
import json
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rankloom.bandit import open_store
from rankloom.errors import StoreError
from rankloom.service.api import fusion_metrics

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text())
BASE = "/v1/retrievers/r/learned-fusion"
BATCH = "/v1/retrievers/interactions/batch"
ARMS = ["text", "image"]
FROM_PROMETHEUS = {"instance", "job"}
"""Labels that the scraper adds."""


def rows(number=40):
    moment = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    return [
        {
            "feature_id": f"d{n}",
            "execution_id": f"e{n}",
            "user_id": f"u{n}",
            "retriever_id": "r",
            "interaction_type": ["impression", "click"] if n % 3 == 0 else ["impression"],
            "position": 0,
            "feature_uri": ARMS[n % 2],
            "metadata": {"fusion": {"policy": ("learned", "control")[n % 2]}},
            "occurred_at": (moment + dt.timedelta(seconds=n)).isoformat(),
        }
        for n in range(number)
    ]


def series(client):
    """Return the values by name and labels."""
    answer = client.get("/metrics", role="metrics")
    assert answer.status_code == 200
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def of_fusion(found, name):
    """Return the values of a series of "r", by its own label."""
    prefix = f"rankloom_fusion_{name}"
    own = {"namespace", "retriever"}
    return {
        next((v for k, v in key[1:] if k not in own), None): value
        for key, value in found.items()
        if key[0] == prefix and ("retriever", "r") in key[1:]
    }


@pytest.fixture
def learnt(client, wait_until):
    client.get(f"{BASE}/weights")
    client.post({"feature_uris": ARMS, "min_lists": 0}, f"{BASE}/enable")
    assert client.get(f"{BASE}/weights").json()["fallback"] is not None
    client.post({"interactions": rows()}, BATCH)
    wait_until(lambda: client.get(f"{BASE}/history").json()["snapshots"])
    return client


def test_series_are_what_the_routes_say(learnt):
    found = series(learnt)
    published = learnt.get(f"{BASE}/history").json()["snapshots"][0]["weights"]
    for name, part in (("weight", "mean"), ("weight_low", "low"), ("weight_high", "high")):
        assert of_fusion(found, name) == {uri: each[part] for uri, each in published.items()}
    assert of_fusion(found, "policy_lists") == {"learned": 20, "control": 20}
    rewards = of_fusion(found, "policy_reward")
    assert rewards == pytest.approx({"learned": 7 / 60, "control": 7 / 60})
    low, high = (of_fusion(found, f"policy_reward_{end}") for end in ("low", "high"))
    assert all(low[each] < rewards[each] < high[each] for each in rewards)
    assert of_fusion(found, "rollout_percent") == {None: 100}
    assert of_fusion(found, "learner") == {None: 1}
    assert of_fusion(found, "lag_rows").keys() == {None}
    assert 0 <= of_fusion(found, "snapshot_age_seconds")[None] < 600
    assert sum(of_fusion(found, "fallbacks_total").values()) >= 1


def test_fallbacks_and_rollbacks_are_counted_by_reason(learnt):
    before = of_fusion(series(learnt), "fallbacks_total").get("rolled_back", 0)
    name = learnt.get(f"{BASE}/history").json()["snapshots"][0]["snapshot_id"]
    learnt.send("POST", f"{BASE}/rollback/{name}")
    for _ in range(3):
        learnt.get(f"{BASE}/weights/u1")
    found = series(learnt)
    assert of_fusion(found, "fallbacks_total")["rolled_back"] == before + 3
    assert of_fusion(found, "rolled_back") == {None: 1}


def test_another_namespace_reads_its_own_series_only(learnt, stranger):
    theirs = series(stranger)
    assert not any(("retriever", "r") in key[1:] for key in theirs)
    assert not any(("namespace", learnt.tokens.namespace) in key[1:] for key in theirs)
    stranger.post({"feature_uris": ARMS, "min_lists": 0}, f"{BASE}/enable")
    found = series(stranger)
    named = {value for key in found for label, value in key[1:] if label == "namespace"}
    assert named == {stranger.tokens.namespace}


def test_series_are_bounded_and_what_is_left_out_is_counted(serve_with, monkeypatch):
    monkeypatch.setattr(fusion_metrics, "MOST_RETRIEVERS", 2)
    monkeypatch.setattr(fusion_metrics, "MOST_CHANNELS", 3)
    client = serve_with()
    for name in ("a", "b", "c"):
        client.post(
            {"feature_uris": [f"c{n}" for n in range(5)]},
            f"/v1/retrievers/{name}/learned-fusion/enable",
        )
    found = series(client)
    names = {value for key in found for label, value in key[1:] if label == "retriever"}
    assert names == {"a", "b"}
    assert found[("rankloom_fusion_left_out", ("what", "retrievers"))] == 1
    assert found[("rankloom_fusion_left_out", ("what", "channels"))] == 6


def test_failures_to_publish_are_counted_while_the_rest_goes_on(
    serve_with, wait_until, monkeypatch
):
    client = serve_with(publish_every=0.01)
    client.post({"feature_uris": ARMS, "min_lists": 0}, f"{BASE}/enable")

    def fail(*_args, **_named):
        msg = "the store is away"
        raise StoreError(msg)

    monkeypatch.setattr("rankloom.bandit.store.store.Store.put_snapshot", fail)
    client.post({"interactions": rows()}, BATCH)
    wait_until(lambda: of_fusion(series(client), "publish_failures_total")[None] >= 1)
    assert of_fusion(series(client), "weight") == {}
    monkeypatch.undo()
    client.post({"interactions": rows(50)[40:]}, BATCH)
    client.post({"rollout_pct": 50}, f"{BASE}/rollout")
    with open_store(client.service.settings.state, namespace="shop", retriever_id="r") as store:
        client.service.retrievers.get("shop", "r").publish(at_once=True)
        assert store.get_snapshot() is not None


def test_every_expression_of_the_dashboard_names_series_and_labels_that_exist(learnt):
    known = {}
    for key in series(learnt):
        known.setdefault(key[0], set()).update(label for label, _ in key[1:])
    # Counted by what happened meanwhile.
    known["rankloom_fusion_fallbacks_total"] |= {"reason"}
    expressions = [t["expr"] for panel in DASHBOARD["panels"] for t in panel["targets"]]
    queries = [v["query"] for v in DASHBOARD["templating"]["list"] if v["type"] == "query"]
    used = set()
    for text in (*expressions, *queries):
        names = re.findall(r"\b(?:rankloom|process)_\w+", text)
        assert names, text
        assert set(names) <= known.keys(), text
        labels = set(re.findall(r"(\w+)=", text)) | set(
            re.findall(r"\w+", " ".join(re.findall(r"by \((.*?)\)", text)))
        )
        for name in names:
            assert labels <= known[name] | FROM_PROMETHEUS, text
        used.update(names)
    assert {name for name in known if name.startswith("rankloom_fusion_")} <= used


def test_the_dashboards_panels_do_not_overlap_and_have_titles_and_units():
    taken = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken
        assert at["x"] + at["w"] <= 24
        taken |= cells
        assert panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
