"""The OpenAPI document: valid, complete, and as true as its examples."""

import json
import re

import jsonschema
import msgspec
import pytest
import schemathesis
from schemathesis.specs.openapi.definitions import OPENAPI_31

from rankloom.service.api.examples import EXAMPLES
from rankloom.service.api.openapi import openapi_document
from rankloom.service.api.routes import ENDPOINTS


@pytest.fixture(scope="module")
def document():
    return json.loads(msgspec.json.encode(openapi_document(ENDPOINTS)))


def operations(document):
    return [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_document_is_valid_openapi_3_1(document):
    jsonschema.Draft202012Validator(OPENAPI_31).validate(document)
    assert schemathesis.openapi.from_dict(document).validate() is None


def test_every_schema_is_valid_json_schema(document):
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_route_of_the_server_is_described_once(document):
    described = {(method.upper(), path) for path, method, _ in operations(document)}
    by_query = {(method, "/v1/retrievers/interactions") for method in ("GET", "DELETE")}
    assert described == {(each.method, each.path) for each in ENDPOINTS} | by_query
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))


def test_every_reference_leads_to_a_component(document):
    references = set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)))
    assert references
    for reference in references:
        node = document
        for step in reference.split("/"):
            node = node[step]


def test_every_path_parameter_is_bounded_and_required(document):
    for path, _, operation in operations(document):
        parameters = {p["name"]: p for p in operation["parameters"] if p.get("in") == "path"}
        assert set(parameters) == set(re.findall(r"\{(\w+)\}", path))
        for parameter in parameters.values():
            assert parameter["required"]
            assert parameter["schema"]["maxLength"] == 1024
            assert parameter["schema"]["minLength"] == 1


def test_only_what_says_nothing_of_tenants_is_open_to_everybody(document):
    unlocked = {path for path, _, operation in operations(document) if not operation["security"]}
    assert unlocked == {"/healthz", "/readyz", "/openapi.json"}


def test_what_deletes_or_decides_needs_admin(document):
    admin = {path for path, _, each in operations(document) if each.get("x-role") == "admin"}
    base = "/v1/retrievers/{retriever_id}/learned-fusion"
    decide = ("enable", "disable", "rollout", "opt-out/{user_id}", "opt-in/{user_id}")
    assert admin >= {f"{base}/{name}" for name in (*decide, "user/{user_id}")}
    deletes = [each for _, method, each in operations(document) if method == "delete"]
    assert deletes
    assert {each["x-role"] for each in deletes} == {"admin"}


@pytest.mark.parametrize("kind", EXAMPLES, ids=lambda kind: kind.__name__)
def test_every_example_is_of_its_type_and_keeps_its_schema(kind, document):
    example = EXAMPLES[kind]
    msgspec.convert(example, kind, strict=True)
    schema = {
        "$ref": f"#/components/schemas/{kind.__name__}",
        "components": document["components"],
    }
    jsonschema.Draft202012Validator(schema).validate(example)


def test_every_operation_with_a_body_shows_an_example(document):
    for _, _, operation in operations(document):
        if "requestBody" in operation:
            assert "example" in operation["requestBody"]["content"]["application/json"]
