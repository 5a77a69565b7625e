"""What a git server says about its refs is read as git reads it, or refused."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.git.pktlines import ls_refs_request, pkt_lines, refs_of_version_0, refs_of_version_2
from shared.git.remote import RemoteRef, SourceError

A, B = "a" * 40, "b" * 40


def test_version_0_names_tags_with_what_they_mean():
    lines = [
        b"# service=git-upload-pack",
        f"{A} HEAD\0multi_ack symref=HEAD:refs/heads/main agent=x".encode(),
        f"{A} refs/heads/main".encode(),
        f"{B} refs/tags/v1".encode(),
        f"{A} refs/tags/v1^{{}}".encode(),
    ]

    assert refs_of_version_0(lines) == [
        RemoteRef("HEAD", A, symref="refs/heads/main"),
        RemoteRef("refs/heads/main", A),
        RemoteRef("refs/tags/v1", B, peeled=A),
    ]


def test_version_2_names_tags_with_what_they_mean():
    lines = [f"{A} HEAD symref-target:refs/heads/main".encode(), f"{B} refs/tags/v1 peeled:{A}".encode()]

    assert refs_of_version_2(lines) == [
        RemoteRef("HEAD", A, symref="refs/heads/main"),
        RemoteRef("refs/tags/v1", B, peeled=A),
    ]


def test_the_request_is_what_gitprotocol_v2_shows():
    assert ls_refs_request(["refs/heads/"]) == (
        b"0014command=ls-refs\n0001" + b"0009peel\n" + b"000csymrefs\n" + b"001bref-prefix refs/heads/\n0000"
    )


def test_a_server_in_sha256_format_is_named():
    with pytest.raises(SourceError, match="SHA-1"):
        refs_of_version_0([b"c" * 64 + b" refs/heads/main"])


def test_an_error_line_is_the_servers_word():
    with pytest.raises(SourceError, match="access denied"):
        list(pkt_lines(b"0016ERR access denied\n"))


@given(st.binary(max_size=60))
def test_any_bytes_are_lines_or_refused(data):
    with suppress(SourceError):
        assert sum(len(line) for line in pkt_lines(data)) <= len(data)
