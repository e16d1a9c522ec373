"""Snapshots that are kept and rolled back to, and who changed what: by HTTP, through restarts."""

import contextlib
import datetime as dt
import json
import re
import subprocess
import sys

import pytest
from msgspec.structs import replace

from rankloom import FusionWeights
from rankloom.bandit import FusionBandit, open_store
from rankloom.datasets import InteractionLog
from rankloom.errors import StoreError
from rankloom.service.http.tokens import add_token
from rankloom.service.learning import changes
from rankloom.service.learning.changes import hashed
from rankloom.service.learning.retrievers import Retrievers
from rankloom.service.learning.settings_table import Key, SettingsTable

BASE = "/v1/retrievers/r/learned-fusion"
BATCH = "/v1/retrievers/interactions/batch"
ARMS = ["text", "image"]


def rows(start, number, clicked):
    """Return displays of both channels in turn, of which one is clicked."""
    moment = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    return [
        {
            "feature_id": f"d{n}",
            "execution_id": f"e{n}",
            "user_id": f"u{n % 7}",
            "retriever_id": "r",
            "interaction_type": ["impression", "click"]
            if ARMS[n % 2] == clicked and n % 4 < 2
            else ["impression"],
            "position": 0,
            "feature_uri": ARMS[n % 2],
            "occurred_at": (moment + dt.timedelta(seconds=n)).isoformat(),
        }
        for n in range(start, start + number)
    ]


class Retriever:
    """The retriever "r" of a running service."""

    def __init__(self, client, wait_until):
        self.client, self.wait_until = client, wait_until

    def get(self, path, **options):
        answer = self.client.get(f"{BASE}/{path}", **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path, body=None, **options):
        return self.client.send("POST", f"{BASE}/{path}", json=body, **options)

    def learn(self, interactions):
        """Send rows, wait until they are learnt and published, and return that snapshot's name."""
        assert self.client.post({"interactions": interactions}, BATCH).json()["failed"] == 0
        bandit = self.bandit()
        self.wait_until(lambda: self.get("weights")["weights"] == pytest.approx(bandit.mean()))
        return self.published()

    def published(self):
        name = self.get("weights")["snapshot_id"]
        kept = self.wait_until(lambda: [s for s in self.snapshots() if s["snapshot_id"] == name])
        return kept[0]

    def snapshots(self):
        return self.get("history")["snapshots"]

    def changes(self):
        return self.get("changes")["changes"]

    def bandit(self):
        bandit = FusionBandit(ARMS, namespace="shop", retriever_id="r")
        with InteractionLog(self.client.service.settings.log) as log:
            bandit.update(log.within("shop", "r"))
        return bandit

    def newest(self):
        """Return what services that watch the store load."""
        with open_store(
            self.client.service.settings.state, namespace="shop", retriever_id="r"
        ) as store:
            text = store.get_snapshot()
        return None if text is None else FusionWeights.from_json(text)


@pytest.fixture
def retriever(serve_with, wait_until):
    made = Retriever(serve_with(publish_every=0.01), wait_until)
    assert made.post("enable", {"feature_uris": ARMS, "min_lists": 0}).status_code == 200
    return made


@pytest.mark.slow
def test_a_rollback_serves_a_snapshot_until_resume_whatever_is_learnt(
    retriever, serve_with, wait_until
):
    good = retriever.learn(rows(0, 40, "text"))
    bad = retriever.learn(rows(40, 400, "image"))
    means = {uri: weight["mean"] for uri, weight in good["weights"].items()}
    assert good["author"] == bad["author"] == "learner"
    assert good["time"] < bad["time"]
    assert means["text"] > 0.5 > bad["weights"]["text"]["mean"]
    settings = retriever.post(f"rollback/{good['snapshot_id']}").json()
    assert settings["rolled_back_to"] == good["snapshot_id"]

    def is_served():
        found = retriever.get("weights")
        assert found["weights"] == means
        assert found["snapshot_id"] == good["snapshot_id"]
        assert found["fallback"].startswith("rolled back")
        assert retriever.newest().snapshot_id == good["snapshot_id"]
        served = retriever.get("weights/u1")
        assert (served["policy"], served["snapshot_id"]) == ("learned", good["snapshot_id"])

    is_served()
    assert retriever.client.post({"interactions": rows(440, 40, "image")}, BATCH).status_code == 200
    wait_until(lambda: retriever.get("stats")["open_units"] == 480)
    assert retriever.post(f"rollback/{good['snapshot_id']}").json() == settings
    is_served()
    retriever.client.stop()
    again = Retriever(serve_with(publish_every=0.01), wait_until)
    retriever = again
    is_served()
    assert again.get("history")["rolled_back_to"] == good["snapshot_id"]
    wait_until(lambda: again.get("stats")["lag"] == 0)
    is_served()
    assert again.post("resume").json()["rolled_back_to"] is None
    learnt = again.bandit().mean()
    wait_until(lambda: again.get("weights")["weights"] == pytest.approx(learnt))
    wait_until(lambda: again.newest().mean() == pytest.approx(learnt))
    assert again.get("weights")["fallback"] is None
    assert again.post("resume").status_code == 200
    assert [each["action"] for each in again.changes()] == ["resume", "rollback", "enable"]


def test_what_was_rolled_back_to_before_a_kill_is_served_from_the_start(
    retriever, serve_with, wait_until
):
    """Although the store's newest snapshot is another one yet, and the log is still to be read."""
    good = retriever.learn(rows(0, 40, "text"))
    bad = retriever.learn(rows(40, 200, "image"))
    retriever.client.stop()
    settings = retriever.client.service.settings
    with InteractionLog(settings.log) as log:
        SettingsTable(log).change(
            Key("shop", "r"),
            lambda before: replace(before, rolled_back_to=good["snapshot_id"]),
            "ann",
            "rollback",
        )
    assert retriever.newest().snapshot_id == bad["snapshot_id"]
    again = Retriever(serve_with(publish_every=0.01), wait_until)
    for _ in range(20):
        assert again.get("weights")["snapshot_id"] == good["snapshot_id"]
    wait_until(lambda: again.newest().snapshot_id == good["snapshot_id"])


@pytest.mark.slow
def test_shares_change_during_a_rollback_and_the_weights_do_not(retriever):
    good = retriever.learn(rows(0, 40, "text"))
    retriever.learn(rows(40, 200, "image"))
    retriever.post(f"rollback/{good['snapshot_id']}")
    assert retriever.post("rollout", {"control_pct": 100}).status_code == 200
    assert retriever.get("weights/u1")["policy"] == "control"
    retriever.wait_until(lambda: retriever.newest().server.split.control_pct == 100)
    means = {uri: weight["mean"] for uri, weight in good["weights"].items()}
    assert retriever.newest().mean() == means == retriever.get("weights")["weights"]


def test_other_channels_and_names_cannot_be_rolled_back_to_and_end_a_rollback(retriever):
    first = retriever.learn(rows(0, 40, "text"))["snapshot_id"]
    assert retriever.post("rollback/nothing").status_code == 404
    assert retriever.post(f"rollback/{first}").status_code == 200
    found = retriever.post("enable", {"feature_uris": [*ARMS, "sound"]}).json()
    assert found["rolled_back_to"] is None
    refused = retriever.post(f"rollback/{first}")
    assert refused.status_code == 422
    assert "other channels" in refused.json()["error"]["message"]
    assert first in [each["snapshot_id"] for each in retriever.snapshots()]
    change = retriever.changes()[0]
    assert change["before"] == {
        "feature_uris": ARMS,
        "min_lists": 0,
        "rolled_back_to": first,
        "generation": 0,
    }
    assert change["after"] == {
        "feature_uris": [*ARMS, "sound"],
        "min_lists": 10,
        "rolled_back_to": None,
        "generation": 1,
    }


def test_changes_name_the_token_the_values_before_and_after_and_no_user(retriever):
    named = add_token(retriever.client.service.settings.token_file, "shop", "admin", "ann")
    headers = {"authorization": f"Bearer {named}"}
    retriever.wait_until(
        lambda: retriever.post("rollout", {"rollout_pct": 50}, headers=headers).status_code == 200
    )
    for path in ("opt-out/u%2F1", "opt-out/u%2F1", "opt-in/u%2F1", "disable", "disable"):
        assert retriever.post(path).status_code == 200
    assert retriever.client.delete(f"{BASE}/user/u%2F1").status_code == 200
    found = {each["action"]: each for each in retriever.changes()}
    assert [each["action"] for each in retriever.changes()] == [
        *("delete-user", "disable", "opt-in", "opt-out", "rollout", "enable")
    ]
    assert [each["number"] for each in retriever.changes()] == [6, 5, 4, 3, 2, 1]
    assert found["rollout"]["author"] == "ann"
    assert found["rollout"]["before"] == {"rollout_pct": 100.0}
    assert found["rollout"]["after"] == {"rollout_pct": 50.0}
    assert found["enable"]["before"] == {}
    assert found["enable"]["after"]["feature_uris"] == ARMS
    user = hashed("u/1")
    assert found["opt-out"]["before"] == {"user": user, "opted_out": False}
    assert found["opt-out"]["after"] == {"user": user, "opted_out": True}
    assert found["delete-user"]["after"] == {"user": user}
    assert "u/1" not in json.dumps(retriever.changes())
    assert retriever.get("changes")["dropped"] == 0
    lines = retriever.client.service.settings.token_file.read_text()
    assert f"\n{found['enable']['author']}" in f"\n{lines}"


def test_a_snapshot_of_a_change_is_by_who_changed_it(retriever):
    before = retriever.learn(rows(0, 40, "text"))
    retriever.post("rollout", {"rollout_pct": 50})
    after = retriever.wait_until(
        lambda: [s for s in retriever.snapshots() if s["snapshot_id"] != before["snapshot_id"]]
    )[0]
    assert after["author"] == retriever.changes()[0]["author"]
    assert after["weights"] == before["weights"]


def test_changes_are_bounded_by_action_and_the_rest_is_counted(retriever, monkeypatch):
    monkeypatch.setattr(changes, "KEPT", 3)
    for share in range(10):
        retriever.post("rollout", {"rollout_pct": share})
    found = retriever.get("changes")
    assert [each["number"] for each in found["changes"]] == [11, 10, 9, 1]
    assert found["dropped"] == 7


def test_a_change_that_cannot_be_noted_is_not_made(retriever, monkeypatch):
    def fail(*_):
        msg = "the disk is full"
        raise StoreError(msg)

    monkeypatch.setattr(changes, "note", fail)
    assert retriever.post("rollout", {"rollout_pct": 1}).status_code == 503
    assert retriever.get("stats")["settings"]["rollout_pct"] == 100
    monkeypatch.undo()
    assert len(retriever.changes()) == 1


@pytest.mark.slow
def test_another_process_serves_what_was_rolled_back_to(retriever, wait_until):
    good = retriever.learn(rows(0, 40, "text"))
    retriever.learn(rows(40, 200, "image"))
    settings = retriever.client.service.settings
    with InteractionLog(settings.log) as log:
        other = Retrievers(log, settings.state, publish_every=0)
        other.start()
        try:
            wait_until(lambda: other.get("shop", "r").held_over is None)
            retriever.post(f"rollback/{good['snapshot_id']}")
            wait_until(lambda: other.get("shop", "r").is_rolled_back)
            assert other.get("shop", "r").snapshot_id == good["snapshot_id"]
            retriever.post("resume")
            wait_until(lambda: other.get("shop", "r").held_over is None)
        finally:
            other.stop()


@pytest.mark.slow
def test_watchers_see_a_resume_though_nothing_new_is_learnt(tmp_path, wait_until):
    """Also where another process put what was rolled back to, and the next one is not due."""
    urls = [f"sqlite:///{tmp_path}/{name}.db" for name in ("log", "state")]

    def newest():
        with open_store(urls[1], namespace="shop", retriever_id="r") as store:
            text = store.get_snapshot()
        return text and FusionWeights.from_json(text).snapshot_id

    with InteractionLog(urls[0]) as log, contextlib.ExitStack() as stack:

        def started(publish_every):
            made = Retrievers(log, urls[1], publish_every=publish_every)
            made.start()
            stack.callback(made.stop)
            return made

        view = log.within("shop", "r")
        first = started(0.01)
        first.enable("shop", "r", feature_uris=ARMS)
        view.record_batch(rows(0, 40, "text"))
        good = wait_until(newest)
        view.record_batch(rows(40, 200, "image"))
        wait_until(lambda: newest() != good)
        first.stop()
        learner, other = started(3_600), started(3_600)
        for each in (learner, other):
            wait_until(lambda each=each: each.get("shop", "r").held_over is None)
        learnt = wait_until(lambda: learner.get("shop", "r").snapshot_id)
        wait_until(lambda: newest() == learnt)
        other.roll_back("shop", "r", good)
        wait_until(lambda: learner.get("shop", "r").is_rolled_back and newest() == good)
        other.resume("shop", "r")
        wait_until(lambda: newest() == learnt)


@pytest.mark.slow
def test_two_services_over_one_postgres_roll_back_and_resume_as_one(
    postgres_url, serve_with, wait_until
):
    """Whichever is asked; one of them learns, and both say the same to Prometheus."""
    urls = {"log": postgres_url, "state": postgres_url, "publish_every": 0.01}
    one, other = (Retriever(serve_with(**urls), wait_until) for _ in range(2))
    assert other.post("enable", {"feature_uris": ARMS}).status_code == 200
    wait_until(lambda: one.client.get(f"{BASE}/stats").status_code == 200)
    good = one.learn(rows(0, 40, "text"))
    other.learn(rows(40, 400, "image"))
    means = {uri: weight["mean"] for uri, weight in good["weights"].items()}
    for asked, unasked in ((one, other), (other, one)):
        assert asked.post(f"rollback/{good['snapshot_id']}").status_code == 200
        for each in (asked, unasked):
            wait_until(lambda each=each: each.get("weights")["weights"] == means)
            assert each.get("weights")["fallback"].startswith("rolled back")
        # The one that learns may have put another one before it knew.
        wait_until(lambda asked=asked: asked.newest().snapshot_id == good["snapshot_id"])
        assert unasked.post("resume").status_code == 200
        learnt = pytest.approx(one.bandit().mean())
        for each in (asked, unasked):
            wait_until(lambda each=each, learnt=learnt: each.get("weights")["weights"] == learnt)
    actions = [each["action"] for each in one.changes()]
    assert actions == ["resume", "rollback", "resume", "rollback", "enable"]
    assert one.get("changes") == other.get("changes")
    found = [each.client.get("/metrics", role="metrics").text for each in (one, other)]
    pattern = r"(?m)^rankloom_fusion_{}\{{.*\}} (\S+)$"
    learner, weight = pattern.format("learner"), pattern.format("weight")
    learners = [re.findall(learner, text) for text in found]
    assert sorted(learners) == [["0.0"], ["1.0"]]
    assert [len(re.findall(weight, text)) for text in found] == [len(ARMS)] * 2


def test_a_snapshot_that_the_store_loses_is_served_on_and_put_again(retriever, wait_until):
    good = retriever.learn(rows(0, 40, "text"))
    retriever.post(f"rollback/{good['snapshot_id']}")
    settings = retriever.client.service.settings
    with open_store(settings.state, namespace="shop", retriever_id="r") as store:
        store.clear()
    again = wait_until(retriever.newest)
    assert again.snapshot_id == good["snapshot_id"] == retriever.get("weights")["snapshot_id"]


def test_another_tenant_sees_and_changes_nothing(client, stranger, wait_until):
    client.post({"feature_uris": ARMS, "min_lists": 0}, f"{BASE}/enable")
    client.post({"interactions": rows(0, 40, "text")}, BATCH)
    name = wait_until(lambda: client.get(f"{BASE}/history").json()["snapshots"])[0]["snapshot_id"]
    for method, path in (
        *(("GET", "history"), ("GET", "changes"), ("POST", "resume")),
        *(("POST", f"rollback/{name}"), ("GET", "stats")),
    ):
        assert stranger.send(method, f"{BASE}/{path}").status_code == 404
    stranger.post({"feature_uris": ARMS, "min_lists": 0}, f"{BASE}/enable")
    assert stranger.get(f"{BASE}/history").json()["snapshots"] == []
    assert stranger.send("POST", f"{BASE}/rollback/{name}").status_code == 404
    assert len(stranger.get(f"{BASE}/changes").json()["changes"]) == 1
    assert client.get(f"{BASE}/history").json()["rolled_back_to"] is None


@pytest.mark.parametrize("format_name", ["text", "json"])
def test_the_command_prints_the_history(tmp_path, format_name):
    state = f"sqlite:///{tmp_path}/fusion.db"
    bandit = FusionBandit.open(state, feature_uris=ARMS, retriever_id="r")
    bandit.update(rows(0, 40, "text"))
    name = bandit.publish().snapshot_id
    command = [sys.executable, "-m", "rankloom", "weights", "--state", state, "--retriever", "r"]
    done = subprocess.run(
        [*command, "--history", "--format", format_name], capture_output=True, text=True, check=True
    )
    if format_name == "json":
        (found,) = json.loads(done.stdout)["snapshots"]
        assert (found["snapshot_id"], found["author"]) == (name, "learner")
        assert found["weights"]["text"]["mean"] == bandit.mean()["text"]
    else:
        assert done.stdout.splitlines()[0].startswith(f"{name}  20")
        assert "0 are not kept any more" in done.stderr
