"""Requests made from the service's own OpenAPI document: every answer is as documented."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

# Which values a cursor, a segment or a filter may take depends on what is stored: no schema says.
LEFT_OUT = "positive_data_acceptance"
BATCH = "/v1/retrievers/interactions/batch"

# Several long parameters exceed the limit of a head: 400, or 431 by other servers.
CONFIGURATION = """
[checks.negative_data_rejection]
expected-statuses = [
  "400", "401", "403", "404", "405", "406", "409", "415", "422", "428", "429", "431", "5xx"
]
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tested(tmp_path_factory, tokens_for, started, started_address, ranker_folder):
    """A service that has learnt a little, and a function that runs schemathesis against it."""
    folder = tmp_path_factory.mktemp("schemathesis")
    (folder / "schemathesis.toml").write_text(CONFIGURATION, encoding="utf-8")
    tokens = tokens_for(folder / "tokens", "shop")
    with started(folder, "--ranker", f"products={ranker_folder}") as process:
        url = started_address(process)
        admin = tokens.headers("admin")
        with httpx.Client(base_url=url, headers=admin, timeout=120) as http:
            prepare(http)

        def run(role, *options, **named):
            document = f"{url}/openapi.json"
            return schemathesis(document, tokens.of[role], folder, *options, **named)

        yield run
        process.terminate()
        assert process.wait(120) == 0
    assert '"status":500' not in (folder / "stderr").read_text(encoding="utf-8")


def prepare(http):
    """Make the ids of the examples known, so that more than refusals is seen."""
    example = httpx.get(http.base_url.join("/openapi.json")).json()["paths"]
    for path in ("/v1/retrievers/interactions", "/v1/retrievers/interactions/batch"):
        body = example[path]["post"]["requestBody"]["content"]["application/json"]["example"]
        assert http.post(path, json=body).status_code == 200
    body = {"feature_uris": ["mixpeek://text_extractor@v1/embedding"]}
    enable = "/v1/retrievers/ret_abc123/learned-fusion/enable"
    assert http.post(enable, json=body).status_code == 200


def schemathesis(document, token, folder, *options, left_out=LEFT_OUT):
    return subprocess.run(
        [
            *(Path(sys.executable).with_name("schemathesis"), "--no-color", "run", document),
            *("--header", f"Authorization: Bearer {token}", "--exclude-checks", left_out),
            *("--continue-on-failure", "--no-shrink", "--seed", "1"),
            # The machine may be slow; what is answered is looked at here, not when.
            *("--request-timeout", "120", "--suppress-health-check", "too_slow", *options),
        ],
        cwd=folder,
        env={
            **os.environ,
            "SCHEMATHESIS_HOOKS": str(Path(__file__).with_name("schemathesis_hooks.py")),
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_metrics_conform_to_the_document(tested):
    done = tested("metrics", "--include-path", "/metrics", "--max-examples", "5")
    assert done.returncode == 0, done.stdout


def test_batches_conform_to_the_document_and_bad_rows_fail_alone(tested):
    # A row against the schema fails within an answer of status 200.
    left_out = f"{LEFT_OUT},negative_data_rejection"
    options = ("--include-path", BATCH, "--phases", "examples,fuzzing", "--max-examples", "8")
    done = tested("admin", *options, left_out=left_out)
    assert done.returncode == 0, done.stdout


def test_every_answer_conforms_in_long_runs_and_sequences(tested):
    phases = "examples,coverage,fuzzing,stateful"
    options = ("--exclude-path", BATCH, "--max-examples", "100")
    done = tested("admin", "--phases", phases, *options)
    assert done.returncode == 0, done.stdout
