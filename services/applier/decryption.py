"""Have the keys of the right Secret at hand when a bundle brings what SOPS encrypted.

An app that acts as a service account opens its files with the keys in its account's namespace, read as that account: the
keys of others do not help it, whatever file it brings. The Secret is read anew at each run, so new keys count at once.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from services.applier.errors import ErrorClass
from services.applier.inventory import SECRETS
from services.applier.kube.session import Request, Sender
from services.applier.obstacles import Obstacle
from services.applier.sops.errors import SopsError
from shared.core.objects import Manifest

if TYPE_CHECKING:
    from services.applier.reports import ObjectFailure
    from services.applier.tenancy import ServiceAccount

SETTING = "--sops-secret or TOWLINE_AGENT_SOPS_SECRET"
Opener = Callable[[Manifest], Manifest]


@dataclass(frozen=True, slots=True)
class Decryption:
    """Where the keys of one agent are."""

    secret: str
    """The Secret's name; empty: there is none."""
    home: str
    """The agent's namespace."""

    _namespaces: dict[str, str] = field(default_factory=dict)
    """App → where its keys were looked for."""

    async def opener(self, app: str, sender: Sender, account: ServiceAccount | None) -> Opener:
        """Return what opens the objects of an app, or says why it cannot.

        Raises:
            ClusterUnreachableError: nobody knows which keys there are.
        """
        if not self.secret:
            return _refusing("this agent was given no keys", f"name a Secret with age or PGP keys: {SETTING}")
        namespace = self._namespaces[app] = account.namespace if account else self.home
        where = f"Secret {namespace}/{self.secret}"
        reply = await sender.send(Request("GET", SECRETS.path(namespace, self.secret)))
        if reply.status == 404:
            return _refusing(f"there is no {where}", "make it, with keys as NAME.agekey or NAME.asc")
        if not reply.ok or reply.body is None:
            failure = reply.failure()
            return _refusing(f"{where} cannot be read: {failure.message}", failure.hint)
        entries = {name: b64decode(value) for name, value in (reply.body.get("data") or {}).items()}
        # Here: most agents never open anything, and pay no memory for it.
        from services.applier.sops.keys import read_keys  # noqa: PLC0415
        from services.applier.sops.opening import opened  # noqa: PLC0415

        keyring = read_keys(where, entries)
        return lambda manifest: opened(manifest, keyring)

    def in_the_way(self, app: str, failures: Iterable[ObjectFailure]) -> frozenset[Obstacle]:
        """Return the Secret whose change is a reason to try closed objects again."""
        namespace = self._namespaces.get(app)
        if namespace is None or all(each.code != ErrorClass.ENCRYPTED for each in failures):
            return frozenset()
        return frozenset([Obstacle("", "Secret", namespace, self.secret)])


def _refusing(message: str, hint: str) -> Opener:
    def refuse(_manifest: Manifest) -> NoReturn:
        raise SopsError(message, hint)

    return refuse
