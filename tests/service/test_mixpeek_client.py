"""The public client of this interface, unchanged, against the running service."""

import datetime as dt
import importlib
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ROW = {
    "feature_id": "prod_123",
    "interaction_type": ["click", "long_view"],
    "position": 3,
    "metadata": {"device": "mobile"},
    "user_id": "u",
    "session_id": "s",
    "execution_id": "e",
    "retriever_id": "r",
    "query_snapshot": {"text": "wireless headphones"},
    "document_score": 0.95,
    "result_set_size": 10,
    "feature_uri": "mixpeek://text_extractor@v1/embedding",
}


class ModelsOnDemand(ModuleType):
    """The client's package of models, each imported when it is named: all take seven seconds."""

    def __getattr__(self, name):
        words = re.findall("[A-Z][a-z0-9]*", name)
        if not words:
            raise AttributeError(name)
        module = importlib.import_module(f"mixpeek.models.{'_'.join(words).lower()}")
        return getattr(module, name)


@pytest.fixture(scope="module")
def mixpeek():
    """The client's names: its files as they are, without those that import all the others."""
    package = importlib.util.find_spec("mixpeek")
    if package is None:
        pytest.skip("mixpeek is not installed")
    with pytest.MonkeyPatch.context() as patch:
        for name, kind in {
            "mixpeek": ModuleType,
            "mixpeek.api": ModuleType,
            "mixpeek.models": ModelsOnDemand,
        }.items():
            made = kind(name)
            folders = package.submodule_search_locations
            made.__path__ = [str(Path(each, *name.split(".")[1:])) for each in folders]
            patch.setitem(sys.modules, name, made)
            if "." in name:
                setattr(sys.modules["mixpeek"], name.rpartition(".")[2], made)
        yield SimpleNamespace(
            models=sys.modules["mixpeek.models"],
            RetrieverInteractionsApi=named("mixpeek.api.retriever_interactions_api"),
            ApiClient=named("mixpeek.api_client"),
            Configuration=named("mixpeek.configuration"),
            ApiException=importlib.import_module("mixpeek.exceptions").ApiException,
        )
    for name in [each for each in sys.modules if each.partition(".")[0] == "mixpeek"]:
        del sys.modules[name]


def named(module):
    """Return the class that a module is named for."""
    name = "".join(word.title() for word in module.rpartition(".")[2].split("_"))
    return getattr(importlib.import_module(module), name)


@pytest.fixture
def api(mixpeek, client):
    """The client's interactions API with an admin's token; a function makes one of another role."""
    made = []

    def of(role="admin", token=None):
        configuration = mixpeek.Configuration(
            host=client.url, access_token=token or client.tokens.of[role]
        )
        inner = mixpeek.ApiClient(configuration)
        inner.set_default_header("Authorization", f"Bearer {token or client.tokens.of[role]}")
        inner.set_default_header("X-Namespace", client.tokens.namespace)
        made.append(inner)
        return mixpeek.RetrieverInteractionsApi(inner)

    yield of
    for each in made:
        each.rest_client.pool_manager.clear()


def test_create_get_list_and_delete_work(mixpeek, api):
    calls = api()
    created = calls.create_interaction_retrievers(mixpeek.models.SearchInteraction(**ROW))
    assert {name: getattr(created, name) for name in ROW} == ROW
    assert created.deduplicated is False
    assert dt.datetime.fromisoformat(created.timestamp).tzinfo is not None
    got = calls.get_interaction_retrievers(created.interaction_id)
    assert got == created
    listed = calls.list_interactions_retrievers(
        list_interactions_request=mixpeek.models.ListInteractionsRequest(user_id="u"),
        include_total=True,
    )
    assert listed.results == listed.items == [created]
    assert listed.pagination.total == 1
    assert calls.list_interactions_retrievers().results == [created]
    assert calls.delete_interaction_retrievers(created.interaction_id)["success"] is True
    with pytest.raises(mixpeek.ApiException) as refused:
        calls.get_interaction_retrievers(created.interaction_id)
    assert refused.value.status == 404


def test_a_batch_of_history_works(mixpeek, api):
    past = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    rows = [mixpeek.models.SearchInteraction(**{**ROW, "occurred_at": past}) for _ in range(2)]
    answer = api().create_interactions_bulk_retrievers_batch(
        mixpeek.models.BulkInteractionsRequest(interactions=rows)
    )
    assert (answer.created, answer.failed, answer.errors) == (1, 0, None)
    assert [each.status for each in answer.results] == ["created", "deduplicated"]
    assert len({each.interaction_id for each in answer.results}) == 1
    stored = api().get_interaction_retrievers(answer.results[0].interaction_id)
    assert stored.occurred_at == past


def test_filters_sort_and_cursors_work(mixpeek, api):
    calls = api()
    for number in range(5):
        row = {**ROW, "feature_id": f"d{number}", "position": number}
        calls.create_interaction_retrievers(mixpeek.models.SearchInteraction(**row))
    # A condition's value is no plain number in this client; its shorthand takes one.
    tree = mixpeek.models.LogicalOperatorInput.from_dict({"position": {"gte": 2}})
    request = mixpeek.models.ListInteractionsRequest(
        filters=tree, sort=mixpeek.models.SortOption(field="position", direction="asc")
    )
    first = calls.list_interactions_retrievers(list_interactions_request=request, limit=2)
    assert [each.position for each in first.results] == [2, 3]
    second = calls.list_interactions_retrievers(
        list_interactions_request=request, limit=2, cursor=first.pagination.next_cursor
    )
    assert [each.position for each in second.results] == [4]
    assert second.pagination.next_cursor is None


@pytest.mark.parametrize(
    ("role", "token", "status"), [("read", None, 403), ("ingest", "rl_wrong", 401)]
)
def test_refusals_are_the_clients_own_errors(mixpeek, api, role, token, status):
    with pytest.raises(mixpeek.ApiException) as refused:
        api(role, token).create_interaction_retrievers(mixpeek.models.SearchInteraction(**ROW))
    assert refused.value.status == status
    error = mixpeek.models.ErrorResponse.from_json(refused.value.body)
    assert (error.success, error.status) == (False, status)
    assert error.error.message
