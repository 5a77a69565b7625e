"""What an agent is told at its start; read once, without pydantic, which an agent's memory has no room for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from services.applier.kube.access import Access
from services.applier.kube.credentials import (
    POD_FOLDER,
    Credentials,
    FixedCredentials,
    KubeconfigCredentials,
    PodCredentials,
)
from services.applier.kube.throttle import MAX_IN_FLIGHT
from services.applier.local_policy import PolicyError, policy_of
from services.applier.tenancy import LocalPolicy
from shared.core.names import name_problem
from shared.errors import PermanentError
from shared.runtime.logs import LEVELS


class SettingsError(PermanentError):
    """The agent's settings cannot be used; all that is wrong is named at once."""

    code = "settings.invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often things happen, in seconds; tests that watch one make it short."""

    look_s: float = 60.0
    """A look at the bus without any hint, moved by a quarter."""
    heartbeat_s: float = 25.0
    """Moved by a fifth; the hub says *gone* after 90 s."""
    stale_s: float = 300.0
    """Nothing read from the bus for so long: the status says so, nothing else happens."""
    coalesce_s: float = 1.5
    """Changes of status within this time are sent together."""
    debounce_s: float = 0.1
    """Signs of drift within this time are looked at together."""
    refused_s: float = 60.0
    """A hub that refuses is asked again after this time at the earliest."""
    flap_s: float = 30.0
    """A failure that was reported is not taken back within this time: what fails again meanwhile is one failure."""
    lease_s: float = 15.0
    renew_lease_s: float = 5.0
    probe_s: float = 2.0
    """Between two looks at something that is coming: a namespace, a kind, an object's end."""
    wait_kind_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplierSettings:
    """One agent: its hub, its cluster, and where it keeps its identity."""

    hub: str = ""
    """URL; a join token brings its own."""
    join: str = field(default="", repr=False)
    """The join token; needed until the agent has an identity."""
    kubeconfig: Path | None = None
    """None: this pod's own service account."""
    context: str = ""
    pod_folder: Path = POD_FOLDER
    """Where the kubelet mounts token and CA of the pod's service account."""
    access: Access | None = None
    """Ready-made access, for programs that run many agents against clusters that they made themselves."""
    data: Path | None = None
    """Where identity and bundles are kept; None: in Secrets of the cluster, as far as they fit there."""
    namespace: str = "towline"
    """Where the agent keeps its things in its cluster."""
    claims: Mapping[str, str] = field(default_factory=dict)
    """Labels that this cluster asks for; the fleet decides which of them count."""
    sensitive: frozenset[tuple[str, str]] = frozenset()
    """(group, kind) of custom resources that hold secrets: of these no value leaves the agent (P6)."""
    sops_secret: str = ""
    """The Secret with the keys for what SOPS encrypted, in `namespace`, or for an app with an account in the account's."""
    policy: LocalPolicy = field(default_factory=LocalPolicy)
    """Which apps may do what here, whatever was released."""
    strict_tls: bool = True
    in_flight: int = MAX_IN_FLIGHT
    """Requests to the API server at one time."""
    bus_ca: Path | None = None
    """CA of the bus, where the system does not know it."""
    probe_listen: str = "127.0.0.1:0"
    log_format: str = "json"
    log_level: str = "info"
    pace: Pace = Pace()

    def credentials(self) -> Credentials:
        """Return how this agent signs in to its cluster."""
        if self.access is not None:
            return FixedCredentials(self.access)
        if self.kubeconfig is not None:
            return KubeconfigCredentials(self.kubeconfig, self.context)
        return PodCredentials(self.pod_folder)


def settings_of(environment: Mapping[str, str]) -> ApplierSettings:
    """Return the settings that `TOWLINE_AGENT_*` variables give.

    Raises:
        SettingsError: with everything that is wrong.
    """
    problems: list[str] = []
    told = {
        name.removeprefix("TOWLINE_AGENT_").lower(): value
        for name, value in environment.items()
        if name.startswith("TOWLINE_AGENT_") and value
    }
    shared = {
        "log_format": environment.get("TOWLINE_LOG_FORMAT", ""),
        "log_level": environment.get("TOWLINE_LOG_LEVEL", ""),
    }
    unknown = set(told) - _KNOWN
    problems += [f"TOWLINE_AGENT_{name.upper()} is not a setting" for name in sorted(unknown)]
    join = told.get("join", "")
    if file := told.get("join_file"):
        join = _text_of(file, "TOWLINE_AGENT_JOIN_FILE", problems)
    settings = ApplierSettings(
        hub=told.get("hub", ""),
        join=join.strip(),
        kubeconfig=_path(told.get("kubeconfig")),
        pod_folder=Path(told.get("pod_folder") or POD_FOLDER),
        context=told.get("context", ""),
        data=_path(told.get("data")),
        namespace=told.get("namespace", "towline"),
        claims=_claims(told.get("claims", ""), problems),
        sensitive=_kinds(told.get("sensitive", ""), problems),
        sops_secret=told.get("sops_secret", ""),
        policy=_policy(told.get("policy"), problems),
        strict_tls=told.get("strict_tls", "true").lower() not in {"false", "0", "no"},
        in_flight=_number(told.get("in_flight", str(MAX_IN_FLIGHT)), "TOWLINE_AGENT_IN_FLIGHT", problems),
        bus_ca=_path(told.get("bus_ca")),
        probe_listen=told.get("probe_listen", "127.0.0.1:0"),
        log_format=shared["log_format"] or "json",
        log_level=shared["log_level"] or "info",
    )
    if settings.kubeconfig is None and not environment.get("KUBERNETES_SERVICE_HOST"):
        problems.append("this is no pod: name a kubeconfig in TOWLINE_AGENT_KUBECONFIG")
    if settings.log_level not in LEVELS:
        problems.append(f"TOWLINE_LOG_LEVEL: {settings.log_level!r} is none of {', '.join(LEVELS)}")
    if settings.bus_ca and not settings.bus_ca.is_file():
        problems.append(f"TOWLINE_AGENT_BUS_CA: there is no file {settings.bus_ca}")
    if not settings.probe_listen.rpartition(":")[2].isdecimal():
        problems.append(f"TOWLINE_AGENT_PROBE_LISTEN: {settings.probe_listen!r} is not HOST:PORT")
    if problem := name_problem(settings.namespace) if settings.namespace != "towline" else "":
        problems.append(f"TOWLINE_AGENT_NAMESPACE: {problem}")
    if problems:
        raise SettingsError("; ".join(problems))
    return settings


_KNOWN = frozenset(
    [
        "hub", "join", "join_file", "kubeconfig", "context", "data", "namespace", "claims", "strict_tls", "in_flight",
        "bus_ca", "probe_listen", "pod_folder", "sensitive", "sops_secret", "policy",
    ]
)  # fmt: skip


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _text_of(file: str, name: str, problems: list[str]) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except OSError as error:
        problems.append(f"{name}: cannot read {file}: {error.strerror}")
        return ""


def _policy(file: str | None, problems: list[str]) -> LocalPolicy:
    if not file:
        return LocalPolicy()
    before = len(problems)
    text = _text_of(file, "TOWLINE_AGENT_POLICY", problems)
    try:
        return policy_of(text.encode(), file) if len(problems) == before else LocalPolicy()
    except PolicyError as error:
        problems.append(f"TOWLINE_AGENT_POLICY: {error}")
        return LocalPolicy()


def _claims(text: str, problems: list[str]) -> dict[str, str]:
    """Return the labels of `a=b,c=d`."""
    claims: dict[str, str] = {}
    for part in filter(None, text.split(",")):
        name, equals, value = part.partition("=")
        if equals and name.strip():
            claims[name.strip()] = value.strip()
        else:
            problems.append(f"TOWLINE_AGENT_CLAIMS: {part!r} is not name=value")
    return claims


def _kinds(text: str, problems: list[str]) -> frozenset[tuple[str, str]]:
    """Return the kinds of `acme.io/Vault,example.org/Login`."""
    found = set()
    for part in filter(None, (each.strip() for each in text.split(","))):
        group, slash, kind = part.partition("/")
        if slash and kind:
            found.add((group, kind))
        else:
            problems.append(f"TOWLINE_AGENT_SENSITIVE: {part!r} is not group/Kind")
    return frozenset(found)


def _number(text: str, name: str, problems: list[str]) -> int:
    if text.isdecimal() and int(text):
        return int(text)
    problems.append(f"{name}: {text!r} is not a number above 0")
    return 1
