"""What users get wrong: each is one sentence and exit 2, never a traceback."""

import socket

import pytest

from tests.support.script import towline


@pytest.fixture
def taken():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield str(server.getsockname()[1])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("hub run --data {file}", "{file}"),
        ("hub run --data {folder}/hub --listen nonsense", "'nonsense' is no address"),
        ("hub run --data {folder}/hub --listen 127.0.0.1:99999", "is no address"),
        ("hub run --data {folder}/hub --hooks-listen nonsense", "'nonsense' is no address"),
        ("hub run --data {folder}/hub --source nonsense", "NAME=URL"),
        ("hub run --data {folder}/hub --bus nonsense", "'nonsense' is no address of a bus: write nats://HOST:PORT"),
        ("hub run --data {folder}/hub --bus nats://127.0.0.1:99999", "is no address of a bus"),
        ("hub init --data {folder}/hub --bus nonsense", "'nonsense' is no address of a bus"),
        ("hub init --data {file}", "{file}"),
        ("kubesim run --clusters 0 --out {folder}", "0 clusters"),
        ("kubesim run --out {file}", "{file}"),
        ("kubesim run --out {folder} --port {taken}", "address already in use"),
        ("agent run --kubeconfig {folder}/nope --data {folder}/agent", "there is no such file"),
        ("agent run --kubeconfig {file} --data {folder}/agent", "{file}: it is no kubeconfig"),
        ("run applier", "this is no pod: name a kubeconfig in TOWLINE_AGENT_KUBECONFIG [settings.invalid]"),
        ("cluster add c1 --data {file}", "cannot be found"),
        ("validate /proc/self", "/proc/self cannot be read: /proc/self/"),
        ("demo --clusters 2", "give 3 to 200 clusters"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path, taken, arguments, said):
    (tmp_path / "file").write_text("not a folder")
    named = {"file": tmp_path / "file", "folder": tmp_path, "taken": taken}

    ended = towline(*arguments.format(**named).split())

    assert (ended.code, ended.out) == (2, "")
    assert said.format(**named) in ended.err
    assert ended.err.startswith("towline: ")


@pytest.mark.parametrize(
    ("variable", "value"),
    [("TOWLINE_RENDERER_WORKERS", "many"), ("TOWLINE_LOG_LEVEL", "loud")],
)
def test_a_wrong_variable_of_a_hub_is_named(tmp_path, variable, value):
    ended = towline("hub", "run", "--data", tmp_path, "--listen", "127.0.0.1:0", **{variable: value})

    assert ended.code == 2
    assert f"{variable}: " in ended.err.splitlines()[-1]


@pytest.mark.parametrize("line", ['bus = ["nats://127.0.0.1:1"]', 'sources = "fleet"', "listen = 8080"])
def test_a_setting_of_another_form_is_named_with_its_file(tmp_path, line):
    file = tmp_path / "hub.toml"
    file.write_text(line)
    ended = towline("hub", "run", "--data", tmp_path, "--config", file)

    assert ended.code == 2
    assert f"{file}: {line.split()[0]!r} has another form" in ended.err


@pytest.mark.parametrize("address", ["nonsense", "http://[::1", "ftp://127.0.0.1"])
def test_what_is_no_address_of_a_hub_is_called_that(address):
    ended = towline("get", "targets", TOWLINE_HUB=address)

    assert ended.code == 2
    assert ended.err.startswith(f"towline: {address!r} is no address of a hub (write it as http://HOST:PORT)")
