"""The public client of this interface, unchanged, against the running service."""

import datetime as dt
from types import SimpleNamespace

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


@pytest.fixture(scope="module")
def mixpeek():
    """The client's names, imported where they are needed: that takes seconds."""
    pytest.importorskip("mixpeek")
    from mixpeek import models
    from mixpeek.api.retriever_interactions_api import RetrieverInteractionsApi
    from mixpeek.api_client import ApiClient
    from mixpeek.configuration import Configuration
    from mixpeek.exceptions import ApiException

    return SimpleNamespace(
        models=models,
        RetrieverInteractionsApi=RetrieverInteractionsApi,
        ApiClient=ApiClient,
        Configuration=Configuration,
        ApiException=ApiException,
    )


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
