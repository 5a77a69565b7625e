"""Let clusters join: one-time tokens, proofs of keys, credentials that last a day and are renewed in time."""

from __future__ import annotations

import hashlib
import secrets
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from nacl.exceptions import CryptoError
from nacl.public import PublicKey, SealedBox
from pydantic import ValidationError
from sqlalchemy import select, update

from services.releaser import membership
from services.releaser.commands import Answer, CommandRefusedError, Parts, text, texts
from services.releaser.registering import new_row
from services.releaser.registry import Identity, intruder, label_problem
from services.releaser.sign import instruction_envelope
from services.releaser.store import Transaction
from services.releaser.tables import clusters, join_tokens
from shared.bus.identities import agent_jwt, verify_with_public
from shared.bus.keys import is_user
from shared.core.canonical import encode
from shared.core.names import name_problem
from shared.core.refusals import first_problem
from shared.core.times import time_text
from shared.messages.facts import Command
from shared.messages.releases import Enrolment, EnrolRequest, Instruction, Membership, RenewRequest

CREDENTIAL_LASTS = timedelta(hours=24)
RENEWED_AFTER = timedelta(hours=12)
LONGEST_TTL_S = 7 * 24 * 3600
SECRET_BYTES = 24
RENEW = "renew"


class EnrolmentRefusedError(CommandRefusedError):
    """An agent may not join."""

    code = "enrol.refused"


async def cluster_add(tx: Transaction, command: Command, parts: Parts) -> Answer:
    """Register a cluster, or invite it anew, and seal a token for whoever asked."""
    name = text(command, "cluster")
    if problem := name_problem(name):
        raise CommandRefusedError(problem, code="cluster.name")
    ttl_s = command.arguments.get("ttl_s", 3600)
    if not isinstance(ttl_s, int) or not 1 <= ttl_s <= LONGEST_TTL_S:
        raise CommandRefusedError(f"ttl_s must be 1 to {LONGEST_TTL_S} seconds", code="command.argument")
    labels = {**await _labels_like(tx, text(command, "like")), **texts(command, "labels")}
    if problem := label_problem(labels):
        raise CommandRefusedError(problem, code="cluster.labels")
    row = await membership.one(tx, name) or new_row(name)
    row["hub_labels"] = {**(row["hub_labels"] or {}), **labels}
    if row["membership"] != Membership.JOINED:
        row = {**row, "membership": Membership.INVITED, "uid": "", "public_key": "", "leaving": False}
    await membership.write(tx, row)
    secret = secrets.token_urlsafe(SECRET_BYTES)
    expires = time_text(tx.now + timedelta(seconds=ttl_s))
    hashed = hashlib.sha256(secret.encode()).hexdigest()
    await tx.put(join_tokens, [{"secret_hash": hashed, "cluster": name, "expires_at": expires, "used_by": ""}])
    token = {"hub": parts.hub_url(), "root": parts.keys.hub, "ca": "", "cluster": name, "secret": secret}
    encoded = urlsafe_b64encode(encode(token)).decode().rstrip("=")
    tx.say("cluster-invited", cluster=name, message=f"{command.actor} invited {name}", data={"expires_at": expires})
    return Answer({"sealed": _sealed(encoded, text(command, "reply_key")), "expires_at": expires})


async def _labels_like(tx: Transaction, other: str) -> dict[str, str]:
    """Return the labels of a cluster to be copied, wherever they came from."""
    if not other:
        return {}
    row = await membership.one(tx, other)
    if row is None or row["membership"] == Membership.REMOVED:
        raise CommandRefusedError(f"there is no cluster {other!r} to be like", code="cluster.unknown")
    return dict(row["labels"] or {})


def _sealed(token: str, reply_key: str) -> str:
    try:
        box = SealedBox(PublicKey(bytes.fromhex(reply_key)))
        return b64encode(box.encrypt(token.encode())).decode()
    except (ValueError, TypeError, CryptoError) as error:
        raise CommandRefusedError("reply_key is no public key in hex", code="command.argument") from error


async def enrol(tx: Transaction, command: Command, parts: Parts) -> Answer:
    """Let an agent join by its token, pin who it is, and give it a credential."""
    asked = _read(EnrolRequest, {**command.arguments, "secret": "hashed"})
    token = await _token(tx, asked, text(command, "secret_hash"))
    row = await membership.one(tx, asked.cluster)
    if row is None or row["membership"] not in {Membership.INVITED, Membership.JOINED}:
        raise EnrolmentRefusedError(f"cluster {asked.cluster!r} is not invited", hint="add the cluster first")
    if intruder(Identity(row["uid"], row["public_key"]), asked.uid):
        why = f"a second Kubernetes cluster (uid {asked.uid}) wants to join as {asked.cluster}"
        await membership.quarantine(tx, row, why)
        return Answer(ok=False, code="enrol.second-uid", message=f"{why}: both are cut off until a person decides")
    await _check_uid(tx, asked)
    if row["public_key"] and row["public_key"] != asked.public_key:
        await membership.cut_off(tx, row)
    row["claims"] = dict(asked.claims)
    joined = {"membership": Membership.JOINED, "uid": asked.uid, "public_key": asked.public_key}
    await membership.write(tx, {**row, **joined, "kubernetes": asked.kubernetes, "jwt_at": time_text(tx.now)})
    used = update(join_tokens).where(join_tokens.c.secret_hash == token.secret_hash)
    await tx.do(used.values(used_by=asked.public_key))
    tx.say("cluster-joined", cluster=asked.cluster, message=f"{asked.cluster} joined", data={"uid": asked.uid})
    await membership.arrive(tx, asked.cluster, parts.keys)
    return Answer(await _enrolment(tx, asked.cluster, asked.public_key, parts))


async def _token(tx: Transaction, asked: EnrolRequest, hashed: str) -> Any:
    """Return the token's row, once everything about token and proof is right."""
    token = await tx.first(select(join_tokens).where(join_tokens.c.secret_hash == hashed))
    if token is None or token.cluster != asked.cluster:
        raise EnrolmentRefusedError("the join token is not known here", code="enrol.token-unknown", hint=_ADD)
    if token.used_by not in {"", asked.public_key}:
        raise EnrolmentRefusedError("the join token was used already", code="enrol.token-used", hint=_ADD)
    if token.expires_at <= time_text(tx.now):
        raise EnrolmentRefusedError("the join token is too old", code="enrol.token-expired", hint=_ADD)
    _check_proof(asked.public_key, f"towline-enrol:{asked.cluster}:{asked.nonce}:{hashed}", asked.proof)
    if problem := label_problem(asked.claims):
        raise EnrolmentRefusedError(f"claims: {problem}", code="enrol.claims")
    return token


_ADD = "make another with `towline cluster add`"


async def _check_uid(tx: Transaction, asked: EnrolRequest) -> None:
    """Refuse a Kubernetes cluster that is here under another name: two agents would fight over it."""
    if not asked.uid:
        raise EnrolmentRefusedError("the agent does not say which cluster it is in", code="enrol.uid")
    same = (clusters.c.uid == asked.uid, clusters.c.cluster != asked.cluster)
    other = await tx.first(select(clusters.c.cluster).where(*same, clusters.c.membership == Membership.JOINED))
    if other is not None:
        text_ = f"this Kubernetes cluster joined as {other.cluster!r} already"
        raise EnrolmentRefusedError(text_, code="enrol.uid-taken", hint=f"remove {other.cluster} first")


async def renew(tx: Transaction, command: Command, parts: Parts) -> Answer:
    """Give a new credential to the agent that proves its key."""
    asked = _read(RenewRequest, command.arguments)
    row = await membership.one(tx, asked.cluster)
    known = row is not None and row["membership"] == Membership.JOINED and row["public_key"] == asked.public_key
    if row is None or not known or row["uid"] != asked.uid:
        raise EnrolmentRefusedError("this agent may not renew its credential", code="enrol.unknown", hint=_ADD)
    _check_proof(asked.public_key, f"towline-renew:{asked.cluster}:{asked.nonce}", asked.proof)
    await tx.do(update(clusters).where(clusters.c.cluster == asked.cluster).values(jwt_at=time_text(tx.now)))
    return Answer(await _enrolment(tx, asked.cluster, asked.public_key, parts))


def _read(kind: Any, arguments: Mapping[str, Any]) -> Any:
    try:
        return kind.model_validate(arguments)
    except ValidationError as error:
        place, problem = first_problem(error)
        raise EnrolmentRefusedError(f"{place}: {problem}", code="enrol.malformed") from error


def _check_proof(public_key: str, said: str, proof: str) -> None:
    try:
        signature = bytes.fromhex(proof)
    except ValueError:
        signature = b""
    if not is_user(public_key) or not verify_with_public(public_key, said.encode(), signature):
        raise EnrolmentRefusedError("the agent does not prove its key", code="enrol.proof")


def _credential(tx: Transaction, cluster: str, public_key: str, parts: Parts) -> dict[str, str]:
    expires = tx.now + CREDENTIAL_LASTS
    jwt = agent_jwt(
        cluster,
        public_key,
        signing_seed=parts.bus_keys.agents_signing_seed,
        account=parts.bus_keys.agents_account,
        issued=tx.now,
        expires=expires,
    )
    return {"user_jwt": jwt, "expires": time_text(expires)}


async def _enrolment(tx: Transaction, cluster: str, public_key: str, parts: Parts) -> dict[str, Any]:
    row = await membership.one(tx, cluster) or {}
    answer = Enrolment.model_validate(
        {
            "cluster": cluster,
            "hub": parts.keys.hub,
            **_credential(tx, cluster, public_key, parts),
            "key_set": parts.keys.key_set,
            "bus": parts.bus_urls,
            "labels": row.get("labels") or {},
        }
    )
    return answer.model_dump(mode="json", by_alias=True)


async def renew_soon(tx: Transaction, parts: Parts) -> None:
    """Send a new credential to every agent whose credential is half over; who misses it is sent another."""
    late = time_text(tx.now - RENEWED_AFTER)
    due = select(clusters).where(clusters.c.membership == Membership.JOINED, clusters.c.jwt_at < late)
    for row in await tx.rows(due.where(clusters.c.public_key != "")):
        instruction = Instruction(
            id=f"{RENEW}-{time_text(tx.now)}",
            hub=parts.keys.hub,
            cluster=row.cluster,
            verb=RENEW,
            arguments={**_credential(tx, row.cluster, row.public_key, parts), "bus": list(parts.bus_urls)},
            expires=tx.now + timedelta(minutes=10),
        )
        tx.instructions.append((row.cluster, instruction_envelope(instruction, parts.keys)))


async def renewed(tx: Transaction, cluster: str, instruction: str) -> None:
    """Take note that an agent has the credential that an instruction brought."""
    prefix, _, at = instruction.partition("-")
    if prefix == RENEW:
        same = (clusters.c.cluster == cluster, clusters.c.jwt_at < at)
        await tx.do(update(clusters).where(*same).values(jwt_at=at))
