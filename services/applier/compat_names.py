"""The annotations and labels by which objects ask for something: ours, and those of Flux, Argo CD, cli-utils, kapp, Helm.

One row a name, with what its values mean. Names that change nothing here stand in the table too: they are no mistake.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from services.applier.options import Drift
from services.applier.policy import GROUP, LOCAL, HookEnd, Leave, OnRollback, Phase, Renew
from shared.core.durations import seconds
from shared.core.objects import ObjectKey

Said = Mapping[str, Any]
"""Fields of `Policy`, the parts of its hooks (`phase`, `first`, `back`, `leaving`, `ends`, `weight`), and a `note` for people."""


class UnknownValueError(ValueError):
    """A value means nothing; the text says what counts instead."""


class ForbiddenError(ValueError):
    """What is asked for cannot be done, and leaving it out would do harm."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Tool(IntEnum):
    """Whose name it is; where two disagree the first of this order counts."""

    OURS = 0
    FLUX = 1
    ARGO = 2
    CLI_UTILS = 3
    KAPP = 4
    HELM = 5


@dataclass(frozen=True, slots=True)
class Name:
    """One annotation."""

    tool: Tool
    reads: Callable[[str, str], Said]
    """From its value and the object's kind."""
    label: bool = False
    """May be a label as well."""


def _of(meanings: Mapping[str, Said]) -> Callable[[str, str], Said]:
    """Read one of some words, in upper or lower case."""

    def read(text: str, _: str) -> Said:
        try:
            return meanings[text.strip().lower()]
        except KeyError:
            raise UnknownValueError("has a value that is not known: it changes nothing") from None

    return read


def _always(said: Said) -> Callable[[str, str], Said]:
    """Read a name whose mere presence counts."""
    return lambda *_: said


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _wave(text: str, _: str) -> Said:
    return {"wave": _integer(text)}


def _weight(text: str, _: str) -> Said:
    return {"weight": _integer(text)}


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        # Taking it for 0 would apply the object at the wrong time (C1).
        raise ForbiddenError("object.wave", f"is {text[:40]!r}, not an integer") from None


def _timeout(text: str, _: str) -> Said:
    try:
        return {"health_timeout_s": seconds(text)}
    except ValueError:
        raise UnknownValueError("is no duration like 90s or 5m: it changes nothing") from None


def _dependencies(text: str, _: str) -> Said:
    return {"depends_on": tuple(_reference(word) for word in _words(text))}


def _reference(text: str) -> ObjectKey:
    """Read `group/kind/name` or `group/namespaces/namespace/kind/name`; the core group is empty."""
    match text.split("/"):
        case [group, "namespaces", namespace, kind, name] if namespace and kind and name:
            return ObjectKey(group, kind, namespace, name)
        case [group, kind, name] if kind and name:
            return ObjectKey(group, kind, "", name)
        case _:
            message = f"names {text[:80]!r}: it has to be group/kind/name or group/namespaces/namespace/kind/name"
            raise ForbiddenError("object.dependency", message)


_ARGO_OPTIONS: Mapping[str, Said] = {
    "prune=true": {"prune": Leave.DELETE},
    "prune=false": {"prune": Leave.KEEP},
    "prune=confirm": {"prune": Leave.CONFIRM},
    "delete=true": {"delete": Leave.DELETE},
    "delete=false": {"delete": Leave.KEEP},
    "delete=confirm": {"delete": Leave.CONFIRM},
    "force=true": {"recreate": True},
    "replace=true": {"recreate": True},
    "validate=false": {"validate": False},
    "clientsideapplymigration=false": {"takeover": False},
    "prunepropagationpolicy=foreground": {"propagation": "Foreground"},
    "prunepropagationpolicy=background": {"propagation": "Background"},
    "prunepropagationpolicy=orphan": {"propagation": "Orphan"},
}
# Done anyway, or a matter of a whole application.
_ARGO_ANYWAY = frozenset(
    {
        "applyoutofsynconly",
        "clientsideapplymigration",
        "createnamespace",
        "failonsharedresource",
        "force",
        "prunelast",
        "replace",
        "respectignoredifferences",
        "serversideapply",
        "skipdryrunonmissingresource",
        "validate",
    }
)


def _argo_options(text: str, kind: str) -> Said:
    options = [option.lower().replace(" ", "") for option in _words(text)]
    said: dict[str, Any] = {}
    for option in options:
        said |= _ARGO_OPTIONS.get(option, {})
    unknown = [each for each in options if each not in _ARGO_OPTIONS and each.partition("=")[0] not in _ARGO_ANYWAY]
    if kind == "Job" and {"force=true", "replace=true"} <= set(options):
        said["renew"] = Renew.REVISION
    elif "replace=true" in options:
        said["note"] = "asks for Replace: it is applied, and made anew only where a field cannot change"
    if unknown:
        said["note"] = f"has the option {unknown[0][:40]!r}, which is not known: it changes nothing"
    return said


_PHASES = {"presync": Phase.BEFORE, "sync": Phase.DURING, "postsync": Phase.AFTER, "syncfail": Phase.RESCUE}
_HELM_EVENTS = {
    "pre-install": (Phase.BEFORE, True),
    "pre-upgrade": (Phase.BEFORE, False),
    "post-install": (Phase.AFTER, True),
    "post-upgrade": (Phase.AFTER, False),
    "pre-rollback": (Phase.BEFORE, None),
    "post-rollback": (Phase.AFTER, None),
}
_BACK = frozenset({"pre-rollback", "post-rollback"})
_LEAVING = {"predelete": Phase.LEAVING, "postdelete": Phase.LEFT}


def _argo_hook(text: str, _: str) -> Said:
    events = [event.lower() for event in _words(text)]
    phases = [_PHASES[event] for event in events if event in _PHASES]
    if "skip" in events:
        return {"phase": None, "leaving": (), "left_out": "it asks to be skipped"}
    return _hook(phases[0] if phases else None, text, several=len(set(phases)) > 1)


def _helm_hook(text: str, _: str) -> Said:
    events = [event.lower() for event in _words(text)]
    if "crd-install" in events:
        return {}
    known = sorted((event for event in events if event in _HELM_EVENTS), key=_BACK.__contains__)
    phase = _HELM_EVENTS[known[0]][0] if known else None
    ours = {event for event in known if _HELM_EVENTS[event][0] is phase}
    times = {_HELM_EVENTS[event][1] for event in ours - _BACK}
    back = OnRollback.USUAL if not ours & _BACK else OnRollback.TOO if ours - _BACK else OnRollback.ONLY
    first = times.pop() if len(times) == 1 else None
    return _hook(phase, text, first=first, back=back, several=len(ours) < len(known))


def _hook(
    phase: Phase | None,
    text: str,
    *,
    first: bool | None = None,
    back: OnRollback = OnRollback.USUAL,
    several: bool,
) -> Said:
    """Return when a hook runs: in one phase of a delivery at most, and in those of a removal that it names (F13)."""
    events = {event.lower().replace("-", "") for event in _words(text)}
    leaving = tuple(found for event, found in _LEAVING.items() if event in events)
    if phase is None and not leaving:
        return {"phase": None, "leaving": (), "left_out": f"nothing here runs the hook {text[:40]!r}"}
    note = {"note": f"names several phases: it runs in {phase.value} only"} if several and phase else {}
    return {"phase": phase, "first": first, "back": back, "leaving": leaving, "left_out": "", **note}


def _ends(text: str, _: str) -> Said:
    known = {end.value.lower(): end for end in HookEnd}
    named = [word.lower().replace("-", "") for word in _words(text)]
    if not named or not known.keys() >= set(named):
        raise UnknownValueError("has a value that is not known: it changes nothing")
    return {"ends": frozenset(known[word] for word in named)}


_RULE = re.compile(r"(?:upsert after upserting|delete before deleting) (\S+)")


def _change_rule(text: str, _: str) -> Said:
    if match := _RULE.fullmatch(" ".join(text.split())):
        return {"after": (match[1],)}
    raise UnknownValueError("has a rule that is not known: it orders nothing")


def _versioned(*_: str) -> Said:
    raise UnknownValueError("is for the tool that renders: the object is applied under its own name")


def _mutation(*_: str) -> Said:
    raise ForbiddenError(
        "object.unsupported", "is not supported: the object would be applied with its placeholders in it"
    )


_KEPT = {"prune": Leave.KEEP, "delete": Leave.KEEP}
_DELETED = {"prune": Leave.DELETE, "delete": Leave.DELETE}
_SSA: Mapping[str, Said] = {
    "override": {"takeover": True, "if_absent": False, "ignore": False},
    "merge": {"takeover": False, "if_absent": False, "ignore": False},
    "ifnotpresent": {"if_absent": True},
    "ignore": {"ignore": True},
}
_RECONCILE: Mapping[str, Said] = {"disabled": {"ignore": True}, "enabled": {"ignore": False}}
_FORCE: Mapping[str, Said] = {"enabled": {"recreate": True}, "disabled": {"recreate": False}}
_FLAGS = {"true": True, "false": False}
_NOTHING: Said = {}

_FLUX = "kustomize.toolkit.fluxcd.io"
_ARGO = "argocd.argoproj.io"
_KAPP = "kapp.k14s.io"
_OURS: Mapping[str, Callable[[str, str], Said]] = {
    "prune": _of(
        {
            "disabled": _KEPT,
            "false": _KEPT,
            "enabled": _DELETED,
            "true": _DELETED,
            "confirm": {"prune": Leave.CONFIRM},
        }
    ),
    "delete": _of(
        {
            "disabled": {"delete": Leave.KEEP},
            "enabled": {"delete": Leave.DELETE},
            "confirm": {"delete": Leave.CONFIRM},
        }
    ),
    "reconcile": _of(_RECONCILE),
    "ssa": _of(_SSA),
    "force": _of(
        {
            **_FORCE,
            "change": {"recreate": True, "renew": Renew.CHANGE},
            "revision": {"recreate": True, "renew": Renew.REVISION},
        }
    ),
    "adopt": _of({text: {"adopt": flag} for text, flag in _FLAGS.items()}),
    "transfer-from": lambda text, _: {"transfer_from": text.strip()},
    "crd-upgrade": _of({"force": {"unsafe": True}}),
    "allow-empty": _of({text: {"allow_empty": flag} for text, flag in _FLAGS.items()}),
    "validate": _of({text: {"validate": flag} for text, flag in _FLAGS.items()}),
    "wait": _of({text: {"wait": flag} for text, flag in _FLAGS.items()}),
    "wait-for": _of({"address": _NOTHING}),
    "health-timeout": _timeout,
    "drift": _of({drift.value: {"drift": drift} for drift in Drift}),
    "deletion-propagation": _of(
        {word: {"propagation": word.title()} for word in ("background", "foreground", "orphan")}
    ),
    "exists": _of({"true": {"ignore": True, "exists": True}, "false": {"ignore": False, "exists": False}}),
    "wave": _wave,
    "depends-on": _dependencies,
    "hook": _argo_hook,
    "hook-weight": _weight,
    "hook-delete-policy": _ends,
    "hook-on-rollback": _of(
        {
            "true": {"on_rollback": OnRollback.TOO},
            "false": {"on_rollback": OnRollback.USUAL},
            "only": {"on_rollback": OnRollback.ONLY},
        }
    ),
}

NAMES: Mapping[str, Name] = {
    **{f"{GROUP}/{name}": Name(Tool.OURS, reads) for name, reads in _OURS.items()},
    # Nobody's policy but a fact about the file (A9), so it counts whatever other names do.
    "config.kubernetes.io/local-config": Name(Tool.OURS, _of({"true": {"left_out": LOCAL}, "false": _NOTHING})),
    f"{_FLUX}/ssa": Name(Tool.FLUX, _of(_SSA), label=True),
    f"{_FLUX}/reconcile": Name(Tool.FLUX, _of(_RECONCILE), label=True),
    f"{_FLUX}/prune": Name(Tool.FLUX, _of({"disabled": _KEPT, "enabled": _DELETED}), label=True),
    f"{_FLUX}/force": Name(Tool.FLUX, _of(_FORCE), label=True),
    "helm.toolkit.fluxcd.io/driftDetection": Name(
        Tool.FLUX, _of({"disabled": {"drift": Drift.REPORT}, "enabled": {"drift": Drift.CORRECT}}), label=True
    ),
    f"{_ARGO}/sync-wave": Name(Tool.ARGO, _wave),
    f"{_ARGO}/sync-options": Name(Tool.ARGO, _argo_options),
    f"{_ARGO}/hook": Name(Tool.ARGO, _argo_hook),
    f"{_ARGO}/hook-delete-policy": Name(Tool.ARGO, _ends),
    f"{_ARGO}/ignore-healthcheck": Name(Tool.ARGO, _of({"true": {"wait": False}, "false": _NOTHING})),
    "config.kubernetes.io/depends-on": Name(Tool.CLI_UTILS, _dependencies),
    "config.kubernetes.io/apply-time-mutation": Name(Tool.CLI_UTILS, _mutation),
    "client.lifecycle.config.k8s.io/deletion": Name(Tool.CLI_UTILS, _of({"detach": _KEPT})),
    "client.lifecycle.config.k8s.io/mutation": Name(Tool.CLI_UTILS, _of({"ignore": {"if_absent": True}})),
    "cli-utils.sigs.k8s.io/on-remove": Name(Tool.CLI_UTILS, _of({"keep": _KEPT})),
    "configmanagement.gke.io/managed": Name(
        Tool.CLI_UTILS, _of({"disabled": {"ignore": True}, "enabled": {"ignore": False}})
    ),
    f"{_KAPP}/change-group": Name(Tool.KAPP, lambda text, _: {"groups": (text.strip(),)}),
    f"{_KAPP}/change-rule": Name(Tool.KAPP, _change_rule),
    f"{_KAPP}/update-strategy": Name(
        Tool.KAPP,
        _of(
            {
                "default": _NOTHING,
                "fallback-on-replace": {"recreate": True},
                "always-replace": {"recreate": True, "renew": Renew.CHANGE},
                "skip": {"if_absent": True},
            }
        ),
    ),
    f"{_KAPP}/create-strategy": Name(
        Tool.KAPP,
        _of(
            {
                "default": _NOTHING,
                "fallback-on-update": {"adopt": True},
                "fallback-on-update-or-noop": {"adopt": True},
            }
        ),
    ),
    f"{_KAPP}/delete-strategy": Name(Tool.KAPP, _of({"default": _NOTHING, "orphan": _KEPT})),
    f"{_KAPP}/noop": Name(Tool.KAPP, _always({"ignore": True})),
    f"{_KAPP}/exists": Name(Tool.KAPP, _always({"ignore": True, "exists": True})),
    f"{_KAPP}/disable-wait": Name(Tool.KAPP, _always({"wait": False})),
    f"{_KAPP}/disable-associated-resources-wait": Name(Tool.KAPP, _always({"wait": False})),
    f"{_KAPP}/versioned": Name(Tool.KAPP, _versioned),
    "helm.sh/resource-policy": Name(Tool.HELM, _of({"keep": _KEPT})),
    "helm.sh/hook": Name(Tool.HELM, _helm_hook),
    "helm.sh/hook-weight": Name(Tool.HELM, _weight),
    "helm.sh/hook-delete-policy": Name(Tool.HELM, _ends),
}
NUMBERED = (f"{_KAPP}/change-group.", f"{_KAPP}/change-rule.")
"""Have a suffix after the dot, so that one object may have several."""
INVENTORY_LABELS = ("cli-utils.sigs.k8s.io/inventory-id", "applyset.kubernetes.io/id")
"""On an object that is another tool's memory of what it applied."""
