"""The keys of the bus: who is operator, which accounts there are, and the credentials made from them.

The operator signs accounts, accounts sign the hub's programs, and a scoped signing key of the account AGENTS signs
agents, bound to one cluster by the tag in their JWT. Nothing here needs the server: adding an agent is signing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from shared.bus.claims import (
    account_claims,
    agent_claims,
    agents_claims,
    hub_claims,
    minted,
    operator_claims,
    user_claims,
)
from shared.bus.keys import Role, is_user, new_seed, public_of, sign_with_seed, verify_with_public
from shared.bus.permissions import PROGRAMS, SYSTEM, inbox, program_permissions
from shared.bus.values import Credentials
from shared.core.names import name_problem
from shared.errors import PermanentError

__all__ = ["BusKeys", "agent_credentials", "agent_jwt", "new_user_seed", "sign_with_seed", "verify_with_public"]

_ROLES: dict[str, Role] = {
    "operator": "operator",
    "sys": "account",
    "hub": "account",
    "agents": "account",
    "agents-signing": "account",
    **dict.fromkeys((*PROGRAMS, SYSTEM), "user"),
}


class IdentityError(PermanentError):
    """An identity cannot be issued."""

    code = "bus.identity"


def new_user_seed() -> tuple[str, str]:
    """Return a new key of a user: seed and public key."""
    seed = new_seed("user")
    return seed, public_of(seed)


def agent_jwt(
    cluster: str, user_public_key: str, *, signing_seed: str, account: str, issued: datetime, expires: datetime
) -> str:
    """Return the credential of an agent: valid for this key, this cluster, until `expires`.

    Raises:
        IdentityError: the name is not a cluster's (it would widen the permissions), or the key is not a user's.
    """
    if problem := name_problem(cluster):
        raise IdentityError(f"an agent needs the name of a cluster: {problem}")
    if not is_user(user_public_key):
        raise IdentityError(f"cluster {cluster!r}: the agent's key is no public NKey of a user (U...)")
    return minted(
        signing_seed,
        user_public_key,
        agent_claims(account, cluster),
        name=cluster,
        iat=int(issued.timestamp()),
        exp=int(expires.timestamp()),
    )


def agent_credentials(cluster: str, jwt: str, seed: str) -> Credentials:
    """Return what the agent of `cluster` connects with."""
    return Credentials(jwt, seed, inbox(cluster))


@dataclass(frozen=True, slots=True)
class BusKeys:
    """All keys of a hub's bus, by name."""

    seeds: Mapping[str, str] = field(repr=False)

    @classmethod
    def load_or_make(cls, folder: Path) -> BusKeys:
        """Read the keys in `folder`, making those that are not there; files are readable by their owner only."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return cls({name: _seed(folder / f"{name}.seed", role) for name, role in _ROLES.items()})

    def public(self, name: str) -> str:
        """Return the public key of `operator`, `sys`, `hub`, `agents`, `agents-signing` or a program."""
        return public_of(self.seeds[name])

    @property
    def agents_signing_seed(self) -> str:
        """The seed that issues agents' credentials."""
        return self.seeds["agents-signing"]

    @property
    def agents_account(self) -> str:
        """The public key of the account of all agents."""
        return self.public("agents")

    def agents_account_jwt(self, revocations: Mapping[str, int] | None = None) -> str:
        """Return the account of all agents, with the user keys that are banned.

        Args:
            revocations: public key of a user → Unix second; credentials issued until then are void. A key is banned
                for good by a second in the far future.
        """
        claims = agents_claims(self.public("hub"), self.public("agents-signing"), revocations or {})
        return minted(self.seeds["operator"], self.agents_account, claims, name="AGENTS", iat=int(time.time()))

    def operator_jwt(self) -> str:
        """Return the operator's JWT."""
        claims = operator_claims(self.public("sys"))
        return minted(self.seeds["operator"], self.public("operator"), claims, name="towline", iat=int(time.time()))

    def account_jwts(self) -> dict[str, str]:
        """Return the JWT of every account by its public key."""
        operator, now = self.seeds["operator"], int(time.time())
        return {
            self.public("sys"): minted(operator, self.public("sys"), account_claims(), name="SYS", iat=now),
            self.public("hub"): minted(operator, self.public("hub"), hub_claims(), name="HUB", iat=now),
            self.agents_account: self.agents_account_jwt(),
        }

    def program_credentials(self, program: str) -> Credentials:
        """Return the credentials of a program of the hub, or of `system` for account updates.

        Raises:
            IdentityError: there is no such program.
        """
        if program not in (*PROGRAMS, SYSTEM):
            raise IdentityError(f"{program!r} has no row in the permissions of the bus")
        account = self.seeds["sys" if program == SYSTEM else "hub"]
        claims = user_claims(program_permissions(program))
        jwt = minted(account, self.public(program), claims, name=program, iat=int(time.time()))
        return Credentials(jwt, self.seeds[program], inbox(program))


def _seed(path: Path, role: Role) -> str:
    try:
        return path.read_text("ascii").strip()
    except FileNotFoundError:
        seed = new_seed(role)
    # Whole or not at all: a crash must not leave half a key under its name.
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(seed + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    return seed
