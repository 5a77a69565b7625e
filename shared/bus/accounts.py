"""Give the server the accounts: as files before it starts, as an update while it runs.

An update with a revocation cuts the agent off at once. What the server took it keeps in its own folder, so that a
restart must not overwrite it with an account that has forgotten the revocations.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shared.bus.claims import ClaimsError, claims_of
from shared.bus.connection import Bus
from shared.bus.errors import BusRefusedError, BusUnavailableError
from shared.bus.identities import BusKeys
from shared.bus.values import Credentials

UPDATE_S = 10.0
_UPDATE = "$SYS.REQ.CLAIMS.UPDATE"


async def update_account(urls: Sequence[str], credentials: Credentials, account_jwt: str) -> None:
    """Have the running bus use `account_jwt` from now on.

    Args:
        urls: the bus.
        credentials: those of `system`.
        account_jwt: signed by the operator; what it revokes is cut off when this returns.

    Raises:
        BusUnavailableError: the bus did not answer; it may have taken the account or not.
        BusRefusedError: it does not accept the account.
    """
    async with Bus.connect(urls, lambda: credentials, name="system") as bus:
        answer = await bus.request(_UPDATE, account_jwt.encode(), timeout_s=UPDATE_S)
    body = json.loads(answer.data) if answer else {}
    if "error" in body:
        raise BusRefusedError(f"the bus does not take the account: {body['error'].get('description', 'no reason')}")
    if body.get("data", {}).get("code") != 200:
        raise BusUnavailableError("the bus did not confirm the account")


def write_accounts(folder: Path, keys: BusKeys) -> None:
    """Write the accounts for the server's start; those that it has stay, when they say the same."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for public, fresh in keys.account_jwts().items():
        path = folder / f"{public}.jwt"
        present = _claims(path, keys.public("operator"))
        revocations = present.get("revocations") or {}
        jwt = keys.agents_account_jwt(revocations) if revocations else fresh
        if claims_of(jwt)["nats"] != present:
            draft = path.with_suffix(".new")
            draft.write_text(jwt, "ascii")
            draft.replace(path)


def _claims(path: Path, operator: str) -> dict[str, Any]:
    """Return what the account in a file says, nothing when it is unreadable or not our operator's."""
    try:
        claims = claims_of(path.read_text("ascii"))
        return dict(claims["nats"]) if claims["iss"] == operator else {}
    except (FileNotFoundError, ClaimsError, KeyError, UnicodeDecodeError):
        return {}
