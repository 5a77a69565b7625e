"""Deliveries as forges send them, signed as they sign them."""

import hashlib
import hmac
import json
import time
from base64 import b64encode
from dataclasses import dataclass
from uuid import uuid4

WRONG = "bad0" * 10
"""A commit that no repository has: what a payload says about commits must not count."""


@dataclass(frozen=True)
class Posted:
    """Headers and body of one delivery."""

    headers: dict[str, str]
    body: bytes


def _hex(secret, body):
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def _standard(secret, body, name):
    stamp = str(int(time.time()))
    signed = hmac.new(secret.encode(), f"{name}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": name,
        "webhook-timestamp": stamp,
        "webhook-signature": "v1," + b64encode(signed).decode(),
    }


def _github(url, ref):
    repository = {"clone_url": url, "ssh_url": "", "html_url": url.removesuffix(".git"), "default_branch": "main"}
    return {"ref": ref, "before": "0" * 40, "after": WRONG, "head_commit": {"id": WRONG}, "repository": repository}


def _gitlab(url, ref):
    project = {"git_http_url": url, "git_ssh_url": "", "web_url": url.removesuffix(".git"), "default_branch": "main"}
    return {"object_kind": "push", "ref": ref, "after": WRONG, "checkout_sha": WRONG, "project": project}


def _cloud(url, ref):
    kind, name = ("tag", ref[len("refs/tags/") :]) if "/tags/" in ref else ("branch", ref[len("refs/heads/") :])
    new = {"type": kind, "name": name, "target": {"hash": WRONG}}
    repository = {"full_name": "a/b", "links": {"html": {"href": url.removesuffix(".git")}}}
    return {"push": {"changes": [{"old": None, "new": new}]}, "repository": repository}


def _server(url, ref):
    links = {"clone": [{"href": url, "name": "http"}]}
    change = {"ref": {"id": ref}, "fromHash": "0" * 40, "toHash": WRONG, "type": "UPDATE"}
    return {"changes": [change], "repository": {"slug": "b", "project": {"key": "A"}, "links": links}}


def _azure(url, ref):
    resource = {
        "refUpdates": [{"name": ref, "newObjectId": WRONG}],
        "repository": {"remoteUrl": url, "defaultBranch": "refs/heads/main"},
    }
    return {"id": str(uuid4()), "eventType": "git.push", "resource": resource}


def _generic(url, ref):
    return {"repository": url, "ref": ref, "commit": WRONG}


@dataclass(frozen=True)
class Forge:
    """How one forge tells of a push."""

    payload: object
    event: dict[str, str]
    signature: object
    """From secret, body and id to headers."""
    unsigned: tuple[str, ...]
    """The headers that prove who sent it."""
    ids: tuple[str, ...] = ()
    signs_body: bool = True


def _header(name, prefix=""):
    return lambda secret, body, _: {name: prefix + _hex(secret, body)}


FORGES = {
    "github": Forge(
        _github,
        {"X-GitHub-Event": "push"},
        _header("X-Hub-Signature-256", "sha256="),
        ("X-Hub-Signature-256",),
        ("X-GitHub-Delivery",),
    ),
    "gitea": Forge(
        _github,
        {"X-Gitea-Event": "push", "X-Gogs-Event": "push", "X-GitHub-Event": "push"},
        _header("X-Gitea-Signature"),
        ("X-Gitea-Signature",),
        ("X-Gitea-Delivery", "X-Gogs-Delivery", "X-GitHub-Delivery"),
    ),
    "forgejo": Forge(
        _github,
        {"X-Forgejo-Event": "push", "X-Gitea-Event": "push", "X-GitHub-Event": "push"},
        lambda secret, body, _: {"X-Forgejo-Signature": _hex(secret, body), "X-Gitea-Signature": _hex(secret, body)},
        ("X-Forgejo-Signature", "X-Gitea-Signature"),
        ("X-Forgejo-Delivery", "X-Gitea-Delivery"),
    ),
    "gogs": Forge(
        _github, {"X-Gogs-Event": "push"}, _header("X-Gogs-Signature"), ("X-Gogs-Signature",), ("X-Gogs-Delivery",)
    ),
    "gitlab": Forge(
        _gitlab,
        {"X-Gitlab-Event": "Push Hook"},
        lambda secret, _body, _id: {"X-Gitlab-Token": secret},
        ("X-Gitlab-Token",),
        ("X-Gitlab-Event-UUID",),
        signs_body=False,
    ),
    "gitlab-signed": Forge(
        _gitlab, {"X-Gitlab-Event": "Push Hook"}, _standard, ("webhook-signature",), ("Idempotency-Key",)
    ),
    "bitbucket": Forge(
        _cloud,
        {"X-Event-Key": "repo:push"},
        _header("X-Hub-Signature", "sha256="),
        ("X-Hub-Signature",),
        ("X-Request-UUID",),
    ),
    "bitbucket-server": Forge(
        _server,
        {"X-Event-Key": "repo:refs_changed"},
        _header("X-Hub-Signature", "sha256="),
        ("X-Hub-Signature",),
        ("X-Request-Id",),
    ),
    "azure": Forge(
        _azure,
        {},
        lambda secret, _body, _id: {"Authorization": "Basic " + b64encode(f"towline:{secret}".encode()).decode()},
        ("Authorization",),
        signs_body=False,
    ),
    "standard": Forge(_generic, {}, _standard, ("webhook-signature",)),
    "generic": Forge(_generic, {}, _header("X-Signature", "sha256="), ("X-Signature",)),
}


def signed(name, secret, payload, *, delivery=""):
    """Return a delivery of the forge `name` with `payload`, which may be bytes that are no JSON."""
    forge, delivery = FORGES[name], delivery or str(uuid4())
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    headers = {"Content-Type": "application/json", **forge.event, **dict.fromkeys(forge.ids, delivery)}
    return Posted(headers | forge.signature(secret, body, delivery), body)


def pushed(name, secret, url, ref="refs/heads/main", *, delivery=""):
    """Return what the forge `name` sends after a push."""
    # No two deliveries of a forge have the same body: times differ, or commits.
    return signed(name, secret, FORGES[name].payload(url, ref) | {"pushed_at": str(uuid4())}, delivery=delivery)


def without(posted, *headers):
    """Return a delivery without some headers."""
    return Posted({name: value for name, value in posted.headers.items() if name not in headers}, posted.body)
