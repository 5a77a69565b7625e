"""Read what a request means: its path, its query, the form of the answer it accepts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from services.kubesim.answers import RefusedError, bad_request

Form = Literal["full", "metadata", "metadata-list", "table"]


@dataclass(frozen=True, slots=True)
class Place:
    """The resource, object and subresource that a path names."""

    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def scope(self) -> str:
        """Return the namespace in which permissions are asked for: a Namespace is in itself."""
        return self.name if (self.group, self.plural) == ("", "namespaces") else self.namespace


def place_of(path: str) -> Place | None:
    """Return the place a path below `/api` or `/apis` names, None when it has another form."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) >= 3:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) >= 4:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) >= 3 and rest[2] not in {"status", "finalize"}:
        namespace, rest = rest[1], rest[2:]
    if not 1 <= len(rest) <= 3 or not all(rest):
        return None
    return Place(group, version, rest[0], namespace, *rest[1:])


def form_of(accept: str) -> Form:
    """Return the form of the answer that an Accept header asks for.

    Raises:
        RefusedError: 406, only forms that nobody here speaks.
    """
    for entry in accept.split(",") if accept else ("*/*",):
        media, *parameters = (part.strip() for part in entry.split(";"))
        named = dict(part.partition("=")[::2] for part in parameters)
        if media not in {"application/json", "*/*", "application/*", "application/yaml"}:
            continue
        match named.get("as"):
            case "Table" if named.get("v", "v1") == "v1":
                return "table"
            case "PartialObjectMetadata":
                return "metadata"
            case "PartialObjectMetadataList":
                return "metadata-list"
            case None:
                return "full"
            case _:
                continue
    text = "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf"
    raise RefusedError(406, text)


def flag(query: Mapping[str, str], name: str) -> bool:
    """Return a boolean of the query."""
    return query.get(name, "").lower() in {"1", "true", "t"}


def number(query: Mapping[str, str], name: str) -> int:
    """Return a whole number of the query, 0 when it is not there.

    Raises:
        RefusedError: 400, it is no number.
    """
    text = query.get(name) or "0"
    if not text.isdigit():
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax ({name})')
    return int(text)


def dry_run(query: Mapping[str, str]) -> bool:
    """Return whether the request only asks what would happen.

    Raises:
        RefusedError: 400, a value other than `All`.
    """
    asked = query.get("dryRun")
    if asked not in {None, "", "All"}:
        raise bad_request(f'Invalid value: "{asked}": supported values: "All"')
    return asked == "All"


def writer(query: Mapping[str, str], user_agent: str) -> str:
    """Return the field manager of a request that is not an apply."""
    return query.get("fieldManager") or user_agent.partition("/")[0] or "unknown"
