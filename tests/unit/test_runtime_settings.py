"""Settings from the environment: everything wrong is said at once, and nothing secret is echoed."""

import json
import stat
from pathlib import Path

import pytest

from shared.bus.connection import Credentials
from shared.runtime.settings import (
    CredentialsFileError,
    ServiceSettings,
    SettingsError,
    read_credentials,
    read_settings,
    settings_for,
    write_credentials,
)


class ProbeSettings(ServiceSettings):
    model_config = settings_for("probe")

    interval_s: float
    workers: int = 2


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    for name in ("TOWLINE_DATA", "TOWLINE_BUS_URLS", "TOWLINE_PROBE_INTERVAL_S", "TOWLINE_PROBE_BUS_URLS"):
        monkeypatch.delenv(name, raising=False)


def test_all_errors_come_at_once_with_the_variables_to_set(monkeypatch):
    monkeypatch.setenv("TOWLINE_PROBE_WORKERS", "hunter2")
    monkeypatch.setenv("TOWLINE_LOG_LEVEL", "loud")

    with pytest.raises(SettingsError) as caught:
        read_settings(ProbeSettings)

    text = str(caught.value)
    for name in ("TOWLINE_DATA", "TOWLINE_BUS_CREDENTIALS", "TOWLINE_PROBE_INTERVAL_S", "TOWLINE_PROBE_WORKERS"):
        assert name in text
    assert "TOWLINE_LOG_LEVEL" in text
    assert "hunter2" not in text


def test_a_programs_own_variable_wins_over_the_shared_one(monkeypatch):
    monkeypatch.setenv("TOWLINE_DATA", "/data")
    monkeypatch.setenv("TOWLINE_BUS_CREDENTIALS", "/c.json")
    monkeypatch.setenv("TOWLINE_PROBE_INTERVAL_S", "1.5")
    monkeypatch.setenv("TOWLINE_BUS_URLS", "nats://a:1, nats://b:2")
    assert read_settings(ProbeSettings).bus_urls == ("nats://a:1", "nats://b:2")

    monkeypatch.setenv("TOWLINE_PROBE_BUS_URLS", "nats://own:3")
    settings = read_settings(ProbeSettings)

    assert settings.bus_urls == ("nats://own:3",)
    assert settings.interval_s == 1.5


def test_plain_construction_needs_no_environment():
    settings = ProbeSettings(data=Path("/d"), bus_credentials=Path("/c"), bus_urls=("nats://x:1",), interval_s=1)

    assert settings.bus_urls == ("nats://x:1",)


def test_credentials_travel_through_a_file_of_their_owner(tmp_path):
    credentials = Credentials("jwt", "SUSEED", "_INBOX_poller")
    path = tmp_path / "keys" / "poller.json"

    write_credentials(path, credentials)

    assert read_credentials(path) == credentials
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "SUSEED" not in repr(credentials)


def test_an_unusable_credentials_file_is_named_and_not_quoted(tmp_path):
    path = tmp_path / "c.json"
    with pytest.raises(CredentialsFileError, match="hub init"):
        read_credentials(path)
    path.write_text(json.dumps({"seed": "hunter2"}))

    with pytest.raises(CredentialsFileError) as caught:
        read_credentials(path)
    assert "hunter2" not in str(caught.value)
