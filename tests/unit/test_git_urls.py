"""A URL leads where it says, carries no secret, and is one repository in all its spellings."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.git.urls import UrlError, parse_url, prefix_of
from tests.support.data import data_path


@pytest.mark.parametrize(
    "url",
    [
        "https://git.example.org/team/repo",
        "https://GIT.example.org/team/repo.git",
        " https://git.example.org:443/team/repo.git/ ",
    ],
)
def test_spellings_of_one_repository_are_one(url):
    assert parse_url(url).identity == "https://git.example.org/team/repo"


def test_the_url_to_fetch_keeps_what_the_user_wrote():
    assert parse_url("https://h.example:4443/A/b.git").url == "https://h.example:4443/A/b.git"


@pytest.mark.parametrize(
    "url",
    [
        *("", "-https://h/x", "--upload-pack=touch /tmp/x", "ext::sh -c true", "repo", "../repo", "://not a url"),
        *(
            "git://h/x",
            "h:x",
            "git@h::x",
            "git@h://x",
            "git@-oProxyCommand=x:y",
            "-l@h:x",
            "ssh://-l@h/x",
            "ftp://h/x",
            "file:///x",
            "/x",
            "http://h.example/x",
        ),
        *("https:///h/x", "https://", "https://h", "https://h/", "https://h:99999/x", "https://-oProxyCommand=x/y"),
        *(
            "https://h/a/../b",
            "https://h/a/%2e%2e/b",
            "https://h/a%2fb",
            "https://h/a%5cb",
            "https://h/a%0ab",
            "ssh://h/a'b",
        ),
        *(
            "https://h/x\ny",
            "https://h/x y",
            "https://h/x?y=1",
            "https://h/x#y",
            "https://h/-x",
            "https://g\u0456thub.com/x",
        ),
        *("https://h//x", "https://h\\@evil/x"),
    ],
)
@pytest.mark.parametrize("insecure", [False])
def test_what_could_lead_elsewhere_is_refused(url, insecure):
    """S6: before anything is started or asked."""
    with pytest.raises(UrlError):
        parse_url(url, allow_insecure=insecure)


@pytest.mark.parametrize(
    "url", ["https://user:s3cr3t@h/x", "https://s3cr3t@h/x", "ssh://me:s3cr3t@h/x", "me:s3cr3t@h:x", "ftp://s3cr3t@h/x"]
)
def test_a_credential_in_a_url_is_refused_and_not_repeated(url):
    with pytest.raises(UrlError) as refused:
        parse_url(url)

    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize("url", ["/srv/git/x.git", "file:///srv/git/x", "http://127.0.0.1:8080/x", "http://[::1]/x"])
def test_insecure_places_need_permission(url):
    assert parse_url(url, allow_insecure=True).url

    with pytest.raises(UrlError):
        parse_url(url)


def test_http_leaves_this_machine_with_no_permission():
    with pytest.raises(UrlError):
        parse_url("http://git.example.org/x", allow_insecure=True)


@pytest.mark.parametrize(
    ("prefix", "url", "covered"),
    [
        ("https://h", "https://h/team/repo", True),
        ("https://h/", "https://h/team/repo", True),
        ("https://h/team", "https://h/team/repo.git", True),
        ("https://h/team/", "https://h/team", True),
        ("https://h/team/repo.git", "https://h/team/repo", True),
        ("https://h/team", "https://h/team2/repo", False),
        ("https://h/team", "https://h/Team/repo", False),
        ("https://h/team", "https://h:444/team/repo", False),
        ("https://h/team", "https://h.evil/team/repo", False),
        ("http://localhost/team", "https://localhost/team/repo", False),
        ("/srv/git", "/srv/git/a.git", True),
        ("/srv/git", "/srv/gitx/a.git", False),
        ("ssh://h/team", "git@h:team/repo.git", True),
        ("ssh://h", "ssh://me@h/team/repo", True),
        ("ssh://h/team", "git@h:teams/repo.git", False),
        ("ssh://h:2222", "git@h:team/repo", False),
        ("https://h/team", "git@h:team/repo", False),
    ],
)
def test_a_prefix_covers_what_lies_below_it(prefix, url, covered):
    place = prefix_of(prefix, allow_insecure=True)

    assert place.covers(parse_url(url, allow_insecure=True)) is covered


@given(st.text(max_size=30))
def test_every_text_is_a_place_or_refused(text):
    try:
        place = parse_url("https://host/" + text)
    except UrlError:
        return
    assert place.origin == "https://host"
    assert parse_url(place.url) == place


def test_the_same_repository_of_real_spellings_is_the_same():
    for line in data_path("repo_urls_argo.jsonl").read_text().splitlines():
        case = json.loads(line)
        urls = [
            url for url in (case["input"].get("a"), case["input"].get("b")) if url and url.strip().startswith("https")
        ]
        if len(urls) == 2:
            assert (len({parse_url(url).identity for url in urls}) == 1) is case["expected"]["same"], case["case"]


@pytest.mark.parametrize(
    ("text", "url", "user"),
    [
        ("git@H.example.org:team/repo.git", "git@h.example.org:team/repo.git", "git"),
        ("git@h:/srv/git/repo", "ssh://git@h/srv/git/repo", "git"),
        ("ssh://h/srv/git/repo/", "ssh://h/srv/git/repo", ""),
        ("ssh://APKA1.x-y_z@h:2222/v1/repos/a", "ssh://APKA1.x-y_z@h:2222/v1/repos/a", "APKA1.x-y_z"),
    ],
)
def test_places_behind_ssh_have_a_user_and_keep_where_their_path_begins(text, url, user):
    place = parse_url(text)

    assert (place.url, place.user, place.scheme) == (url, user, "ssh")
    assert parse_url(place.url) == place


def test_a_path_in_a_home_and_one_of_the_machine_are_two_repositories_whoever_logs_in():
    assert parse_url("git@h:a/b.git").identity == parse_url("me@h:a/b").identity
    assert parse_url("git@h:a/b").identity != parse_url("ssh://git@h/a/b").identity
