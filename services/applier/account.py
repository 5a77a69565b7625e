"""Make sure that the service account of an app exists (rules O2, O7).

The API server lets anybody be impersonated: requests as an account that does not exist pass as far as what is granted
to all service accounts goes, and that is not what its owner meant.
"""

from __future__ import annotations

from services.applier.errors import ErrorClass
from services.applier.kube.mapper import Resource
from services.applier.kube.session import METADATA, Request, Session
from services.applier.tenancy import ServiceAccount
from shared.core.objects import ObjectKey
from shared.errors import PermanentError, TransientError

ACCOUNTS = Resource("", "v1", "ServiceAccount", "serviceaccounts", namespaced=True)


class AccountMissingError(PermanentError):
    """The service account of an app does not exist."""

    code = "tenancy.account-missing"


class AccountUnknownError(TransientError):
    """Nobody can say whether the service account of an app exists."""

    code = "tenancy.account-unknown"


async def confirm_account(session: Session, account: ServiceAccount) -> None:
    """Return when the account exists.

    Raises:
        AccountMissingError: it does not.
        AccountUnknownError: the API server does not say.
        ClusterUnreachableError: no answer.
    """
    reply = await session.send(Request("GET", ACCOUNTS.path(account.namespace, account.name), accept=METADATA))
    if reply.ok:
        return
    failure = reply.failure(ObjectKey("", "ServiceAccount", account.namespace, account.name))
    if failure.error in {ErrorClass.GONE, ErrorClass.NAMESPACE_MISSING}:
        raise AccountMissingError(
            f"the service account {account} does not exist",
            hint="make it, with the rights that the app needs, or name another in runAs",
        )
    raise AccountUnknownError(f"the service account {account} cannot be read: {failure.message}", hint=failure.hint)
