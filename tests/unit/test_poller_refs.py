"""A wanted ref means one commit or has a reason not to; histories have names."""

import pytest

from services.poller.refs import Chosen, Doubt, RefError, chosen, commit_of, doubted, history_of, prefixes
from services.poller.versions import order_of, range_of
from shared.git.remote import RemoteRef
from shared.messages.sources import History

A, B, C = "a" * 40, "b" * 40, "c" * 40
REFS = [
    RemoteRef("HEAD", A, symref="refs/heads/main"),
    RemoteRef("refs/heads/main", A),
    RemoteRef("refs/heads/6.x", B),
    RemoteRef("refs/heads/both", A),
    RemoteRef("refs/tags/both", B),
    RemoteRef("refs/tags/v1.2.0", B, peeled=C),
    RemoteRef("refs/tags/v1.10.0", A),
    RemoteRef("refs/tags/v1.11.0-rc.1", B),
    RemoteRef("refs/tags/v2.0.0", B),
    RemoteRef(f"refs/heads/{C}", A),
]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("", Chosen("refs/heads/main", A)),
        ("main", Chosen("refs/heads/main", A)),
        ("refs/tags/both", Chosen("refs/tags/both", B)),
        ("v1.2.0", Chosen("refs/tags/v1.2.0", C)),
        ("v1.x", Chosen("refs/tags/v1.10.0", A)),
        (">=1.2 <2", Chosen("refs/tags/v1.10.0", A)),
        (">=1.11.0-0", Chosen("refs/tags/v2.0.0", B)),
        ("6.x", Chosen("refs/heads/6.x", B)),
    ],
)
def test_a_wanted_ref_means_a_commit(asked, expected):
    assert chosen(asked, REFS) == expected


@pytest.mark.parametrize(
    ("asked", "code"),
    [("gone", "source.ref-missing"), ("9.x", "source.ref-missing"), ("both", "source.ref-ambiguous")],
)
def test_a_ref_that_means_no_commit_says_why(asked, code):
    with pytest.raises(RefError) as refused:
        chosen(asked, REFS)

    assert refused.value.code == code


def test_a_repository_without_a_default_branch_says_so():
    with pytest.raises(RefError, match="default branch"):
        chosen("", [RemoteRef("refs/heads/x", A)])


def test_a_detached_head_is_the_branch_with_its_commit():
    assert chosen("", [RemoteRef("HEAD", A), RemoteRef("refs/heads/master", A)]).ref == "refs/heads/master"


@pytest.mark.parametrize(
    "asked", ["-x", "a..b", "HEAD@{1}", "a b", "a\nb", "a^", "a:b", "a~1", "/a", "a/", "x.lock", "a*b"]
)
def test_what_is_no_name_of_a_ref_is_refused(asked):
    with pytest.raises(RefError):
        prefixes(asked)


def test_a_full_commit_id_is_a_commit_even_where_a_branch_has_that_name():
    assert commit_of(C.upper()) == C
    assert commit_of(C[:39]) == ""


@pytest.mark.parametrize(
    ("wanted", "version", "inside"),
    [
        ("1.x", "1.0.0", True),
        ("v1.x", "2.0.0", False),
        ("1.2.x", "v1.2.9", True),
        ("1.2.x", "1.3.0", False),
        ("*", "0.0.1", True),
        ("^1.2.3", "1.9.0", True),
        ("^1.2.3", "1.2.2", False),
        ("^0.2.3", "0.3.0", False),
        ("^0.0.3", "0.0.4", False),
        ("~1.2.3", "1.2.9", True),
        ("~1.2.3", "1.3.0", False),
        ("~1", "1.9.0", True),
        (">1.2", "1.2.9", False),
        (">1.2", "1.3.0", True),
        (">1.2.3", "1.2.4", True),
        (">1.2.3", "1.2.3", False),
        ("<=1.2", "1.2.9", True),
        ("<=1.2.3", "1.2.3", True),
        ("<2", "2.0.0", False),
        (">= 1.2, < 1.4", "1.3.5", True),
        ("1.x || 3.x", "3.1.0", True),
        ("1.x || 3.x", "2.1.0", False),
        ("1.x", "1.5.0-rc.1", False),
        (">=1.5.0-alpha", "1.5.0-rc.1", True),
        (">=1.5.0-rc.2", "1.5.0-rc.10", True),
        ("^*", "4.0.0", True),
        ("1.x", "2024.01.15", False),
        ("2024.x", "2024.01.15", True),
        ("^1.0.0-rc.1", "2.0.0-rc.1", False),
        ("<2", "2.0.0-rc.1", False),
        (">1.0.0-rc.1 <1.0.0", "1.0.0-rc.1.0", True),
        ("1.x", "1.2.3+build.5", True),
    ],
)
def test_ranges_hold_the_versions_that_people_expect(wanted, version, inside):
    assert (order_of(version) in range_of(wanted)) is inside


@pytest.mark.parametrize(
    "text", ["main", "v1.2.3", "1", "release=1", "feature x", ">=", "||", "=>1", "x.y.z", "fix.x-ray"]
)
def test_other_texts_are_no_ranges(text):
    assert range_of(text) is None


@pytest.mark.parametrize(
    ("previous", "now", "builds_on", "history"),
    [
        (None, Chosen("refs/heads/main", A), False, History.FIRST),
        (Chosen("refs/heads/main", A), Chosen("refs/heads/main", B), True, History.FORWARD),
        (Chosen("refs/heads/main", A), Chosen("refs/heads/main", B), False, History.REWRITTEN),
        (Chosen("refs/tags/v1", A), Chosen("refs/tags/v1", B), True, History.REWRITTEN),
        (Chosen("refs/tags/v1.0.0", A), Chosen("refs/tags/v1.1.0", B), False, History.FORWARD),
        (Chosen("refs/tags/v1.1.0", A), Chosen("refs/tags/v1.0.0", B), False, History.REWRITTEN),
        (Chosen("refs/tags/v1.1.0", A), Chosen("refs/tags/1.1.0+b2", B), False, History.FORWARD),
        (Chosen("refs/heads/v1.1.0", A), Chosen("refs/tags/v1.0.0", B), False, History.FORWARD),
    ],
)
def test_a_history_is_named_by_what_its_ref_promises(previous, now, builds_on, history):
    assert history_of(previous, now, builds_on=builds_on) is history


def test_a_tip_that_goes_back_is_believed_when_it_stays():
    once = doubted(None, A)
    twice = doubted(once, A)

    assert (once, twice, doubted(twice, A)) == (Doubt(A, 1), Doubt(A, 2), None)


def test_tips_shown_in_turn_are_never_believed():
    doubt = None
    for commit in [A, B] * 50:
        doubt = doubted(doubt, commit)

    assert doubt == Doubt(B, 1)


@pytest.mark.parametrize(
    "tag", ["1.2", "v1", "1.2.3.4", "1.2.3-", "1.2.3-a..b", "1.2.3+", "release-1.2.3", "V1.2.3", ""]
)
def test_other_tags_are_no_versions(tag):
    assert order_of(tag) is None


def test_build_metadata_and_a_v_make_no_version_higher():
    assert order_of("v1.2.3") == order_of("1.2.3") == order_of("1.2.3+build.9")


@pytest.mark.parametrize("order", [1, -1])
def test_of_equal_versions_the_same_tag_counts_whatever_the_server_lists_first(order):
    tags = [RemoteRef(f"refs/tags/{name}", A) for name in ("1.2.3", "1.2.3+b1", "1.2.3+b2", "1.2.2")]

    assert chosen("1.x", tags[::order]).ref == "refs/tags/1.2.3+b2"
