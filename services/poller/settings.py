"""What the poller is told: which sources to watch, how often, where credentials stand, what fleets may name."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_settings import NoDecode

from services.poller.refs import prefixes
from shared.core.names import name_problem
from shared.errors import PermanentError
from shared.git.urls import parse_url, prefix_of
from shared.messages.sources import HEAD, STRICT, Verify
from shared.runtime.listening import address_of
from shared.runtime.settings import ServiceSettings, Texts, listed, settings_for

_FORM = "write NAME=URL, or NAME=URL#REF with a branch, a tag, a range like v1.x or a commit"
# Ranges of versions hold commas and spaces too; a source begins with its name.
_BETWEEN = re.compile(r"[,\s]+(?=[\w.-]+=[a-z/.~])")
# Whatever else stands before the first equals sign may be part of a URL with a password in it.
_HARMLESS = re.compile(r"[\w.-]{1,100}")


class SourceTextError(PermanentError):
    """A text names no source; the message never holds a credential."""

    code = "source.invalid"


@dataclass(frozen=True, slots=True)
class Source:
    """A git repository that is watched, and the ref that is followed in it."""

    name: str
    repository: str
    """The URL without credentials, or the absolute path on this machine."""
    ref: str = ""
    """A branch, tag, full ref name, commit or range of versions; empty: the default branch."""


def parse_source(text: str) -> Source:
    """Return the source that `NAME=URL[#REF]` names; a path on this machine begins with `/`, `./`, `../` or `~`.

    Raises:
        SourceTextError: it is not of this form. `UrlError`, `RefError`: the URL or the ref is none.
    """
    name, equals, rest = text.strip().partition("=")
    if not equals or not rest or not _HARMLESS.fullmatch(name):
        raise SourceTextError("a source has a name, an equals sign and a URL", hint=_FORM)
    if problem := name_problem(name):
        raise SourceTextError(f"a source cannot be called so: {problem}", hint=_FORM)
    url, _, ref = rest.partition("#")
    if url.startswith((".", "~")):
        url = str(Path(url).expanduser().resolve())
    location = parse_url(url, allow_insecure=True)
    prefixes(ref)
    return Source(name, location.url, ref)


@dataclass(frozen=True, slots=True)
class Rule:
    """Which signatures the commits of a source must carry."""

    source: str
    verify: Verify


def parse_rule(text: str) -> Rule:
    """Return the rule that `NAME=MODE:SIGNER` says, with `+` between signers of whom any is enough.

    Raises:
        SourceTextError: it is not of this form.
    """
    source, _, rest = text.strip().partition("=")
    mode, _, signers = rest.partition(":")
    names = tuple(filter(None, (each.strip() for each in signers.split("+"))))
    if mode not in {HEAD, STRICT} or not names or any(map(name_problem, names)):
        hint = "write NAME=head:SIGNER or NAME=strict:SIGNER+SIGNER"
        raise SourceTextError(f"{text!r} says no source, mode and signers", hint=hint)
    return Rule(source, Verify(mode=mode, signers=names))


def _rule(value: Any) -> Any:
    try:
        return parse_rule(value) if isinstance(value, str) else value
    except PermanentError as error:
        raise ValueError(str(error)) from error


def _source(value: Any) -> Any:
    """Let pydantic show every wrong source at once."""
    if not isinstance(value, str):
        return value
    try:
        return parse_source(value)
    except PermanentError as error:
        raise ValueError(str(error)) from error


def _sources(value: Any) -> Any:
    return tuple(_BETWEEN.split(value.strip())) if isinstance(value, str) and value.strip() else value or ()


class PollerSettings(ServiceSettings):
    """Settings of the poller; from the environment as `TOWLINE_POLLER_...`."""

    model_config = settings_for("poller")

    sources: Annotated[
        tuple[Annotated[Source, BeforeValidator(_source)], ...], NoDecode, BeforeValidator(_sources)
    ] = ()
    """`NAME=URL[#REF]` each; in the environment separated by commas."""
    interval_s: float = Field(default=30.0, ge=0.05)
    """Seconds between two looks at one repository; a sync command only shortens it."""
    allow: Texts = ()
    """URL prefixes of the repositories that fleets may name; empty: the hosts of the sources, and their paths."""
    git_credentials: Path | None = None
    """The file of credentials; `credentials.json` in the data folder by default. It is read again when it changes."""
    verify: Annotated[tuple[Annotated[Rule, BeforeValidator(_rule)], ...], NoDecode, BeforeValidator(listed)] = ()
    """`NAME=MODE:SIGNER[+SIGNER]...` each: the signatures that a source's commits must carry; MODE: `head`, `strict`."""
    signers: Path | None = None
    """The folder of the signers' keys; `signers` in the data folder by default. It is read at each use."""
    hooks_listen: str = ""
    """HOST:PORT where `/hooks/SOURCE` takes webhooks, port 0 takes a free one; empty: there are none."""
    hooks_secrets: Path | None = None
    """The file of their secrets; `webhooks.json` in the data folder by default. It is read again when it changes."""
    announce_hooks: Callable[[str], None] | None = Field(default=None, exclude=True)
    """Called with the URL of the hooks once they answer: for a hub in one process, whose port may be 0."""
    known_hosts: Path | None = None
    """The keys of ssh hosts, as ssh-keyscan(1) writes them; `known_hosts` in the data folder by default."""
    list_deadline_s: float = Field(default=30.0, gt=0)
    """Seconds that a server has to name its refs."""
    fetch_deadline_s: float = Field(default=300.0, gt=0)
    """Seconds that a fetch may take."""
    fetch_bytes: int = Field(default=2 << 30, gt=0)
    """Bytes that a fetch may bring."""
    fetch_objects: int = Field(default=5_000_000, gt=0)
    """Objects that a fetch may bring."""
    refs: int = Field(default=200_000, gt=0)
    """Refs that a server may name for one question."""

    @field_validator("allow")
    @classmethod
    def _are_prefixes(cls, allow: tuple[str, ...]) -> tuple[str, ...]:
        for each in allow:
            try:
                prefix_of(each, allow_insecure=True)
            except PermanentError as error:
                raise ValueError(str(error)) from error
        return allow

    @field_validator("hooks_listen")
    @classmethod
    def _is_an_address(cls, listen: str) -> str:
        if listen:
            address_of(listen)
        return listen

    @field_validator("sources")
    @classmethod
    def _have_names_of_their_own(cls, sources: tuple[Source, ...]) -> tuple[Source, ...]:
        names = [source.name for source in sources]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two sources are called {', '.join(twice)}")
        return sources

    @model_validator(mode="after")
    def _rules_are_for_sources(self) -> Self:
        unknown = sorted({rule.source for rule in self.verify} - {source.name for source in self.sources})
        if unknown:
            raise ValueError(f"there are rules of signatures for {', '.join(unknown)}, which is no source")
        return self

    def rules(self, source: str) -> tuple[Verify, ...]:
        """Return the rules of signatures that count for a source."""
        return tuple(rule.verify for rule in self.verify if rule.source == source)

    @property
    def signers_folder(self) -> Path:
        """Where the keys of signers stand."""
        return self.signers or self.data / "signers"

    @property
    def known_hosts_file(self) -> Path:
        """Where the keys of ssh hosts stand."""
        return self.known_hosts or self.data / "known_hosts"

    @property
    def credentials_file(self) -> Path:
        """Where credentials stand."""
        return self.git_credentials or self.data / "credentials.json"

    @property
    def hooks_file(self) -> Path:
        """Where the secrets of webhooks stand."""
        return self.hooks_secrets or self.data / "webhooks.json"
