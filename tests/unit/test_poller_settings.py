"""What people write for the poller is read strictly, and what is secret is not repeated."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from services.poller.credentials import CredentialsFile, CredentialsFileError
from services.poller.permits import permits_of
from services.poller.settings import PollerSettings, Source, parse_source
from shared.errors import PermanentError
from shared.git.urls import UrlError, parse_url
from shared.runtime.settings import SettingsError, read_settings


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("fleet=https://git.example.org/fleet.git", Source("fleet", "https://git.example.org/fleet.git")),
        ("fleet=https://git.example.org/fleet#main", Source("fleet", "https://git.example.org/fleet", "main")),
        ("a-1=https://h:8443/x#refs/heads/a/b", Source("a-1", "https://h:8443/x", "refs/heads/a/b")),
        ("lib=https://h/lib#>=1.2,<2", Source("lib", "https://h/lib", ">=1.2,<2")),
        ("fleet=/srv/git/fleet.git#" + "a" * 40, Source("fleet", "/srv/git/fleet.git", "a" * 40)),
        ("fleet=./fleet", Source("fleet", str(Path.cwd() / "fleet"))),
        ("fleet=http://127.0.0.1:3000/x", Source("fleet", "http://127.0.0.1:3000/x")),
    ],
)
def test_a_source_is_a_name_a_url_and_a_ref(text, source):
    assert parse_source(text) == source


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("https://git.example.org/fleet.git", "has a name"),
        ("fleet=", "has a name"),
        ("=https://h/x", "has a name"),
        ("Fleet=https://h/x", "must match"),
        ("hub=https://h/x", "reserved"),
        ("fleet=http://git.example.org/x", "not encrypted"),
        ("fleet=ftp://h/x", "'ftp'"),
        ("fleet=git.example.org/x", "not a URL"),
        ("fleet=https://h/x#a..b", "no name of a ref"),
        ("fleet=https://h/../x", "goes up"),
    ],
)
def test_what_is_no_source_is_refused_with_a_reason(text, says):
    with pytest.raises(PermanentError, match=says):
        parse_source(text)


@pytest.mark.parametrize(
    "text", ["fleet=https://me:s3cret@h/x", "https://me:s3cret@h/x?a=b", "me:s3cret@h=https://h/x"]
)
def test_a_credential_in_a_source_is_refused_and_not_repeated(text):
    with pytest.raises(PermanentError) as refused:
        parse_source(text)

    assert "s3cret" not in str(refused.value)


def settings(tmp_path, **changes):
    return PollerSettings(data=tmp_path, bus_credentials=tmp_path / "none", **changes)


def test_sources_come_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("TOWLINE_POLLER_SOURCES", "a=https://h/a#>=1.2, <2 ,b=https://h/b")

    assert settings(tmp_path).sources == (Source("a", "https://h/a", ">=1.2, <2"), Source("b", "https://h/b"))


def test_every_wrong_setting_is_named_at_once(tmp_path):
    with pytest.raises(ValidationError) as refused:
        settings(tmp_path, sources=("a=nowhere", "b=ftp://h/x"), allow=("not a url",), interval_s=0)

    assert refused.value.error_count() == 4


def test_two_sources_of_one_name_are_refused(tmp_path):
    with pytest.raises(ValidationError, match="two sources are called a"):
        settings(tmp_path, sources=("a=https://h/a", "a=https://h/b"))


SOURCES = ("https://git.example.org/team/fleet.git", "/srv/git/fleet.git")


@pytest.mark.parametrize(
    ("allow", "url", "allowed"),
    [
        ((), "https://git.example.org/other/lib", True),
        ((), "https://git.example.org.evil.net/lib", False),
        ((), "https://git.example.org:8443/lib", False),
        ((), "http://127.0.0.1/lib", False),
        ((), "/srv/git/fleet.git", True),
        ((), "/srv/git/other.git", False),
        (("https://git.example.org/team",), "https://git.example.org/team/lib", True),
        (("https://git.example.org/team",), "https://git.example.org/teammate/lib", False),
        (("https://git.example.org/team",), "https://git.example.org/other/lib", False),
        (("https://libs.example.org",), "https://libs.example.org/any", True),
        (("https://libs.example.org",), "https://git.example.org/team/fleet", True),
        (("/srv/git",), "/srv/git/other.git", True),
    ],
)
def test_the_hub_fetches_only_where_it_may(allow, url, allowed):
    permits = permits_of(SOURCES, allow)

    if allowed:
        assert permits.location(url) == parse_url(url, allow_insecure=True)
    else:
        with pytest.raises(UrlError) as refused:
            permits.location(url)
        assert refused.value.code == "source.not-allowed"


def credentials(tmp_path, *entries):
    file = tmp_path / "credentials.json"
    file.write_text(json.dumps(entries))
    return CredentialsFile(file)


def test_the_longest_prefix_gives_the_credential(tmp_path):
    known = credentials(
        tmp_path, {"url": "https://h", "token": "t"}, {"url": "https://h/team", "username": "ci", "password": "p"}
    )

    assert known.for_place(parse_url("https://h/other/x")).password == "t"
    assert known.for_place(parse_url("https://h/team/x.git")).username == "ci"
    assert known.for_place(parse_url("https://other/team/x")) is None
    assert "p'" not in repr(known.for_place(parse_url("https://h/team/x")))


def test_without_a_file_there_are_no_credentials(tmp_path):
    assert CredentialsFile(tmp_path / "none").for_place(parse_url("https://h/x")) is None


@pytest.mark.parametrize(
    "entry",
    [
        {"url": "https://h", "token": "s3cret", "password": "s3cret"},
        {"url": "https://h", "tokn": "s3cret"},
        {"url": "https://me:s3cret@h", "token": "s3cret"},
        {"url": "https://h"},
        "s3cret",
    ],
)
def test_a_malformed_file_is_refused_without_being_repeated(tmp_path, entry):
    known = credentials(tmp_path, entry)

    with pytest.raises(CredentialsFileError) as refused:
        known.for_place(parse_url("https://h/x"))

    assert "s3cret" not in str(refused.value)
    assert "credentials.json" in str(refused.value)


def test_rules_of_signatures_are_for_sources_that_there_are(tmp_path):
    given = {
        "data": tmp_path,
        "bus_credentials": tmp_path / "none",
        "sources": "fleet=https://git.example.org/fleet.git",
    }
    rules = read_settings(PollerSettings, **given, verify="fleet=strict:ops+release,fleet=head:lead").rules("fleet")

    assert [(rule.mode, rule.signers) for rule in rules] == [("strict", ("ops", "release")), ("head", ("lead",))]
    for wrong in ("flet=head:ops", "fleet=all:ops", "fleet=head:", "fleet=head:../ops", "fleet"):
        with pytest.raises(SettingsError):
            read_settings(PollerSettings, **given, verify=wrong)
