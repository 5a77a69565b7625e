"""Read what the owner of a cluster allows its agent: a small YAML file beside the agent, or mounted from a ConfigMap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.applier.tenancy import Fence, LocalPolicy, TenancyError, account_of
from shared.errors import FindingsError, PermanentError

_LISTS = ("privileged", "accounts", "namespaces", "clusterScoped", "denied")
KEYS = ("runAs", *_LISTS)


class PolicyError(PermanentError):
    """The policy cannot be used; an agent does not start with half of one."""

    code = "settings.policy"


def policy_of(data: bytes, file: str) -> LocalPolicy:
    """Return the policy that a file says; what it leaves out, it does not allow to go without an account.

    Raises:
        PolicyError: with everything that is wrong.
    """
    written = _mapping(data, file)
    problems = [f"{name!r} is no key of it" for name in sorted(set(written) - set(KEYS), key=str)]
    lists = {name: _list(written, name, problems) for name in _LISTS}
    run_as = None
    if default := written.get("runAs"):
        try:
            run_as = account_of(str(default), "")
        except TenancyError:
            problems.append(f"runAs: {default!r} is not namespace/name")
    if problems:
        raise PolicyError(f"{file}: {'; '.join(problems)}", hint=f"keys: {', '.join(KEYS)}; all but runAs are lists")
    return LocalPolicy(
        fence=Fence(lists["namespaces"], lists["clusterScoped"], lists["denied"] or ()),
        run_as=run_as,
        privileged=lists["privileged"] or (),
        accounts=lists["accounts"],
    )


def _mapping(data: bytes, file: str) -> Mapping[str, Any]:
    # Here: most agents have no policy, and reading YAML costs each a megabyte.
    from shared.core.kubeyaml import documents  # noqa: PLC0415

    try:
        found = [each.value for each in documents(data, file)]
    except FindingsError as error:
        raise PolicyError(f"{file}: {error}") from error
    if len(found) != 1 or not isinstance(found[0], Mapping):
        raise PolicyError(f"{file}: it must hold one mapping", hint="write `privileged: []` to allow nothing special")
    return found[0]


def _list(written: Mapping[str, Any], name: str, problems: list[str]) -> tuple[str, ...] | None:
    value = written.get(name)
    if value is None:
        return None
    if isinstance(value, list) and all(isinstance(each, str) and each for each in value):
        return tuple(value)
    problems.append(f"{name} is no list of texts")
    return None
