"""Webhooks as values: who sent one, which push it tells of, and whether anybody follows that."""

import hashlib
import hmac
import json
from base64 import b64encode
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.poller.hooks.concern import moves, names
from services.poller.hooks.limits import Bucket, Remembered
from services.poller.hooks.payloads import Other, Ping, Push, said
from services.poller.hooks.refusals import HookRefusedError
from services.poller.hooks.repositories import address_of, same_repository, shown
from services.poller.hooks.secret_file import SecretFile
from services.poller.hooks.signatures import Delivery, Provider, event_of, id_of, prove, provider_of
from services.poller.state import Followed
from tests.support.data import data_path
from tests.support.forges import FORGES, WRONG, Posted, pushed, signed, without

SECRET = "a-secret-of-a-hook"
URL = "https://git.example.org/team/fleet.git"
REPOSITORY = "https://git.example.org/team/fleet"
LONG = 100_000
FIRST_OF_SET = 1_790_000_000
"""When the signed delivery of the sample set was sent."""


def cases(name):
    return [json.loads(line) for line in data_path(name).read_text().split("\n") if line]


def delivery_of(posted: Posted) -> Delivery:
    return Delivery({name.lower(): value for name, value in posted.headers.items()}, posted.body)


def proven(delivery, *secrets, now_s=None):
    """Tell whether a delivery is from somebody who knows a secret."""
    if now_s is None:
        now_s = float(delivery.headers.get("webhook-timestamp", 0))
    try:
        prove(provider_of(delivery), delivery, secrets, now_s)
    except HookRefusedError as refusal:
        return refusal.code != "hook.unauthentic"
    return True


def said_by(posted):
    delivery = delivery_of(posted)
    return said(provider_of(delivery), delivery)


def followed(ref="", repository=REPOSITORY):
    return Followed(repository=repository, asked_ref=ref)


class TestSamples:
    """What others send, and what it means."""

    def test_who_sent_it_and_which_push_it_tells_of(self):
        for case in cases("webhooks.jsonl"):
            given, expected = case["input"], case["expected"]
            headers = {name.lower(): value for name, value in given["headers"].items()}
            delivery = Delivery(headers, given["body"].encode())
            authentic = proven(delivery, given["secret"], now_s=FIRST_OF_SET)
            assert expected["authentic"] in {None, authentic}, case["case"]
            provider = provider_of(delivery) if authentic else None
            if provider is not None:
                self.check_push(case["case"], provider, delivery, expected)

    def check_push(self, name, provider, delivery, expected):
        found, push = said(provider, delivery), expected.get("push")
        assert event_of(provider, delivery) in {expected["event"], ""}, name
        assert isinstance(found, Push if push else Other), name
        if push:
            assert list(found.refs) == ([push["ref"]] if "ref" in push else [each["ref"] for each in push["changes"]])
            assert set(push.get("repo_urls", ())) <= set(found.repositories), name
            if "repo" in push:
                assert any(same_repository(push["repo"], each) for each in found.repositories), name

    def test_whether_a_push_concerns_a_ref(self):
        for case in cases("webhook_ref_match_argo.jsonl"):
            payload = case["input"]["payload"]
            if "push" in payload:
                refs = ["refs/heads/" + each["new"]["name"] for each in payload["push"]["changes"]]
            else:
                refs = [payload["ref"]] if "ref" in payload else [each["ref"]["id"] for each in payload["changes"]]
            found = moves(Push(refs=tuple(refs)), followed(case["input"]["target_revision"]))
            assert found is case["expected"]["refresh"], case["case"]

    def test_whether_two_texts_name_one_repository(self):
        for case in cases("repo_urls_argo.jsonl"):
            given, expected = case["input"], case["expected"]
            if "same" in expected:
                assert same_repository(given["a"], given["b"]) is expected["same"], case["case"]
            elif "match" in expected:
                assert same_repository(given["repo_url"], given["web_url"]) is expected["match"], case["case"]
            elif "ssh" in expected:
                assert (address_of(given["url"]).scheme == "ssh") is expected["ssh"], case["case"]
            else:
                assert shown(given["url"]) == expected["url"], case["case"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (URL, "git@git.example.org:team/fleet"),
        (URL, "someone@git.example.org:team/fleet.git"),
        (URL, "GIT@GIT.EXAMPLE.ORG:22:TEAM/FLEET"),
        (URL, "ssh://git@git.example.org:22/team/fleet.git/"),
        (URL, "ssh://git@ssh.git.example.org:443/team/fleet.git"),
        (URL, "ssh://git@altssh.git.example.org:443/team/fleet.git"),
        (URL, "http://token@git.example.org:8080/team/fleet"),
        ("ssh://ssh.example.org/a", "https://ssh.example.org/a"),
        ("https://git.example.org/a%20b", "https://git.example.org/a%20b"),
        ("https://[2001:db8::1]:8443/a/b", "ssh://git@[2001:db8::1]/a/b"),
        ("https://bitbucket.example.org/scm/team/fleet.git", "TEAM/fleet"),
        ("/srv/git/fleet.git", "/srv/git/fleet"),
        ("https://dev.azure.com/org/web/_git/api", "git@ssh.dev.azure.com:v3/org/web/api"),
        ("https://dev.azure.com/org/web/_git/api", "https://org@dev.azure.com/org/web/_git/api"),
        ("https://dev.azure.com/org/web/_git/web", "https://org.visualstudio.com/DefaultCollection/_git/web"),
        ("https://dev.azure.com/org/web/_git/api", "org@vs-ssh.visualstudio.com:v3/org/web/api"),
    ],
)
def test_spellings_of_one_repository_are_equal(one, other):
    assert same_repository(one, other)
    assert same_repository(other, one)


@pytest.mark.parametrize(
    "other",
    [
        "",
        "   ",
        "https://",
        "https:///team/fleet",
        "://git.example.org/team/fleet",
        "https://git-example.org/team/fleet",
        "https://git.example.org/team/fleet-2",
        "https://git.example.org/team/fleet/more",
        "https://git.example.org/team//fleet",
        "https://other.git.example.org/team/fleet",
        "ssh://git@unknown.git.example.org/team/fleet",
        "ssh://-oProxyCommand=x@git.example.org/team/fleet",
        "https://git.example.org@evil.example/team/fleet",
        "https://evil.example/git.example.org/team/fleet",
        "other/fleet",
        "/srv/team/fleet",
        "https://.*/team/fleet",
        "https://git.example.org/team/f....",
    ],
)
def test_other_repositories_are_others(other):
    assert not same_repository(URL, other)
    assert not same_repository(other, URL)


def test_what_stands_before_a_host_is_not_shown():
    assert shown("https://user:password@git.example.org/a") == "https://git.example.org/a"


@pytest.mark.parametrize("forge", FORGES)
class TestEachForge:
    """S12, A26: what each forge sends."""

    def test_a_push_is_known_with_its_repository_and_ref_and_no_commit(self, forge):
        found = said_by(pushed(forge, SECRET, URL, "refs/heads/main"))

        assert found.refs == ("refs/heads/main",)
        assert names(found, REPOSITORY)
        assert WRONG not in repr(found)

    def test_a_tag_is_known(self, forge):
        assert said_by(pushed(forge, SECRET, URL, "refs/tags/v1.2.3")).refs == ("refs/tags/v1.2.3",)

    def test_it_is_proven_by_the_secret_alone(self, forge):
        delivery = delivery_of(pushed(forge, SECRET, URL))

        assert proven(delivery, SECRET)
        assert not proven(delivery, "another-secret")
        assert not proven(delivery, SECRET + "x")

    def test_it_is_proven_while_a_secret_is_exchanged(self, forge):
        assert proven(delivery_of(pushed(forge, SECRET, URL)), "the-new-one", SECRET)

    def test_without_its_signature_it_is_refused(self, forge):
        delivery = delivery_of(without(pushed(forge, SECRET, URL), *FORGES[forge].unsigned))

        assert not proven(delivery, SECRET)

    @pytest.mark.parametrize(
        "value", ["", "x", "sha256=", "v1,", "Basic ", "Basic !", "\udcff", "é", "sha1=" + "0" * 40]
    )
    def test_a_signature_that_is_none_is_refused(self, forge, value):
        posted = pushed(forge, SECRET, URL)
        headers = posted.headers | dict.fromkeys(FORGES[forge].unsigned, value)

        assert not proven(delivery_of(Posted(headers, posted.body)), SECRET)

    def test_a_changed_body_is_refused(self, forge):
        delivery = delivery_of(pushed(forge, SECRET, URL))

        changed = replace(delivery, body=delivery.body.replace(b"main", b"evil"))
        assert proven(changed, SECRET) is not FORGES[forge].signs_body

    @pytest.mark.parametrize(
        "body",
        [b"", b"null", b"[]", b'"text"', b"{", b"\xff\xfe", b'{"ref": 1}', b"[" * LONG, b'{"a":' * LONG, b"payload={}"],
        ids=["empty", "null", "list", "text", "cut", "no-utf8", "number", "deep-list", "deep-object", "form"],
    )
    def test_what_is_no_push_says_what_is_wrong(self, forge, body):
        with pytest.raises(HookRefusedError) as refused:
            said_by(signed(forge, SECRET, body))

        assert refused.value.code == "hook.malformed"
        assert len(str(refused.value)) < 1000

    @pytest.mark.parametrize("text", ["/", "a/", "@", ":", ".", "://", "%", "(a+)+$", "refs/tags/1.", "-", "\\", "["])
    def test_hostile_strings_are_refused_or_compared_at_once(self, forge, text):
        """S11: no pattern is made of what somebody sends, and nothing long is compared at all."""
        hostile = text * (LONG // len(text))
        for posted in (pushed(forge, SECRET, hostile), pushed(forge, SECRET, URL, "refs/tags/" + hostile)):
            with pytest.raises(HookRefusedError, match="at most 2000 characters"):
                said_by(posted)

    def test_it_can_come_as_a_form(self, forge):
        posted = pushed(forge, SECRET, URL)
        form = urlencode({"payload": posted.body.decode()}).encode()
        delivery = delivery_of(Posted(posted.headers | {"Content-Type": "application/x-www-form-urlencoded"}, form))

        assert said(provider_of(delivery), delivery) == said_by(posted)


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_texts_are_compared_without_an_error(one, other):
    """S11."""
    assert same_repository(one, other) is same_repository(other, one)
    moves(Push(refs=(one, "refs/tags/" + one)), followed(other))


def test_a_forge_is_known_by_its_own_headers_before_those_it_imitates():
    gitea = delivery_of(pushed("gitea", SECRET, URL, delivery="7"))

    assert (provider_of(gitea), event_of(Provider.GITEA, gitea), id_of(Provider.GITEA, gitea)) == ("gitea", "push", "7")


def test_a_sha1_signature_proves_nothing():
    """GitHub sends one for old receivers beside the better one."""
    posted = pushed("github", SECRET, URL)
    headers = without(posted, "X-Hub-Signature-256").headers | {"X-Hub-Signature": "sha1=" + "0" * 40}

    assert not proven(delivery_of(Posted(headers, posted.body)), SECRET)


def test_a_bad_signature_of_gitlab_is_not_rescued_by_a_good_token():
    posted = pushed("gitlab-signed", "another", URL)

    assert not proven(delivery_of(Posted(posted.headers | {"X-Gitlab-Token": SECRET}, posted.body)), SECRET)


@pytest.mark.parametrize("forge", ["gitlab-signed", "standard"])
@pytest.mark.parametrize("age_s", [-301, 301])
def test_an_old_signature_is_refused(forge, age_s):
    """A26: a delivery that somebody kept is not taken later."""
    delivery = delivery_of(pushed(forge, SECRET, URL))
    sent = int(delivery.headers["webhook-timestamp"])

    assert proven(delivery, SECRET, now_s=sent)
    assert not proven(delivery, SECRET, now_s=sent + age_s)


@pytest.mark.parametrize("stamp", ["", "soon", "1e9", "9" * 5000, "١٢٣", "-1"])
def test_a_time_that_is_none_is_refused(stamp):
    posted = pushed("standard", SECRET, URL)

    assert not proven(delivery_of(Posted(posted.headers | {"webhook-timestamp": stamp}, posted.body)), SECRET, now_s=0)


def test_a_standard_secret_is_a_key_in_base64():
    key = bytes(range(32))
    text = b"id.1790000000.{}"
    signature = "v1,AAAA v1," + b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
    headers = {"webhook-id": "id", "webhook-timestamp": "1790000000", "webhook-signature": signature}

    assert proven(Delivery(headers, b"{}"), "whsec_" + b64encode(key).decode())


def test_azure_takes_the_secret_as_password_or_as_both():
    delivery = delivery_of(pushed("azure", SECRET, URL))

    assert proven(delivery, f"towline:{SECRET}")
    assert not proven(delivery, f"other:{SECRET}")
    assert not proven(delivery, "towline")


@pytest.mark.parametrize(
    ("forge", "event"),
    [
        ("github", {"X-GitHub-Event": "issues"}),
        ("gitea", {"X-Gitea-Event": "create"}),
        ("gitlab", {"X-Gitlab-Event": "Merge Request Hook"}),
        ("bitbucket", {"X-Event-Key": "pullrequest:created"}),
    ],
)
def test_other_events_move_no_ref(forge, event):
    posted = pushed(forge, SECRET, URL)

    assert said_by(Posted(posted.headers | event, posted.body)) == Other(next(iter(event.values())))


@pytest.mark.parametrize(
    ("forge", "event"), [("github", {"X-GitHub-Event": "ping"}), ("bitbucket", {"X-Event-Key": "diagnostics:ping"})]
)
def test_a_ping_is_a_ping(forge, event):
    posted = signed(forge, SECRET, {"zen": "Design for failure.", "test": True})

    assert said_by(Posted(posted.headers | event, posted.body)) == Ping()


def test_system_hooks_of_gitlab_tell_of_pushes_and_of_much_else():
    push = FORGES["gitlab"].payload(URL, "refs/tags/v1") | {"object_kind": "", "event_name": "tag_push"}
    headers = {"X-Gitlab-Event": "System Hook"}
    tag = signed("gitlab", SECRET, push)
    user = signed("gitlab", SECRET, {"event_name": "user_create", "name": "Ada"})

    assert said_by(Posted(tag.headers | headers, tag.body)).refs == ("refs/tags/v1",)
    assert said_by(Posted(user.headers | headers, user.body)) == Other("System Hook")


@pytest.mark.parametrize("event", ["create", "delete"])
def test_gogs_tells_of_tags_in_its_own_way(event):
    payload = FORGES["gogs"].payload(URL, "v1.0.0") | {"ref_type": "tag"}
    posted = signed("gogs", SECRET, payload)

    assert said_by(Posted(posted.headers | {"X-Gogs-Event": event}, posted.body)).refs == ("refs/tags/v1.0.0",)


def test_a_deleted_branch_of_bitbucket_is_a_push():
    payload = FORGES["bitbucket"].payload(URL, "refs/heads/main")
    change = payload["push"]["changes"][0]
    change["old"], change["new"] = change["new"], None

    assert said_by(signed("bitbucket", SECRET, payload)).refs == ("refs/heads/main",)


def test_an_old_bitbucket_server_names_project_and_repository_only():
    payload = FORGES["bitbucket-server"].payload(URL, "refs/heads/main")
    payload["repository"] = {"slug": "fleet", "project": {"key": "TEAM"}}
    found = said_by(signed("bitbucket-server", SECRET, payload))

    assert names(found, "https://bitbucket.example.org/scm/team/fleet.git")
    assert not names(found, "https://bitbucket.example.org/scm/other/fleet.git")


@pytest.mark.parametrize("forge", ["standard", "generic"])
def test_a_generic_delivery_may_leave_everything_to_its_secret(forge):
    assert said_by(signed(forge, SECRET, {})) == Push()


@pytest.mark.parametrize(
    ("asked", "refs", "concerned"),
    [
        ("main", ["refs/heads/main"], True),
        ("main", ["refs/heads/other", "refs/heads/main"], True),
        ("main", ["refs/heads/maintenance"], False),
        ("main", ["refs/heads/feature/main"], False),
        ("main", [], False),
        ("refs/heads/main", ["refs/heads/main"], True),
        ("v1.x", ["refs/tags/v1.9.0"], True),
        ("v1.x", ["refs/tags/v2.0.0"], False),
        ("v1.x", ["refs/heads/v1.9.0"], False),
        ("v1.x", ["refs/heads/v1.x"], True),
        (">=1.2 <2", ["refs/tags/1.2.0"], True),
        (">=1.2 <2", ["refs/tags/1.2.0-rc.1"], False),
        ("v1.2.3", ["refs/tags/v1.2.3"], True),
        ("0" * 40, ["refs/heads/main"], False),
        ("", ["refs/heads/main"], True),
        ("", ["refs/heads/other"], False),
    ],
)
def test_a_push_concerns_who_follows_what_it_moved(asked, refs, concerned):
    assert moves(Push(refs=tuple(refs), default_branch="main"), followed(asked)) is concerned


def test_where_the_default_branch_is_not_known_any_push_may_be_about_it():
    assert moves(Push(refs=("refs/heads/any",)), followed(""))


@given(st.lists(st.floats(0, 100), max_size=50))
def test_no_more_passes_than_allowed(waits):
    """S12: a flood of proven deliveries is bounded."""
    bucket, now, passed = Bucket(5, 0.5), 0.0, 0
    for wait in waits:
        now += wait
        passed += bucket.take(now)

    assert passed <= 5 + 0.5 * now + 1e-6


def test_what_is_remembered_is_bounded_and_the_newest():
    """I11."""
    seen = Remembered(100)
    for number in range(10_000):
        assert seen.add([str(number).encode()])

    assert not seen.add([b"9999", b"new"])
    assert seen.add([b"0"])
    assert len(seen._keys) <= 100


class TestSecretFile:
    """The secrets of the hub's owner."""

    @pytest.mark.parametrize(
        ("text", "secrets", "called"),
        [
            ('{"fleet": "one"}', ["one"], ()),
            ('{"fleet": ["new", "old"]}', ["new", "old"], ()),
            ('{"fleet": {"secrets": ["one"], "called": ["https://h/x"]}}', ["one"], ("https://h/x",)),
        ],
    )
    def test_a_secret_a_list_or_more(self, tmp_path, text, secrets, called):
        (tmp_path / "hooks").write_text(text)
        hook = SecretFile(tmp_path / "hooks").hooks()["fleet"]

        assert (hook.texts, hook.called) == (secrets, called)
        assert "one" not in repr(hook)

    def test_it_is_read_again_when_it_changes(self, tmp_path):
        file = SecretFile(tmp_path / "hooks")
        assert file.hooks() == {}
        for secret in ("one", "another"):
            (tmp_path / "hooks").write_text(json.dumps({"fleet": secret}))
            assert file.hooks()["fleet"].texts == [secret]
        (tmp_path / "hooks").unlink()

        assert file.hooks() == {}

    @pytest.mark.parametrize(
        "text",
        ["", "geheim", '["geheim"]', '{"fleet": ""}', '{"fleet": []}', '{"fleet": {"geheim": 1}}', '{"fleet": 7}'],
    )
    def test_one_that_cannot_be_used_says_where_and_shows_nothing(self, tmp_path, text):
        (tmp_path / "hooks").write_text(text)
        with pytest.raises(HookRefusedError) as refused:
            SecretFile(tmp_path / "hooks").hooks()

        assert refused.value.code == "hook.secrets"
        assert str(tmp_path / "hooks") in refused.value.message
        assert "geheim" not in str(refused.value).replace("fleet.geheim", "")
