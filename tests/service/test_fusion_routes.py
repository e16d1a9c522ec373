"""Learned fusion by HTTP: what is served is what the log teaches, to whom it is to be served."""

import concurrent.futures
import contextlib
import datetime as dt
import functools
import threading
import time

import pytest

from rankloom.bandit import FusionBandit
from rankloom.datasets import InteractionLog

BASE = "/v1/retrievers/{}/learned-fusion/{}"
BATCH = "/v1/retrievers/interactions/batch"
PATIENCE = 120.0
"""Seconds after which what has to come does not come."""
TEXT, IMAGE = "mixpeek://text@v1/embedding", "mixpeek://image@v1/embedding"


@contextlib.contextmanager
def log_of(service_process, client):
    """The log of the running service, as another process reads it."""
    with InteractionLog(f"sqlite:///{service_process[0]}/log.db") as log:
        yield log.within(client.tokens.namespace, "r")


@pytest.fixture
def log(service_process, client):
    """The log of "r" in the test's own namespace."""
    with log_of(service_process, client) as log:
        yield log


@pytest.fixture
def taught(client, log):
    """A service whose retriever "r" has learnt that the text channel is clicked more."""
    teach(client, log)
    return client


@pytest.fixture(scope="module")
def learnt(service_process, client_of):
    """The same, for tests that only read; with the bandit that learnt the same in one go."""
    client = client_of(service_process[1], service_process[2].pop())
    with client.http, log_of(service_process, client) as log:
        teach(client, log)
        yield client, bandit_of(log)


def teach(client, log):
    enable(client, segment_by=["device"])
    record(client, rows())
    caught_up(client, log)


def enable(service, retriever="r", uris=(TEXT, IMAGE), **options):
    body = {"feature_uris": list(uris), "min_lists": 0, **options}
    answer = service.post(body, BASE.format(retriever, "enable"))
    assert answer.status_code == 200, answer.text
    return answer.json()


def rows(number=240, retriever="r", user="u"):
    moment = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    made = []
    for n in range(number):
        channel, device = (TEXT, IMAGE)[n % 2], ("mobile", "desktop")[n // 2 % 2]
        clicked = n % (4 if channel == TEXT else 5) == 0
        made.append(
            {
                "feature_id": f"d{n}",
                "execution_id": f"e{n}",
                "user_id": f"{user}{n % 7}",
                "session_id": f"s{n}",
                "retriever_id": retriever,
                "interaction_type": ["impression", "click"] if clicked else ["impression"],
                "position": n % 3,
                "feature_uri": channel,
                "metadata": {"device": device},
                "occurred_at": (moment + dt.timedelta(seconds=n)).isoformat(),
            }
        )
    return made


def record(service, interactions):
    answer = service.post({"interactions": interactions}, BATCH)
    assert answer.json()["failed"] == 0, answer.text


def get(service, path, retriever="r", **options):
    return service.get(BASE.format(retriever, path), **options)


def caught_up(service, log):
    """Wait until a posterior of all rows is served; return the statistics."""
    eventually(service, "weights", bandit_of(log).mean())
    deadline = time.monotonic() + PATIENCE
    while (found := get(service, "stats").json())["lag"]:
        assert time.monotonic() < deadline, f"the log was not followed: {found}"
        time.sleep(0.05)
    return found


def eventually(service, path, expected):
    """Wait until such weights are served: a posterior is renewed once a second."""
    deadline = time.monotonic() + PATIENCE
    while (found := get(service, path).json()["weights"]) != pytest.approx(expected, rel=1e-9):
        message = f"expected {expected}, got {found}: {get(service, 'stats').json()}"
        assert time.monotonic() < deadline, message
        time.sleep(0.05)


def bandit_of(log):
    """Return a bandit that learnt the same rows in one go."""
    bandit = FusionBandit(
        [TEXT, IMAGE], segment_by=["device"], namespace=log.namespace, retriever_id="r"
    )
    bandit.update(log)
    return bandit


def show(service, session, channels):
    """Let a session see documents of these channels now."""
    log = service.log.within("shop", "r")
    for number, channel in enumerate(channels):
        row = rows(1)[0] | {"execution_id": f"{session}{number}", "session_id": session}
        del row["occurred_at"]
        stored = log.record(row | {"user_id": "u", "feature_uri": channel})
        assert service.retrievers.observe("shop", stored)


def test_unknown_retrievers_are_404(client):
    for path in ("weights", "weights/u", "stats"):
        assert get(client, path, "unknown").status_code == 404
    for path in ("disable", "rollout", "opt-out/u", "opt-in/u"):
        answer = client.post({}, BASE.format("unknown", path))
        assert answer.status_code == 404, path
    assert client.delete(BASE.format("unknown", "user/u")).status_code == 404


def test_a_retriever_that_only_logs_has_no_weights_and_says_why(client):
    record(client, rows(4))
    found = get(client, "weights/u").json()
    assert (found["enabled"], found["weights"]) == (False, {})
    assert "never enabled" in found["fallback"]
    assert get(client, "stats").status_code == 404


def test_enabling_answers_the_settings_and_weights_are_equal_until_something_is_learnt(client):
    found = enable(client, segment_by=["device"], posterior="beta")
    assert found["feature_uris"] == [TEXT, IMAGE]
    assert (found["enabled"], found["segment_by"], found["posterior"]) == (True, ["device"], "beta")
    for path in ("weights", "weights/u"):
        weights = get(client, path).json()
        assert weights["weights"] == {TEXT: 0.5, IMAGE: 0.5}
        assert (weights["enabled"], weights["policy"]) == (True, "fallback")
        assert weights["fallback"]
    assert enable(client, segment_by=["device"], posterior="beta") == found


def test_weights_are_those_of_a_bandit_over_the_rows_of_the_log(learnt):
    client, bandit = learnt
    found = get(client, "weights").json()
    assert found["policy"] == "mean"
    assert found["weights"] == pytest.approx(bandit.mean(), rel=1e-9)
    assert found["weights"][TEXT] > found["weights"][IMAGE]
    by_device = get(client, "weights", params={"segment": "device:mobile"}).json()
    expected = bandit.mean(segment={"device": "mobile"})
    assert by_device["weights"] == pytest.approx(expected, rel=1e-9)


def test_a_query_gets_weights_of_its_own_once_they_are_enabled(client, log):
    """Rows from before are learnt again; sampled and mean weights are those of a bandit."""
    snapshots = [{"query": "red shoes", "page": n} for n in range(3)], "a hat"
    made = [
        row | {"query_snapshot": snapshots[n % 2] if n % 2 else snapshots[0][n % 3]}
        for n, row in enumerate(rows())
    ]
    enable(client)
    record(client, made)
    asked = {"query": '{"query": "Red shoes"}'}
    assert enable(client, max_queries=5)["max_queries"] == 5
    bandit = FusionBandit([TEXT, IMAGE], namespace=log.namespace, retriever_id="r", max_queries=5)
    bandit.update(log)
    expected = bandit.mean(query={"query": "red shoes"})
    assert expected != bandit.mean()
    eventually(client, "weights", bandit.mean())
    deadline = time.monotonic() + PATIENCE
    while get(client, "stats").json()["queries"] != 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    found = get(client, "weights", params=asked).json()
    assert found["weights"] == pytest.approx(expected, rel=1e-9)
    found = get(client, "weights/u1", params={**asked, "session_id": "s"}).json()
    sampled = bandit.sample(user_id="u1", session_id="s", query={"query": "red shoes"})
    assert found["weights"] == pytest.approx(dict(sampled), rel=1e-9)
    assert get(client, "weights", params={"query": "unknown"}).json()["weights"] == pytest.approx(
        bandit.mean(), rel=1e-9
    )
    assert get(client, "weights", params={"query": ""}).status_code == 422
    assert get(client, "stats").json()["settings"]["max_queries"] == 5


@pytest.mark.parametrize(
    ("path", "asker"),
    [
        ("weights/u3", {}),
        ("weights/u3", {"session_id": "s9"}),
        ("weights/stranger", {"session_id": "new", "execution_id": "e"}),
        ("weights", {"session_id": "s9"}),
        ("weights", {"execution_id": "e1"}),
    ],
)
def test_who_asks_is_served_the_bandits_sample_again_and_again(learnt, path, asker):
    client, bandit = learnt
    user = path.partition("/")[2] or None
    found = get(client, path, params=asker).json()
    assert found["weights"] == pytest.approx(bandit.sample(user_id=user, **asker), rel=1e-9)
    assert found["user_id"] == user
    assert (found["policy"], found["propensity"], found["fallback"]) == ("learned", 1.0, None)
    assert found["metadata"]["fusion"]["weights"] == found["weights"]
    assert get(client, path, params=asker).json() == found


def test_a_live_click_moves_its_own_sessions_weights_before_it_is_answered(taught):
    def weight(session):
        asker = {"session_id": session}
        return get(taught, "weights/u1", params=asker).json()["weights"][IMAGE]

    before, others = weight("now"), weight("other")
    for number in range(8):
        live = rows(1)[0] | {
            "session_id": "now",
            "user_id": "u1",
            "execution_id": f"live{number}",
            "interaction_type": ["impression", "click"],
            "feature_uri": IMAGE,
        }
        del live["occurred_at"]
        taught.post(live)
    assert weight("now") > before
    assert weight("other") == pytest.approx(others, abs=0.05)


def test_the_metadata_of_an_answer_goes_back_with_an_interaction(learnt):
    client, _ = learnt
    metadata = get(client, "weights/u1").json()["metadata"]
    sent = rows(1)[0] | {"metadata": metadata, "retriever_id": "another"}
    stored = client.post(sent).json()
    assert stored["metadata"] == metadata


def test_disabled_weights_are_equal_and_enabling_again_brings_back_what_was_learnt(taught, log):
    learnt = get(taught, "weights").json()["weights"]
    answer = taught.post(None, BASE.format("r", "disable"))
    assert answer.json()["enabled"] is False
    for path in ("weights", "weights/u1"):
        found = get(taught, path).json()
        assert (found["enabled"], found["weights"]) == (False, {TEXT: 0.5, IMAGE: 0.5})
        assert "disabled" in found["fallback"]
    enable(taught, segment_by=["device"])
    caught_up(taught, log)
    assert get(taught, "weights").json()["weights"] == pytest.approx(learnt, rel=1e-9)


def test_rollout_decides_who_gets_which_weights_and_keeps_what_is_not_given(taught):
    def roll_out(**body):
        return taught.post(body, BASE.format("r", "rollout"))

    assert roll_out(rollout_pct=0).json()["rollout_pct"] == 0.0
    found = get(taught, "weights/u1").json()
    assert (found["policy"], found["weights"]) == ("production", {TEXT: 0.5, IMAGE: 0.5})
    settings = roll_out(rollout_pct=100, control_pct=100).json()
    assert (settings["rollout_pct"], settings["control_pct"]) == (100.0, 100.0)
    assert get(taught, "weights/u1").json()["policy"] == "control"
    refused = roll_out(explore_pct=1)
    assert refused.status_code == 422
    assert "control_pct" in refused.text
    assert roll_out(shadow_mode=True).json()["control_pct"] == 100.0
    shadow = get(taught, "weights/u1").json()
    assert (shadow["policy"], shadow["weights"]) == ("shadow", {TEXT: 0.5, IMAGE: 0.5})
    assert shadow["metadata"]["fusion"]["shadow"][TEXT] > 0.5
    assert roll_out().json()["shadow_mode"] is True


def test_opting_out_takes_a_users_own_evidence_away_for_good(taught, log):
    assert taught.post(None, BASE.format("r", "opt-out/u1")).json() == {
        "retriever_id": "r",
        "user_id": "u1",
        "opted_out": True,
    }
    bandit = bandit_of(log)
    own = bandit.mean(user_id="u1")
    bandit.opt_out("u1")
    # Samples may stand at the cap before and after; what they are drawn around moves.
    assert bandit.mean(user_id="u1") != own
    eventually(taught, "weights/u1", bandit.sample(user_id="u1"))
    assert taught.post(None, BASE.format("r", "opt-in/u1")).json()["opted_out"] is False


def test_a_deleted_user_is_gone_from_the_log_and_the_others_stay(taught):
    record(taught, rows(21, retriever="another"))
    mine = [row for row in rows() if row["user_id"] == "u1"]
    found = taught.delete(BASE.format("r", "user/u1")).json()
    assert found["interactions_deleted"] == len(mine)
    assert found["success"] is True
    again = taught.delete(BASE.format("r", "user/u1"))
    assert (again.status_code, again.json()["interactions_deleted"]) == (200, 0)
    left = taught.post(
        {"user_id": "u1"}, "/v1/retrievers/interactions/list", params={"limit": 1000}
    ).json()["results"]
    assert {row["retriever_id"] for row in left} == {"another"}
    assert len(left) == 3
    page = taught.post({}, "/v1/retrievers/interactions/list", params={"limit": 1000}).json()
    assert len(page["results"]) == 240 + 21 - len(mine)


def test_rows_of_undeclared_channels_are_kept_and_make_no_channel(taught, log):
    strange = [row | {"feature_uri": "mixpeek://other"} for row in rows(6, user="v")]
    record(taught, [row | {"execution_id": f"x{n}"} for n, row in enumerate(strange)])
    found = caught_up(taught, log)
    assert {each["feature_uri"] for each in found["channels"]} == {TEXT, IMAGE}
    assert found["left_out"]["unknown_feature_uri"] == 6


def test_statistics_are_the_sums_of_the_log(learnt):
    client, bandit = learnt
    sums = bandit.evidence.sums([()])
    found = get(client, "stats").json()
    for at, each in enumerate(found["channels"]):
        assert each["feature_uri"] == sums.arms[at]
        assert each["exposures"] == pytest.approx(sums.N[0, at], rel=1e-9)
        assert each["successes"] == pytest.approx(sums.S[0, at], rel=1e-9)
    assert (found["open_units"], found["closed_units"], found["lag"]) == (240, 0, 0)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"feature_uris": []}, "feature_uris"),
        ({"feature_uris": [TEXT, TEXT]}, "feature_uris"),
        ({"feature_uris": [""]}, "feature_uris[0]"),
        ({"feature_uris": ["x" * 1_025]}, "feature_uris[0]"),
        ({"feature_uris": [f"c{n}" for n in range(201)]}, "feature_uris"),
        ({"feature_uris": [7]}, "feature_uris[0]"),
        ({"feature_uris": TEXT}, "feature_uris"),
        ({"feature_uris": [TEXT], "segment_by": list("abcde")}, "segment_by"),
        ({"feature_uris": [TEXT], "segment_by": ["a:b"]}, "segment_by[0]"),
        ({"feature_uris": [TEXT], "segment_by": ["a", "a"]}, "segment_by"),
        ({"feature_uris": [TEXT], "posterior": "gamma"}, "posterior"),
        ({"feature_uris": [TEXT], "feature_url": 1}, "body"),
    ],
)
def test_a_body_out_of_bounds_is_refused_by_its_field(client, body, field):
    answer = client.post(body, BASE.format("r", "enable"))
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["error"]["details"]["errors"]] == [field]
    assert get(client, "weights").status_code == 404


@pytest.mark.parametrize(
    "segment",
    [["country:de"], ["device"], [":x"], ["device:a", "device:b"], ["device:a", "country:b"]],
)
def test_a_segment_that_does_not_name_every_field_once_is_refused(learnt, segment):
    client, _ = learnt
    answer = get(client, "weights/u1", params={"segment": segment})
    assert answer.status_code == 422
    assert "segment" in answer.json()["error"]["details"]["errors"][0]["field"]


def test_another_namespace_sees_nothing_of_a_retriever(client, stranger):
    enable(client)
    assert get(client, "weights").status_code == 200
    for path in ("weights", "weights/u", "stats"):
        assert get(stranger, path).status_code == 404
    assert stranger.post(None, BASE.format("r", "disable")).status_code == 404
    assert get(client, "weights").json()["enabled"] is True


def test_no_request_for_weights_waits_while_learning_holds_its_lock(serve_with):
    service = serve_with()
    enable(service, segment_by=["device"])
    record(service, rows())
    log = service.service.log.within("shop", "r")
    caught_up(service, log)
    live = {**rows(1)[0], "execution_id": "live", "session_id": "s", "occurred_at": None}
    assert service.post(live).status_code == 200
    plain = {"segment": "device:mobile"}
    asked = plain | {"session_id": "s"}
    lock = service.service.retrievers.get("shop", "r")._bandit.learner.locked()
    with concurrent.futures.ThreadPoolExecutor(1) as pool, lock:
        own, users, means = (
            pool.submit(get, service, path, params=params).result(30).json()
            for path, params in (("weights/u1", asked), ("weights/u1", plain), ("weights", {}))
        )
        assert (own["policy"], users["policy"], means["policy"]) == ("learned", "learned", "mean")
        assert own["snapshot_id"] == users["snapshot_id"] == means["snapshot_id"] is not None
        assert own["weights"] != users["weights"]
        assert service.get("/healthz").status_code == 200


def test_a_large_sessions_weights_are_computed_beside_the_loop_and_the_same(
    serve_with, wait_until, monkeypatch
):
    """Others are answered meanwhile; what is small is not worth the way to a thread."""
    channels = [f"c{n}" for n in range(100)]
    service = serve_with(publish_every=PATIENCE)
    enable(service, uris=channels)
    record(service, [row | {"feature_uri": channels[n % 100]} for n, row in enumerate(rows())])
    retriever = service.service.retrievers.get("shop", "r")
    wait_until(lambda: retriever.snapshot_id is not None)
    for session, units in (("small", 90), ("large", 110)):
        show(service.service, session, [channels[n % 100] for n in range(units)])
    bandit, threads, opened = retriever._bandit, [], threading.Event()
    sample = bandit.sample

    def held_up(**asker):
        threads.append(threading.current_thread().name)
        assert opened.wait(30)
        return sample(**asker)

    monkeypatch.setattr(bandit, "sample", held_up)
    # Learning waits, for with another posterior the weights would be others.
    with concurrent.futures.ThreadPoolExecutor(2) as pool, retriever._lock:
        ask = functools.partial(pool.submit, get, service, "weights/u")
        large = ask(params={"session_id": "large"})
        try:
            wait_until(lambda: threads)
            assert pool.submit(service.get, "/healthz").result(20).status_code == 200
            assert not large.done()
        finally:
            opened.set()
        found = {"large": large.result(30).json()}
        found["small"] = ask(params={"session_id": "small"}).result(30).json()
        for session, answer in found.items():
            expected = sample(user_id="u", session_id=session)
            # It decays by the second, with a half-life of months.
            assert answer["weights"] == pytest.approx(dict(expected), rel=1e-6)
            assert answer["policy"] == "learned"
    assert [name.startswith("rankloom-read") for name in threads] == [True, False]
