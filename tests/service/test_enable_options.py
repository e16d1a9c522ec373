"""What `enable` decides: the warm-up, bounds of weights, rewards, and learning another log anew."""

import pytest

from rankloom.service.learning.settings_table import MIN_LISTS

BASE = "/v1/retrievers/q/learned-fusion"
BATCH = "/v1/retrievers/interactions/batch"
ARMS = ["text", "image"]


def rows(number, tag="e", clicked="text", kind="click"):
    """Lists of one document, of either channel in turn; one channel is always clicked."""
    return [
        {
            "execution_id": f"{tag}{n}",
            "retriever_id": "q",
            "feature_id": f"d{n}",
            "position": 0,
            "feature_uri": ARMS[n % 2],
            "interaction_type": ["impression"] + [kind] * (ARMS[n % 2] == clicked),
        }
        for n in range(number)
    ]


def enable(service, **options):
    answer = service.post({"feature_uris": ARMS, **options}, f"{BASE}/enable")
    assert answer.status_code == 200, answer.text
    return answer.json()


def record(service, given):
    answer = service.post({"interactions": given}, BATCH).json()
    assert answer["created"] == len(given), answer["errors"]


def weights(service):
    return service.get(f"{BASE}/weights").json()


@pytest.mark.slow
def test_equal_weights_are_served_until_enough_lists_are_learnt(serve_with, wait_until):
    service = serve_with()
    assert enable(service)["min_lists"] == MIN_LISTS
    record(service, rows(MIN_LISTS - 1))
    wait_until(lambda: "min_lists" in (weights(service)["fallback"] or ""))
    found = weights(service)
    assert (found["policy"], found["weights"]) == ("fallback", dict.fromkeys(ARMS, 0.5))
    user = service.get(f"{BASE}/weights/u").json()
    assert (user["policy"], user["weights"]) == ("fallback", dict.fromkeys(ARMS, 0.5))
    record(service, rows(1, tag="last"))
    wait_until(lambda: weights(service)["fallback"] is None)
    assert weights(service)["weights"]["text"] > 0.5
    # More wanted than there are: equal again; fewer: learned at once.
    enable(service, min_lists=100)
    wait_until(lambda: weights(service)["policy"] == "fallback")
    enable(service, min_lists=0)
    wait_until(lambda: weights(service)["policy"] == "mean")


def test_weights_stay_within_floor_and_cap(serve_with, wait_until):
    service = serve_with()
    found = enable(service, floor=0.3, cap=0.7, min_lists=0)
    assert (found["floor"], found["cap"]) == (0.3, 0.7)
    record(service, rows(800))
    wait_until(lambda: weights(service)["weights"].get("text", 0.0) == pytest.approx(0.7))
    enable(service, floor=0.4, min_lists=0)
    wait_until(lambda: weights(service)["weights"]["text"] == pytest.approx(0.6))
    for wrong in ({"floor": 0.6}, {"cap": 0.4}, {"floor": -0.1}, {"floor": 0.5, "cap": 0.4}):
        answer = service.post({"feature_uris": ARMS, **wrong}, f"{BASE}/enable")
        assert (answer.status_code, answer.json()["error"]["type"]) == (422, "ValidationError")


def test_own_types_are_recorded_and_rewarded(serve_with, wait_until):
    service = serve_with(rewards={"save_recipe": 2.0})
    assert enable(service, min_lists=0)["rewards"] == {"save_recipe": 2.0}
    record(service, rows(200, kind="save_recipe"))
    wait_until(lambda: weights(service)["weights"]["text"] > 0.7)
    answer = service.post({"interactions": rows(1, "x", kind="sing")}, BATCH).json()
    assert (answer["failed"], "interaction_type" in answer["errors"][0]) == (1, True)
    # Other rewards mean another evidence, which is learnt anew.
    enable(service, min_lists=0, rewards={"save_recipe": -2.0})
    wait_until(
        lambda: weights(service)["fallback"] is None and weights(service)["weights"]["text"] < 0.5
    )
    for wrong in ({"save_recipe": "much"}, {"query_refinement": 1.0}):
        answer = service.post({"feature_uris": ARMS, "rewards": wrong}, f"{BASE}/enable")
        assert answer.status_code == 422


def test_a_state_of_another_log_is_said_and_learnt_anew_where_that_is_wanted(
    serve_with, tmp_path, wait_until
):
    """The volume of the log was lost, that of the state was not."""
    first = serve_with()
    enable(first, min_lists=0)
    enable(first, min_lists=0, segment_by=["device"])  # a later generation than the new log's
    enable(first, min_lists=0)
    record(first, rows(100))
    wait_until(
        lambda: weights(first)["fallback"] is None and weights(first)["weights"]["text"] > 0.5
    )
    first.stop()
    for each in tmp_path.glob("log.db*"):
        each.unlink()
    second = serve_with()
    enable(second, min_lists=0)
    record(second, rows(100, "n", clicked="image"))
    wait_until(lambda: "another log" in (weights(second)["fallback"] or ""))
    assert weights(second)["weights"]["text"] > 0.5
    stats = second.get(f"{BASE}/stats")
    assert (stats.status_code, "relearn" in stats.json()["error"]["message"]) == (409, True)
    enable(second, min_lists=0, relearn=True)
    wait_until(lambda: weights(second)["fallback"] is None)
    assert weights(second)["weights"]["image"] > 0.5
    assert second.get(f"{BASE}/stats").json()["lag"] == 0
