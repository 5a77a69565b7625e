"""The routes that ask for something: commands, new clusters, enrolment, a session for the page."""

from __future__ import annotations

import hashlib
from base64 import b64decode
from collections.abc import Callable
from typing import Any, Literal

from nacl.encoding import HexEncoder
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, SealedBox
from pydantic import BaseModel, ConfigDict, Field

from services.auditor import queries
from services.auditor.api.access import Access, Limiter, actor_of
from services.auditor.api.layer import Api, Call, Nothing, UnknownError
from services.auditor.desk import Desk
from services.auditor.store import Store
from services.auditor.views import CommandView
from shared.errors import PermanentError, TransientError
from shared.messages.facts import Fact
from shared.messages.releases import Enrolment, EnrolRequest, RenewRequest


class RefusedError(PermanentError):
    """The program that should act refused; `code` is its own."""

    code = "command.refused"


class Asked(BaseModel):
    """What somebody asks for."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class GiveCommand(Asked):
    """A command for one of the programs."""

    program: Literal["poller", "releaser"]
    verb: str = Field(pattern=r"^[a-z]+(-[a-z]+)*$", max_length=63)
    arguments: dict[str, Any] = Field(default_factory=dict)
    reason: str = Field(default="", max_length=1000)
    id: str = Field(default="", pattern=r"^([A-Za-z0-9-]{8,64})?$")
    """Of the action; asked again with the same one it is answered alike, and done once."""


class CommandId(BaseModel):
    """Where to ask for the answer."""

    id: str


class AddCluster(Asked):
    """A cluster that shall join."""

    name: str = Field(max_length=63)
    labels: dict[str, str] = Field(default_factory=dict)
    like: str = Field(default="", max_length=63)
    ttl_s: int = Field(default=3600, ge=1, le=7 * 24 * 3600)


class JoinToken(BaseModel):
    """The token by which one cluster joins once; it is shown here and stored nowhere."""

    cluster: str
    token: str
    expires_at: str


class LoginCode(BaseModel):
    """A code that opens one session of the page: `/login#code=...`."""

    code: str


class HubIdentity(BaseModel):
    """Who this hub is: the fingerprint of its root key, and the key set that this key signed."""

    hub: str
    key_set: str


class WellKnown(BaseModel):
    """Where the hub's parts are."""

    hub: str
    bus: list[str]
    http: str


def declare(api: Api, store: Store, desk: Desk, access: Access) -> None:
    """Declare the routes that need the administrator."""

    @api.post("/api/v1/commands", "Give a command", asked=GiveCommand, answer=CommandId, status=202)
    async def give(call: Call[GiveCommand]) -> CommandId:
        asked = call.asked
        actor = actor_of(call.request)
        return CommandId(
            id=await desk.give(
                asked.program, asked.verb, asked.arguments, actor=actor, reason=asked.reason, number=asked.id
            )
        )

    @api.get("/api/v1/commands/{id}", "Show a command and its answer", answer=CommandView)
    async def command(call: Call[Nothing]) -> CommandView:
        async with store.reading() as connection:
            row = await queries.one_command(connection, call.part("id"))
        if row is None:
            raise UnknownError(f"there is no command {call.part('id')!r}")
        state = ("done" if row.ok else "failed") if row.done_at else "pending"
        return CommandView(
            id=row.command,
            program=row.program,
            verb=row.verb,
            state=state,
            result=row.result or {},
            code=row.code,
            message=row.message,
            given_at=row.given_at,
        )

    @api.post(
        "/api/v1/clusters", "Register a cluster and make its token", asked=AddCluster, answer=JoinToken, status=201
    )
    async def add(call: Call[AddCluster]) -> JoinToken:
        return await _add_cluster(desk, call.asked, actor_of(call.request))

    @api.post("/api/v1/login-codes", "Make a code that opens the page once", asked=Asked, answer=LoginCode, status=201)
    async def login_code(_call: Call[Asked]) -> LoginCode:
        return LoginCode(code=access.new_code())


def declare_public(
    api: Api, desk: Desk, identity: Callable[[], HubIdentity], place: Callable[[], WellKnown], limiter: Limiter
) -> None:
    """Declare what an agent may ask before the hub knows it."""

    @api.get("/.well-known/towline", "Tell where the hub's parts are", answer=WellKnown, public=True)
    async def well_known(_call: Call[Nothing]) -> WellKnown:
        return place()

    @api.get("/enrol/v1/hub", "Tell who this hub is", answer=HubIdentity, public=True)
    async def hub(_call: Call[Nothing]) -> HubIdentity:
        return identity()

    @api.post("/enrol/v1", "Join with a token", asked=EnrolRequest, answer=Enrolment, public=True)
    async def enrol(call: Call[EnrolRequest]) -> Enrolment:
        address = call.request.remote or ""
        limiter.check(address)
        try:
            return await _enrol(desk, call.asked)
        except RefusedError:
            limiter.failed(address)
            raise

    @api.post("/enrol/v1/renew", "Renew a credential by its key", asked=RenewRequest, answer=Enrolment, public=True)
    async def renew(call: Call[RenewRequest]) -> Enrolment:
        address = call.request.remote or ""
        limiter.check(address)
        arguments = call.asked.model_dump(mode="json", by_alias=True)
        try:
            done = await desk.ask("releaser", "renew", arguments, actor=f"agent of {call.asked.cluster}")
            return Enrolment.model_validate(result_of(done))
        except RefusedError:
            limiter.failed(address)
            raise


async def _add_cluster(desk: Desk, asked: AddCluster, actor: str) -> JoinToken:
    """Have a cluster registered; the token comes sealed to a key of this request and is opened here only."""
    key = PrivateKey.generate()
    arguments = {
        "cluster": asked.name,
        "labels": asked.labels,
        "like": asked.like,
        "ttl_s": asked.ttl_s,
        "reply_key": key.public_key.encode(HexEncoder).decode(),
    }
    result = result_of(await desk.ask("releaser", "cluster-add", arguments, actor=actor))
    try:
        token = SealedBox(key).decrypt(b64decode(str(result.get("sealed", "")))).decode()
    except (CryptoError, ValueError) as error:
        raise TransientError("the releaser's answer holds no token that opens", hint="add the cluster again") from error
    return JoinToken(cluster=asked.name, token=token, expires_at=str(result.get("expires_at", "")))


async def _enrol(desk: Desk, asked: EnrolRequest) -> Enrolment:
    """Relay an enrolment; the join secret leaves as its hash, which is what the releaser keeps."""
    arguments = asked.model_dump(mode="json", by_alias=True)
    secret = arguments.pop("secret")
    arguments["secret_hash"] = hashlib.sha256(secret.encode()).hexdigest()
    result = result_of(await desk.ask("releaser", "enrol", arguments, actor=f"agent of {asked.cluster}"))
    return Enrolment.model_validate(result)


def result_of(fact: Fact) -> dict[str, Any]:
    """Return the result of a command.

    Raises:
        RefusedError: it failed.
    """
    if not fact.data.get("ok"):
        raise RefusedError(fact.message or "the command failed", code=str(fact.data.get("code") or RefusedError.code))
    result = fact.data.get("result")
    return dict(result) if isinstance(result, dict) else {}
