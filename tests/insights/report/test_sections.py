"""Facts and sentences of each section: right numbers, and no more certainty than they have."""

import pytest

from rankloom.insights import build_report
from rankloom.insights.report.sections import (
    documents,
    fusion,
    labels,
    load,
    memory,
    position_bias,
    queries,
    ranker,
    retrievers,
    similar,
    trends,
    users,
)


@pytest.fixture(scope="module")
def facts(report):
    return {result.section.name: result.facts for result in report.sections}


def test_the_account_of_rows_adds_up(facts):
    found = facts["load"]
    assert found["rows_read"] == found["rows_kept"] + found["duplicates"] + found["quarantined"]
    assert sum(found["quarantine_reasons"].values()) == found["quarantined"] > 0
    assert found["pairs"]["executions"] == 240


def test_grades_count_every_shown_document_once(facts):
    found = facts["labels"]
    assert sum(found["grades"].values()) == found["shown"]
    assert f"Of {found['shown']:,} documents shown" in labels.view(found).headline


def test_one_clicked_document_is_spoken_of_in_the_singular():
    found = {"shown": 2, "clicked": 1, "negative": 0, "examined": None}
    assert labels.headline(found) == (
        "Of 2 documents shown in result lists, 1 (50.0%) was clicked and 0 (0%) got a negative "
        "signal. The examination curve is not known, so the rate is not corrected for position."
    )


def test_rows_of_one_kind_are_all_that_is_said_of_them():
    found = {"rows_read": 1, "rows_kept": 1, "duplicates": 0, "quarantined": 0, "pairs": None}
    text = load.headline({**found, "no_pairs_because": "no exposures"})
    assert text.startswith("1 row was read: 1 (100%) kept. They hold no result lists")
    assert load.headline({**found, "rows_read": 0}) == "The source holds no rows."


def curve(examination, lower, upper):
    return {"examination": examination, "lower": lower, "upper": upper, "n_queries": 30}


@pytest.mark.parametrize(
    ("mobile", "words"),
    [((0.1, 0.08, 0.12), "do not overlap"), ((0.25, 0.1, 0.4), "a difference is not established")],
)
def test_devices_differ_only_where_their_intervals_do(mobile, words):
    value, low, high = mobile
    found = {
        "confidence": 0.9,
        "by": "device",
        "curve": curve([1.0, 0.3], [1.0, 0.25], [1.0, 0.35]),
        "curves": {
            "desktop": curve([1.0, 0.3], [1.0, 0.25], [1.0, 0.35]),
            "mobile": curve([1.0, value], [1.0, low], [1.0, high]),
        },
        "notes": [],
        "moves": None,
        "confounding": None,
    }
    blocks = position_bias.view(found).blocks
    assert words in blocks[1].sentence
    assert len(blocks[1].chart.legend) == 2


def test_a_curve_that_ends_at_the_first_position_says_that_nothing_is_known():
    found = {"curve": curve([1.0, None], [1.0, None], [1.0, None]), "confidence": 0.9}
    assert "is not known" in position_bias.headline(found)


@pytest.mark.parametrize(
    ("lower", "upper", "words"),
    [
        (0.1, 0.3, "is better than production"),
        (-0.3, -0.1, "is worse than production"),
        (-0.1, 0.3, "is not established to differ from production"),
        (None, None, "perhaps by chance (no interval: one ranker)"),
    ],
)
def test_a_ranker_is_only_better_where_its_interval_says_so(lower, upper, words):
    overall = {"gain": 0.2, "relative": 0.05, "lower": lower, "upper": upper, "confidence": 0.9}
    overall["no_interval_because"] = None if lower else "one ranker"
    found = {"overall": overall, "later": 100, "metric": "dcg@10", "fall_back": False}
    assert words in ranker.headline(found)


@pytest.mark.slow
def test_the_bands_hold_every_later_search(full_report):
    facts = {result.section.name: result.facts for result in full_report.sections}
    found = facts["ranker"]
    assert facts["memory"]["prior_kind"] == "ranker"
    assert sum(band["executions"] for band in found["bands"]) == found["later"]
    assert found["later"] == found["overall"]["executions"]


@pytest.mark.parametrize(
    ("lower", "passed", "words"),
    [
        (0.01, True, "improves the order of the documents shown later: +0.0200 DCG@10 (with 95%"),
        (-0.01, False, "is not established to improve"),
        (None, False, "too few queries for a bound"),
    ],
)
def test_a_memory_improves_only_where_its_bound_says_so(lower, passed, words):
    together = {"executions": 50, "gain": 0.02, "lower": lower}
    found = {"all": together, "passed": passed, "prior_kind": "ranker", "confidence": 0.95}
    assert words in memory.headline(found)


def test_a_memory_of_other_queries_changes_nothing():
    assert "would change nothing" in memory.headline({"all": {"executions": 0}})


@pytest.mark.parametrize(
    ("lower", "words"), [(0.5, "the order is established"), (0.3, "the order may change")]
)
def test_channels_are_in_order_only_where_their_intervals_are(lower, words):
    found = {
        "feature_uris": ["text", "image"],
        "confidence": 0.9,
        "weights": [None, [0.6, 0.4]],
        "lower": [None, [lower, 0.35]],
        "upper": [None, [0.7, 0.45]],
    }
    assert words in fusion.headline(found)


def test_weights_over_time_end_with_those_of_the_whole_log(facts):
    found = facts["fusion"]
    assert abs(sum(found["weights"][-1]) - 1) < 1e-9
    dots, lines = (block.chart for block in fusion.view(found).blocks[:2])
    assert [dot.value for dot in dots.dots] == sorted(found["weights"][-1], reverse=True)
    assert lines.lines[0].values[-1] == dots.dots[0].value


def test_tables_are_cut_where_asked_and_say_how_many_are_left_out(log):
    (result,) = build_report(log, sections=["load"], max_rows=2).sections
    picture = result.view.blocks[0]
    assert len(picture.chart.bars) == 2
    reasons = len(result.facts["quarantine_reasons"])
    assert f"{reasons - 2} more reasons are not shown." in picture.sentence


def part(count=0, rows=()):
    return {"count": count, "rows": list(rows)}


def of_queries(below, tested=10):
    return {
        "overall": {"searches": 40, "zero_results": 0.0, "abandonment": None, "refinement": 0.5},
        "queries": 3,
        "tested": tested,
        "false_discoveries": 0.05,
        "promised_by": [],
        "found": {"below": part(below), "above": part()},
    }


def test_queries_are_counted_in_words_that_fit_their_number():
    assert queries.headline(of_queries(1)) == (
        "3 queries in 40 searches, of which 0% find nothing and 50.0% are followed by another "
        "query. 1 query engages less than queries do overall, and 0 more; at most 5.0% of these "
        "are false discoveries in expectation."
    )
    assert "2 queries engage less" in queries.headline(of_queries(2))
    assert "No query was searched enough" in queries.headline(of_queries(0, tested=0))


def test_queries_that_were_found_are_all_counted(facts):
    found = facts["queries"]
    assert found["overall"]["searches"] >= 240  # those without results, too
    assert 0 < found["queries"] <= 40


def test_documents_are_counted_in_words_that_fit_their_number():
    found = {
        "documents": 1,
        "tested": 5,
        "wanted": part(1),
        "disappointing": part(2),
        "rates": {"skips": part(3), "returns": part()},
        "false_discoveries": 0.05,
    }
    text = documents.headline(found)
    assert text.startswith("1 document was shown. Corrected for position, 1 is wanted more")
    assert "2 are less wanted" in text
    assert text.endswith("More often than others: 3 skipped.")
    assert "none of them often enough" in documents.headline({**found, "tested": 0})


def difference(verdict, adjusted_for="", **values):
    ends = {"relative": 0.05, "baseline": 2.0, "sequential_lower": 0.02, "sequential_upper": 0.18}
    ends |= values
    named = {"retriever": "new", "metric": "corrected_engagements", "verdict": verdict}
    return {**named, "adjusted_for": adjusted_for, **ends}


def of_retrievers(*differences, metric="corrected_engagements"):
    return {
        "baseline": "old",
        "metrics": [{"metric": metric}],
        "differences": [{**each, "metric": metric} for each in differences],
        "warnings": [],
    }


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("better", "new is better than old (+5.0%, 95% interval +1.0% to +9.0%)"),
        ("worse", "new is worse than old"),
        ("no difference shown", "no difference is shown between new and old"),
        ("not comparable", "new cannot be compared with old"),
        ("unknown", "nothing is known of new yet"),
    ],
)
def test_a_retriever_is_only_better_where_the_verdict_says_so(verdict, words):
    assert words in retrievers.headline(of_retrievers(difference(verdict)))


def test_where_traffic_differs_the_comparison_at_the_same_mix_counts():
    found = of_retrievers(
        difference("not comparable"), difference("no difference shown", "query", relative=0.0)
    )
    assert "no difference is shown" in retrievers.headline(found)
    assert "cannot be compared" not in retrievers.headline(found)


def test_raw_engagement_is_named_as_such():
    found = of_retrievers(difference("better"), metric="engaged_searches")
    assert "which position bias distorts" in retrievers.headline(found)


CHANGE = {
    "series": "searches",
    "period": "2025-01-26T00:00:00Z",
    "earliest": "2025-01-25T00:00:00Z",
    "latest": "2025-01-27T00:00:00Z",
    "before": 100.0,
    "after": 150.0,
    "gradual": False,
}


def of_time(changes=(), notes=(), *, complete=True):
    series = [{"period": f"2025-01-0{n}T00:00:00Z", "complete": complete} for n in (1, 2)]
    return {"every": "1d", "series": series, "changes": list(changes), "notes": list(notes)}


def test_changes_over_time_are_said_with_their_interval():
    assert trends.headline(of_time([CHANGE])) == (
        "The log covers 2 days. A change is established in searches: searches changed on "
        "2025-01-26 (95% interval: 2025-01-25 to 2025-01-27) from 100 to 150 (+50.0%)."
    )
    gradual = {**CHANGE, "gradual": True, "earliest": CHANGE["period"], "latest": CHANGE["period"]}
    assert "drifted around 2025-01-26 (95% interval: that day)" in trends.headline(
        of_time([gradual])
    )


def test_a_short_log_is_not_said_to_be_steady():
    short = of_time(notes=["2 complete periods are too few to test for changes"], complete=False)
    assert trends.headline(short) == (
        "The log covers 2 days, 0 of them completely; these are too few to test for changes."
    )
    assert "No change of level is established" in trends.headline(of_time())


def test_every_user_is_in_one_group(facts):
    found = facts["users"]
    assert sum(group["users"] for group in found["groups"]) == found["users"] <= 100
    assert found["user"] is None


def test_one_user_is_shown_where_that_was_asked_for(log):
    log = log.filter(log["user_id"].is_not_null()).head(150)
    first, second = log["user_id"].unique().sort().head(2)
    (result,) = build_report(log, sections=["users"], user=first).sections
    texts = str(result.view)
    assert result.facts["user"]["rows"] == len(log.filter(log["user_id"] == first))
    assert first in texts
    assert second not in texts


def test_a_single_user_is_spoken_of_in_the_singular():
    found = {
        "users": 1,
        "searches": 1,
        "median": 1.0,
        "most_active": 1,
        "most_active_share": 1.0,
        "searches_without_user": 1,
    }
    assert users.headline(found) == (
        "1 user made 1 search, 1 in the median. Of all searches, 1 (50.0%) names no user."
    )


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.3, 0.4, "finds more than popularity does"),
        (0.0, 0.05, "finds less than popularity does"),
        (0.1, 0.3, "is not established to find more or less"),
    ],
)
def test_recommendations_beat_popularity_only_where_intervals_say_so(low, high, words):
    recall = {"mean": (low + high) / 2, "low": low, "high": high}
    popular = {"mean": 0.15, "low": 0.1, "high": 0.2}
    judged = {"similar": {"recall": recall}, "popular": {"recall": popular}}
    found = {"users": 5, "engaged": 9, "documents": 4, "judged": judged}
    assert words in similar.headline(found)


def test_documents_have_neighbours_that_the_same_users_engaged_with(facts):
    found = facts["similar"]
    assert found["judged"] or found["not_judged_because"]
    assert all(row["document"] not in row["similar"] for row in found["neighbours"])
