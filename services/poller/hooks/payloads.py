"""What a proven delivery says: which refs of which repository moved. Commits it names are not read at all.

Whatever a forge claims to have now, git is asked; so a revision never comes from here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qs

from pydantic import AliasPath, BaseModel, ConfigDict, Field, ValidationError

from services.poller.hooks.refusals import HookRefusedError
from services.poller.hooks.repositories import LONGEST
from services.poller.hooks.signatures import Delivery, Provider, event_of
from shared.core.refusals import first_problem
from shared.git.remote import HEADS, TAGS

_FORM = "application/x-www-form-urlencoded"
_FIELDS = 16
_CLONES = 16

Text = Annotated[str, Field(max_length=LONGEST)]


@dataclass(frozen=True, slots=True)
class Push:
    """Refs moved, came or went."""

    repositories: tuple[str, ...] = ()
    """What the repository is called; empty where the delivery does not say it."""
    refs: tuple[str, ...] | None = None
    """Full names; None where the delivery does not say it."""
    default_branch: str = ""
    delivery: str = ""
    """What the body calls this delivery, where the headers do not."""


@dataclass(frozen=True, slots=True)
class Ping:
    """The forge tries whether somebody answers."""


@dataclass(frozen=True, slots=True)
class Other:
    """Something else happened."""

    event: str


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


def _at(*path: str, default: Any = ...) -> Any:
    """Return the field that stands at `path` of a payload; without a default it must be there."""
    return Field(default, validation_alias=AliasPath(*path))


def _full(kind: str, name: str) -> str:
    """Return the full name of a ref, `tag` or else a branch."""
    return (TAGS if kind == "tag" else HEADS) + name


class _GitHub(_Part):
    """GitHub's push, which Gitea, Forgejo and Gogs send, too."""

    ref: Text
    clone_url: Text = _at("repository", "clone_url", default="")
    ssh_url: Text = _at("repository", "ssh_url", default="")
    html_url: Text = _at("repository", "html_url", default="")
    default_branch: Text = _at("repository", "default_branch", default="")

    def push(self) -> Push:
        return Push(_named(self.clone_url, self.ssh_url, self.html_url), (self.ref,), self.default_branch)


class _GogsMade(_GitHub):
    """A branch or tag came or went: Gogs tells of tags in no other way."""

    ref_type: Text

    def push(self) -> Push:
        return replace(super().push(), refs=(_full(self.ref_type, self.ref),))


class _GitLab(_Part):
    ref: Text
    http_url: Text = _at("project", "git_http_url", default="")
    ssh_url: Text = _at("project", "git_ssh_url", default="")
    web_url: Text = _at("project", "web_url", default="")
    default_branch: Text | None = _at("project", "default_branch", default="")

    def push(self) -> Push:
        return Push(_named(self.http_url, self.ssh_url, self.web_url), (self.ref,), self.default_branch or "")


class _GitLabSystem(_Part):
    event_name: Text = ""
    object_kind: Text = ""


class _CloudRef(_Part):
    type: Text = "branch"
    name: Text

    @property
    def full(self) -> str:
        return _full(self.type, self.name)


class _CloudChange(_Part):
    new: _CloudRef | None = None
    old: _CloudRef | None = None


class _BitbucketCloud(_Part):
    changes: tuple[_CloudChange, ...] = _at("push", "changes")
    url: Text = _at("repository", "links", "html", "href")

    def push(self) -> Push:
        moved = (change.new or change.old for change in self.changes)
        return Push(_named(self.url), tuple(ref.full for ref in moved if ref is not None))


class _Link(_Part):
    href: Text


class _ServerChange(_Part):
    ref: Text = _at("ref", "id")


class _BitbucketServer(_Part):
    changes: tuple[_ServerChange, ...]
    key: Text = _at("repository", "project", "key")
    slug: Text = _at("repository", "slug")
    clones: Annotated[tuple[_Link, ...], Field(max_length=_CLONES)] = _at("repository", "links", "clone", default=())

    def push(self) -> Push:
        # Older servers do not say where one clones from.
        names = [link.href for link in self.clones] or [f"{self.key}/{self.slug}"]
        return Push(_named(*names), tuple(change.ref for change in self.changes))


class _AzureEvent(_Part):
    event: Text = _at("eventType")


class _AzureUpdate(_Part):
    name: Text


class _Azure(_Part):
    id: Text = ""
    updates: tuple[_AzureUpdate, ...] = _at("resource", "refUpdates")
    url: Text = _at("resource", "repository", "remoteUrl")
    default_branch: Text = _at("resource", "repository", "defaultBranch", default="")

    def push(self) -> Push:
        return Push(_named(self.url), tuple(update.name for update in self.updates), self.default_branch, self.id)


class _Generic(_Part):
    """What others send: both may be left out, for the secret says already which source is meant."""

    repository: Text = ""
    ref: Text = ""

    def push(self) -> Push:
        return Push(tuple(filter(None, [self.repository])), (self.ref,) if self.ref else None)


_Pushed = _GitHub | _GitLab | _BitbucketCloud | _BitbucketServer | _Azure | _Generic
M = TypeVar("M", bound=BaseModel)
_PUSHES: dict[tuple[Provider, str], type[_Pushed]] = {
    (Provider.GITHUB, "push"): _GitHub,
    (Provider.GITEA, "push"): _GitHub,
    (Provider.GOGS, "push"): _GitHub,
    (Provider.GOGS, "create"): _GogsMade,
    (Provider.GOGS, "delete"): _GogsMade,
    (Provider.GITLAB, "Push Hook"): _GitLab,
    (Provider.GITLAB, "Tag Push Hook"): _GitLab,
    (Provider.BITBUCKET, "repo:push"): _BitbucketCloud,
    (Provider.BITBUCKET, "repo:refs_changed"): _BitbucketServer,
    (Provider.AZURE, "git.push"): _Azure,
    (Provider.STANDARD, ""): _Generic,
    (Provider.GENERIC, ""): _Generic,
}
_BITBUCKET_PING = "diagnostics:ping"
_PINGS = {(Provider.GITHUB, "ping"), (Provider.BITBUCKET, _BITBUCKET_PING)}
_SYSTEM = "System Hook"
_SYSTEM_PUSHES = {"push", "tag_push"}


def is_unsigned_ping(provider: Provider, delivery: Delivery) -> bool:
    """Tell whether it is Bitbucket's test of a connection, which it never signs."""
    tested = provider is Provider.BITBUCKET and event_of(provider, delivery) == _BITBUCKET_PING
    return tested and "x-hub-signature" not in delivery.headers


def said(provider: Provider, delivery: Delivery) -> Push | Ping | Other:
    """Return what a delivery says.

    Raises:
        HookRefusedError: it is not of the form that its event has at this provider.
    """
    event = event_of(provider, delivery)
    if (provider, event) in _PINGS:
        return Ping()
    body = _json_of(provider, delivery)
    if provider is Provider.AZURE:
        event = _read(_AzureEvent, body, "an event of azure").event
    if (provider, event) == (Provider.GITLAB, _SYSTEM):
        found = _read(_GitLabSystem, body, "an event of gitlab")
        event = "Push Hook" if {found.event_name, found.object_kind} & _SYSTEM_PUSHES else _SYSTEM
    kind = _PUSHES.get((provider, event))
    if kind is None:
        return Other(event)
    return _read(kind, body, f"a push of {provider}").push()


def _read(kind: type[M], body: bytes, what: str) -> M:
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        place, problem = first_problem(error)
        raise HookRefusedError(
            f"this is not {what}: {place + ': ' if place else ''}{problem}",
            hint="choose JSON and the event of pushes at the forge",
        ) from None


def _json_of(provider: Provider, delivery: Delivery) -> bytes:
    """Return the JSON of a body; forges can also send it as the field of a form."""
    if delivery.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        return delivery.body
    try:
        fields = parse_qs(delivery.body.decode(), max_num_fields=_FIELDS)
        return fields["payload"][0].encode()
    except (ValueError, KeyError) as error:
        raise HookRefusedError(
            f"the form that {provider} sent has no field named payload", hint="choose JSON at the forge"
        ) from error


def _named(*names: str) -> tuple[str, ...]:
    """Return the names of a repository that are there.

    Raises:
        HookRefusedError: there are none.
    """
    found = tuple(filter(None, names))
    if not found:
        raise HookRefusedError("the delivery does not say which repository it is about")
    return found
