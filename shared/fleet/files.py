"""The three kinds of file that users write, field by field, with the defaults that count.

What a key means is in the fleet format's documentation; here stands what may be written. Keys that nobody knows are refused.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from shared.core.asking import question
from shared.core.names import name_problem
from shared.core.windows import span_of, zone_of

_CHART_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)*", re.ASCII)
DURATION = r"([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+"


def _tuples(value: Any) -> Any:
    """Return `value` with tuples for lists: behind a validator of ours, pydantic takes no list for one."""
    if isinstance(value, dict):
        return {key: _tuples(part) for key, part in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _one_or_many(value: Any) -> Any:
    return (value,) if isinstance(value, str) else _tuples(value)


def _one_selector(value: Any) -> Any:
    return (_tuples(value),) if isinstance(value, dict) else _tuples(value)


def _by_name(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else _tuples(value)


def _count_or_percent(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _usable(name: str) -> str:
    if problem := name_problem(name):
        raise ValueError(problem)
    return name


def _asks(text: str) -> str:
    if text:
        question(text)
    return text


def _unique(names: tuple[Stage, ...]) -> tuple[Stage, ...]:
    twice = {stage.name for stage in names if sum(stage.name == other.name for other in names) > 1}
    if twice:
        raise ValueError(f"two stages are named {', '.join(sorted(twice))}")
    return names


def _spans(texts: tuple[str, ...]) -> tuple[str, ...]:
    for text in texts:
        span_of(text)
    return texts


def _zone(name: str) -> str:
    zone_of(name)
    return name


def _is_one_chart(helm: Helm) -> Helm:
    if bool(helm.repo) != bool(helm.version):
        raise ValueError(
            "a chart of a repository has `repo`, `chart` and `version`; one of this source has `chart` alone"
        )
    if helm.repo and not _CHART_NAME.fullmatch(helm.chart):
        raise ValueError("with `repo`, `chart` is the name of a chart in it")
    return helm


def _says_when(window: Window) -> Window:
    if not (window.allow or window.deny):
        raise ValueError("it says neither when changes may go out (allow) nor when not (deny)")
    return window


Name = Annotated[str, AfterValidator(_usable)]
Duration = Annotated[str, Field(pattern=f"^{DURATION}$")]
Namespace = Annotated[str, Field(pattern=r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$")]
Words = Annotated[tuple[str, ...], BeforeValidator(_one_or_many)]
Spans = Annotated[Words, AfterValidator(_spans)]
Question = Annotated[str, AfterValidator(_asks)]
"""An expression over an object, in CEL."""
KubeVersion = Annotated[str, Field(pattern=r"^(v?[0-9]+\.[0-9]+(\.[0-9]+)?([-+][0-9A-Za-z.+-]+)?)?$")]
Match = dict[str, Words]
Labels = dict[str, str]


class Written(BaseModel):
    """Something that users write: camel case, and nothing unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, alias_generator=to_camel)


class Verify(Written):
    """Which signatures a source's commits must carry."""

    mode: Literal["head", "strict"] = "head"
    """The tip alone, or every commit since the last one that was taken."""
    signers: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Any of them is enough; the hub has their keys."""


class OtherSource(Written):
    """A repository that apps may name."""

    url: Annotated[str, Field(min_length=1)]
    ref: str = ""
    verify: Verify | None = None


class Stage(Written):
    """One step of a rollout; what is no field is a gate, and a gate that is not known pauses."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, alias_generator=to_camel)

    name: Annotated[str, Field(min_length=1)]
    match: Match = {}
    batch: Annotated[str, BeforeValidator(_count_or_percent), Field(pattern=r"^([1-9][0-9]*%?)?$")] = ""
    max_failures: Annotated[int, Field(ge=0)] = 0
    soak: Duration | None = None
    approval: Literal["manual", "none"] | None = None
    windows: Words | None = None


class Rollout(Written):
    """How a revision moves over an app's clusters."""

    on_failure: Literal["pause", "rollback", "continue"] = "pause"
    stages: Annotated[tuple[Stage, ...], AfterValidator(_unique)] = ()


class AppRollout(Rollout):
    """The name of a rollout of the fleet, or one of the app's own."""

    name: str = ""


class Defaults(Written):
    """What counts where an app says nothing."""

    rollout: str = ""


class Claims(Written):
    """Which labels an environment may give itself."""

    accept: tuple[str, ...] = ()
    approve: tuple[str, ...] = ()


class Project(Written):
    """The fences of a group of apps."""

    sources: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    cluster_scoped: bool = False
    clusters: Match = {}
    run_as: str = ""


class Window(Written):
    """When changes may go out; a date or days, times, or both: `Mon-Fri 09:00-16:00`."""

    allow: Spans = ()
    deny: Spans = ()
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"
    heal: bool = False
    """Whether agents correct drift while it is closed."""


class FleetFile(Written):
    """`fleet.yaml`."""

    version: Literal[1]
    sources: dict[Name, OtherSource] = {}
    rollouts: dict[Name, Rollout] = {}
    defaults: Defaults = Defaults()
    claims: Claims = Claims()
    projects: dict[Name, Project] = {}
    windows: dict[Name, Annotated[Window, AfterValidator(_says_when)]] = {}


class WrittenCluster(Written):
    """One entry of a file of clusters."""

    name: Name
    labels: Labels = {}
    values: dict[str, Any] = {}
    kube_version: KubeVersion = ""
    """The version of Kubernetes for which charts are rendered."""
    api_versions: tuple[str, ...] = ()
    """What charts find among `.Capabilities.APIVersions`, besides Kubernetes' own: `group/version` or with `/Kind`."""


class ClustersFile(Written):
    """`clusters/*.yaml`; the entries are read one by one, so that a wrong one is alone."""

    labels: Labels = {}
    values: dict[str, Any] = {}
    kube_version: KubeVersion = ""
    api_versions: tuple[str, ...] = ()
    clusters: tuple[dict[str, Any], ...] = ()


class Retry(Written):
    """How a failed run is tried again."""

    first: Duration = "10s"
    max: Duration = "5m"


class Ignore(Written):
    """Fields that others own."""

    target: dict[str, str] = {}
    paths: tuple[str, ...] = ()
    managers: tuple[str, ...] = ()


class HealthCheck(Written):
    """How objects of some kinds do: the first of the questions that is true; none is still in progress."""

    api_version: str = ""
    """`group/version`, as in a manifest; the version does not count."""
    group: str = ""
    kind: Annotated[str, Field(min_length=1)]
    in_progress: Question = ""
    failed: Question = ""
    current: Annotated[Question, Field(min_length=1)]


class Suspend(Written):
    """Why an app is left alone, and until when."""

    reason: Annotated[str, Field(min_length=1)]
    until: str = ""


class Sync(Written):
    """How an app is kept in its clusters."""

    prune: bool = True
    drift: Literal["correct", "report", "ignore"] = "correct"
    extras: Literal["humans", "keep", "strict"] = "humans"
    create_namespace: bool = True
    interval: Duration = "60m"
    timeout: Duration = "5m"
    retry: Retry = Retry()
    on_error: Literal["continue", "stop"] = "continue"
    conflicts: Literal["force", "fail", "yield"] = "force"
    on_immutable: Literal["fail", "recreate"] = "fail"
    adopt: Literal["unowned", "never", "all"] = "unowned"
    deletion_policy: Literal["delete", "orphan", "keep-data"] = "delete"
    atomic: bool = False
    preflight: Literal["none", "server"] = "none"
    wait: bool = True
    allow_empty: bool = False
    prune_crds: Annotated[bool, Field(alias="pruneCRDs")] = False
    ignore: tuple[Ignore, ...] = ()
    depends_on: tuple[str, ...] = ()
    run_as: str = ""
    windows: Words = ()
    health_checks: tuple[HealthCheck, ...] = ()
    suspend: Suspend | None = None
    mode: Literal["apply", "plan"] = "apply"
    compat: bool = True
    rerun_hooks: bool = False
    """Whether a failed run that is tried again runs all its hooks again, or only what did not succeed."""


class AppSource(Written):
    """Where an app's content is: a repository of `sources` by name, or one of its own."""

    name: str = ""
    repo: str = ""
    ref: str = ""
    path: str = ""


class Plain(Written):
    """Manifests as they are, or written by a template."""

    template: Literal["", "jinja"] = ""


class Kustomize(Written):
    """A kustomization: nothing to say but that it is one."""


class Substitute(Written):
    """Variables that are filled into `${name}` of the built objects, as Flux does."""

    vars: dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], str] = {}
    strict: bool = False
    """Whether a variable that is not set is an error; else it is empty."""


class Helm(Written):
    """A chart: a folder or archive of the source, or, with `repo`, one of a chart repository."""

    chart: str = "."
    """A path from the app's folder; with `repo`, the name of the chart."""
    repo: Annotated[str, Field(pattern=r"^((https?|oci)://[^\s@?#]+)?$")] = ""
    """A chart repository, `https://...` or `oci://...`."""
    version: str = ""
    """A version, or a range of them; `charts.lock` says which archive that is."""
    release: str = ""
    values: dict[str, Any] = {}
    kube_version: KubeVersion = ""
    """Counts before what is said of the cluster."""
    api_versions: tuple[str, ...] = ()
    """Count together with those of the cluster."""
    allow_nondeterministic: bool = False


class AppFile(Written):
    """`apps/<app>/app.yaml`."""

    namespace: Namespace = ""
    project: str = ""
    source: Annotated[AppSource | None, BeforeValidator(_by_name)] = None
    layers: tuple[str, ...] = ()
    targets: Annotated[tuple[Match, ...], BeforeValidator(_one_selector)] = ()
    checks: Annotated[Literal["warn", "strict", "none"], Field(alias="validate")] = "warn"
    """What follows when the schemas of Kubernetes or of definitions refuse an object: a warning, no bundle, or nothing."""
    plain: Plain | None = None
    kustomize: Kustomize | None = None
    helm: Annotated[Helm, AfterValidator(_is_one_chart)] | None = None
    substitute: Substitute | None = None
    sync: Sync = Sync()
    rollout: Annotated[AppRollout | None, BeforeValidator(_by_name)] = None
