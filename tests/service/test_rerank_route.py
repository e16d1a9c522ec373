"""Rankings by HTTP: those of the named ranker, for documents in every form, and no other files."""

import concurrent.futures

import numpy as np
import pytest

from rankloom.datasets import load_pairs
from rankloom.errors import InvalidInputError
from rankloom.ltr import QueryMemory, Ranker
from rankloom.service.api.rerank import ranked
from rankloom.service.rankers import load_ranker

PATH = "/v1/rerank"


@pytest.fixture
def service(serve_with, ranker_folder):
    return serve_with(rankers={"products": ranker_folder})


@pytest.fixture(scope="module")
def ranker(ranker_folder):
    return load_ranker(ranker_folder)


def documents(number, **fields):
    """Documents of which the first are the least relevant ones."""
    return [
        {"feature_id": f"d{n}", "features": {"f0": n / 100 - 2}, **fields} for n in range(number)
    ]


def test_documents_come_back_as_the_ranker_sorts_them_with_score_and_position(service, ranker):
    given = documents(400, title="kept", document_score=0.5)
    answer = service.post({"ranker": "products", "documents": given}, PATH)
    expected = [{**each, "position": n} for n, each in enumerate(ranker.rank(given))]
    assert answer.json() == {"ranker": "products", "documents": expected}
    assert expected[0]["score"] > expected[-1]["score"]


def test_every_execution_is_sorted_by_itself(service):
    given = [*documents(5, execution_id="b"), *documents(5, execution_id="a")]
    found = service.post({"ranker": "products", "documents": given}, PATH).json()["documents"]
    assert [each["execution_id"] for each in found] == ["b"] * 5 + ["a"] * 5
    assert [each["position"] for each in found] == [*range(5), *range(5)]


def test_fields_of_the_execution_hold_for_every_document_that_does_not_say_otherwise(ranker):
    bare = [{"feature_id": "a"}, {"feature_id": "b", "f0": -2.0}]
    found = ranked(ranker, bare, {"f0": 2.0, "execution_id": "e"})
    plain = ranker.rank([{"feature_id": "a", "f0": 2.0}, {"feature_id": "b", "f0": -2.0}])
    assert [each["score"] for each in found] == [each["score"] for each in plain]
    given = {each["feature_id"]: set(each) - {"score", "position"} for each in found}
    assert given == {"a": {"feature_id"}, "b": {"feature_id", "f0"}}


def test_no_documents_are_no_error(service):
    answer = service.post({"ranker": "products", "documents": []}, PATH)
    assert answer.json() == {"ranker": "products", "documents": []}


@pytest.mark.parametrize("name", ["unknown", "Products", "../products", "/etc", "a\x00b"])
def test_an_unknown_ranker_is_404_and_says_nothing_of_others(service, ranker_folder, name):
    answer = service.post({"ranker": name, "documents": []}, PATH)
    assert answer.status_code == 404
    assert "products" not in answer.text.replace(name, "")
    assert str(ranker_folder) not in answer.text


def test_a_ranker_is_never_named_by_its_folder(service, ranker_folder):
    folder = str(ranker_folder)[:128]
    answer = service.post({"ranker": folder, "documents": []}, PATH)
    assert answer.status_code == 404
    assert folder not in answer.text


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"features": 3}, "documents[1].features"),
        ({"f0": "much"}, "documents[1].f0"),
        ({"features": {"f0": [1]}}, "documents[1].f0"),
        ({"f0": 10**39}, "documents[1].f0"),
        ({"feature_id": {}}, "documents[1].feature_id"),
        ({"execution_id": [1]}, "documents[1].execution_id"),
        ({"document_score": "x"}, "documents[1].document_score"),
        (7, "documents[1]"),
    ],
)
def test_a_malformed_document_is_refused_by_index_and_field(service, document, field):
    answer = service.post({"ranker": "products", "documents": [{"f0": 1}, document]}, PATH)
    assert answer.status_code == 422
    errors = answer.json()["error"]["details"]["errors"]
    assert [each["field"] for each in errors] == [field]
    assert errors[0]["reason"]


def test_a_thousand_documents_are_ranked_and_one_more_is_refused(service):
    assert service.post({"ranker": "products", "documents": documents(1_000)}, PATH).is_success
    answer = service.post({"ranker": "products", "documents": documents(1_001)}, PATH)
    assert answer.status_code == 422
    assert "documents" in answer.json()["error"]["details"]["errors"][0]["field"]


def test_requests_at_the_same_time_get_what_each_alone_gets(service):
    sizes = [1, 10, 300] * 8

    def ask(size):
        return service.post({"ranker": "products", "documents": documents(size)}, PATH).json()

    alone = {size: ask(size) for size in set(sizes)}
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        assert list(pool.map(ask, sizes)) == [alone[size] for size in sizes]


@pytest.mark.parametrize("alias", ["num_threads", "n_jobs", "nthread"])
def test_a_ranker_predicts_with_one_thread_however_it_was_trained(ranker_folder, tmp_path, alias):
    trained = Ranker.load(ranker_folder).set_params(n_jobs=2, params={alias: 2})
    trained.save(tmp_path / "model")
    loaded = load_ranker(tmp_path / "model")
    assert loaded._threads([0] * 5_000) == {"num_threads": 1}
    assert ranked(loaded, documents(3), {}) == ranked(load_ranker(ranker_folder), documents(3), {})


def test_a_document_in_which_the_ranker_finds_a_fault_is_named(ranker):
    with pytest.raises(InvalidInputError, match=r"^documents\[2\].f0: "):
        ranked(ranker, [{}, {}, {"f0": "x"}], {})


@pytest.mark.parametrize("query", ['{"query": "red shoes"}', {"query": "Red  SHOES", "page": 3}])
def test_a_query_that_the_rankers_memory_knows_is_ranked_by_its_clicks(
    serve_with, ranker_folder, tmp_path, query
):
    given = documents(20)
    shown = [
        {
            "execution_id": f"e{e}",
            "query_snapshot": f'{{"query": "{"red" if e % 2 else "blue"} shoes"}}',
            "feature_id": f"d{(e // 2 + position) % 20}",
            "position": position,
            "document_score": float(-position),
            "interaction_type": ["impression"],
        }
        for e in range(400)
        for position in range(5)
    ]
    liked = {"d15": 1, "d1": 0}  # clicked for red shoes, for blue shoes
    clicks = [
        {**row, "interaction_type": ["click"]}
        for row in shown
        if liked.get(row["feature_id"]) == int(row["execution_id"][1:]) % 2
    ]
    pairs = load_pairs([*shown, *clicks], builtin_features=())
    ranker = Ranker.load(ranker_folder)
    memory = QueryMemory(examination=[1.0]).fit(pairs, prior=np.zeros(len(pairs)))
    assert any(memory.served_bands_)
    ranker.attach_memory(memory).save(tmp_path / "model")
    service = serve_with(rankers={"products": tmp_path / "model"})
    body = {"ranker": "products", "documents": given}
    plain = service.post(body, PATH).json()["documents"]
    assert plain[0]["feature_id"] != "d15"
    found = service.post({**body, "query": query}, PATH).json()["documents"]
    assert found[0]["feature_id"] == "d15"
    assert service.post({**body, "query": "unheard of"}, PATH).json()["documents"] == plain
    assert service.post({**body, "query": 3}, PATH).status_code == 422


def test_features_that_the_ranker_does_not_know_are_named_in_a_warning(service):
    given = [{"feature_id": "a", "features": {"f0": 1.0, "prise": 2.0}}, {"feature_id": "b"}]
    found = service.post({"ranker": "products", "documents": given}, PATH).json()
    assert found["warning"].endswith("does not use: 'prise' (1 of 2 documents)")
    many = [{"features": {f"x{n}": None for n in range(30)}}]
    assert (
        service.post({"ranker": "products", "documents": many}, PATH)
        .json()["warning"]
        .endswith("and 20 more")
    )
    # Other fields are passed on, and features of the execution count, too.
    passed_on = {"ranker": "products", "documents": [{"features": {"f0": 1.0}, "title": "t"}]}
    assert "warning" not in service.post(passed_on, PATH).json()
    body = {"ranker": "products", "documents": [{}], "execution": {"features": {"prise": 1}}}
    assert "'prise'" in service.post(body, PATH).json()["warning"]


def test_contributions_are_the_rankers_and_add_up_to_its_score(service, ranker):
    given = documents(30)
    body = {"ranker": "products", "documents": given, "contributions": 2}
    found = service.post(body, PATH).json()["documents"]
    ordered = sorted(
        given, key=lambda each: [f["feature_id"] for f in found].index(each["feature_id"])
    )
    exact = ranker.contributions(ordered)
    for document, row in zip(found, exact.iter_rows(named=True), strict=True):
        parts = document["contributions"]
        assert len(parts) == 4
        assert sum(parts.values()) == pytest.approx(document["score"], abs=1e-5)
        largest = sorted(map(abs, list(row.values())[:-1]))[-2:]
        assert sorted(map(abs, list(parts.values())[:2])) == pytest.approx(largest)
    plain = service.post({"ranker": "products", "documents": given}, PATH).json()["documents"]
    assert plain == [{k: v for k, v in each.items() if k != "contributions"} for each in found]
    assert service.post({**body, "contributions": 101}, PATH).status_code == 422
    assert service.post({**body, "documents": []}, PATH).json()["documents"] == []


def test_a_batch_answers_what_each_list_alone_gets_and_a_bad_list_fails_alone(service):
    lists = [
        {"documents": documents(5)},
        {"documents": [{"f0": "much"}]},
        {"documents": documents(3), "query": "red", "execution": {"features": {"zzz": 1}}},
    ]
    batch = {"ranker": "products", "requests": lists, "contributions": 1}
    found = service.post(batch, f"{PATH}/batch").json()
    assert found["ranker"] == "products"
    for given, result in zip(lists, found["results"], strict=True):
        alone = service.post({"ranker": "products", "contributions": 1, **given}, PATH).json()
        if "error" in alone:
            assert [result["error"]] == alone["error"]["details"]["errors"]
        else:
            assert {"ranker": "products", **result} == alone
    assert found["results"][1]["error"]["field"] == "documents[0].f0"
    for wrong in ([], [lists[0]] * 101):
        assert service.post({**batch, "requests": wrong}, f"{PATH}/batch").status_code == 422
    assert service.post({**batch, "ranker": "none"}, f"{PATH}/batch").status_code == 404
