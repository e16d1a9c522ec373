"""Settings: flags win over the environment, that over a file, that over defaults."""

import dataclasses
import itertools

import pytest

from rankloom.cli.serving.serve import TABLES
from rankloom.cli.serving.setting_sources import known_settings, read_settings
from rankloom.errors import InvalidInputError, UnreadableSourceError
from rankloom.service.settings import ListenSettings, ServiceSettings

NEEDED = {"log": "sqlite:///l", "state": "sqlite:///s", "token_file": "t"}


SAMPLES = {
    "rewards": {"a": 1.0, "b": -2.5},
    "root_path": "/x",
    "unix_socket": "s.sock",
    "cors_origins": ("https://a", "http://b:1"),
}


def given(known):
    """Return a value of a setting."""
    if known.kind is bool:
        return True
    if known.is_list:
        return SAMPLES.get(known.name) or known.default or {"a": "1", "b": "2"}
    return NEEDED.get(known.name) or SAMPLES.get(known.name) or known.default or 7


def read(flags=(), environment=(), toml=None, tables=TABLES):
    return read_settings(tables, {**NEEDED, **dict(flags)}, dict(environment), toml)


def test_a_flag_wins_over_a_variable_that_over_the_file_and_that_over_the_default(tmp_path):
    """In all combinations of where a setting is given."""
    for flag, variable, key in itertools.product((None, "1"), (None, "2"), (None, 3)):
        file = tmp_path / "settings.toml"
        file.write_text("" if key is None else f"port = {key}")
        found = read({"port": flag}, {} if variable is None else {"RANKLOOM_PORT": variable}, file)
        given = [int(value) for value in (flag, variable, key) if value is not None]
        assert found.get("port") == (given[0] if given else None)


def test_every_setting_can_be_given_in_each_of_the_three_ways(tmp_path):
    """The same values come out, and the tables take them."""
    values = {name: given(known) for name, known in known_settings(*TABLES).items()}
    texts = {
        name: [f"{k}={v}" for k, v in value.items()]
        if isinstance(value, dict)
        else list(value)
        if isinstance(value, tuple)
        else str(value)
        for name, value in values.items()
    }
    file = tmp_path / "settings.toml"
    as_toml = {n: list(v) if isinstance(v, tuple) else v for n, v in values.items()}
    shown = {n: "true" if v is True else repr(v) for n, v in as_toml.items()}
    plain = [f"{n} = {shown[n]}" for n, v in as_toml.items() if not isinstance(v, dict)]
    named = [
        f"[{n}]\n" + "\n".join(f"{k} = {v!r}" for k, v in values[n].items())
        for n in values
        if isinstance(values[n], dict)
    ]
    file.write_text("\n".join([*plain, *named]))
    variables = {
        f"RANKLOOM_{name.upper()}": text if isinstance(text, str) else ", ".join(text)
        for name, text in texts.items()
    }
    by_flag, by_variable = read(texts), read_settings(TABLES, {}, variables, None)
    assert by_flag == by_variable == read_settings(TABLES, {}, {}, file) == values
    listening = {name: by_flag.pop(name) for name in known_settings(ListenSettings)}
    assert dataclasses.asdict(ListenSettings(**listening)) == listening
    assert dataclasses.asdict(ServiceSettings(**by_flag)) == by_flag


@pytest.mark.parametrize(
    ("environment", "toml", "words"),
    [
        ({"RANKLOOM_LOGS": "x"}, None, ["RANKLOOM_LOGS", "Did you mean 'RANKLOOM_LOG'"]),
        ({}, "prot = 1", ["prot", "Did you mean 'port'", ".toml"]),
        ({}, "zzz = 1", ["no setting is called 'zzz'"]),
        ({"RANKLOOM_PORT": "tcp://10.0.0.1:80"}, None, ["RANKLOOM_PORT", "enableServiceLinks"]),
        ({"RANKLOOM_OPEN_DAYS": "many"}, None, ["RANKLOOM_OPEN_DAYS", "float", "many"]),
        ({}, "port = 'x'", ["port", ".toml", "int"]),
        ({}, "rankers = 5", ["rankers", ".toml"]),
        ({"RANKLOOM_RANKERS": "a=1,a=2"}, None, ["RANKLOOM_RANKERS", "NAME=DIR", "each name once"]),
        ({"RANKLOOM_RANKERS": "a"}, None, ["RANKLOOM_RANKERS", "NAME=DIR"]),
        ({"RANKLOOM_LOG": "x", "RANKLOOM_LOG_FILE": "y"}, None, ["RANKLOOM_LOG_FILE", "got both"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_as_it_was_given(tmp_path, environment, toml, words):
    file = tmp_path / "settings.toml"
    file.write_text(toml or "")
    with pytest.raises(InvalidInputError) as caught:
        read(environment=environment, toml=file)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_variables_that_kubernetes_sets_for_a_service_are_left_alone():
    variables = {
        "RANKLOOM_SERVICE_HOST": "10.0.0.1",
        "RANKLOOM_SERVICE_PORT": "80",
        "RANKLOOM_PORT_80_TCP": "tcp://10.0.0.1:80",
        "RANKLOOM_PORT_80_TCP_ADDR": "10.0.0.1",
        "RANKLOOM_TEST_REDIS_URL": "redis://",
    }
    assert read(environment=variables) == NEEDED


def test_a_setting_that_may_hold_a_password_is_read_from_a_file_and_never_shown(tmp_path):
    secret = tmp_path / "url"
    secret.write_text("sqlite:///secret.db\n")
    for flags, variables in (
        ({"log": None, "log_file": str(secret)}, {}),
        ({"log": None}, {"RANKLOOM_LOG_FILE": str(secret)}),
    ):
        assert read(flags, variables)["log"] == "sqlite:///secret.db"
    assert read({"log": "sqlite:///l"}, {"RANKLOOM_LOG_FILE": str(secret)})["log"] == "sqlite:///l"
    with pytest.raises(UnreadableSourceError, match="RANKLOOM_STATE_FILE"):
        read({"state": None}, {"RANKLOOM_STATE_FILE": str(tmp_path / "none")})
    file = tmp_path / "settings.toml"
    file.write_text("log = ['pass', 'word']")
    with pytest.raises(InvalidInputError) as caught:
        read({"log": None}, toml=file)
    assert "word" not in str(caught.value)


def test_what_is_needed_is_named_with_all_ways_to_give_it(run, tmp_path, monkeypatch):
    for name in NEEDED:
        monkeypatch.delenv(f"RANKLOOM_{name.upper()}", raising=False)
    run("serve", "--state", "s").assert_refused("--log", "RANKLOOM_LOG", "--config")
    run("serve", "--config", tmp_path / "none.toml").assert_refused("--config", "none.toml")
    run("serve", "--prot", "1").assert_refused("--prot", "--port")
    file = tmp_path / "settings.toml"
    file.write_text("log = 'mysql://x'\nstate = 'sqlite:///s'\ntoken_file = 'none'\nport = 70000")
    run("serve", "--config", file).assert_refused("port", "70000", "65,535")
