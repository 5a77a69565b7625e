"""Manifests that were written for other tools do what their authors meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.applier.compat import asked
from services.applier.compat_names import NAMES, Tool
from services.applier.options import Drift
from services.applier.policy import LOCAL, NOTHING, Hook, HookEnd, Leave, OnRollback, Phase, Policy, Renew
from shared.core.objects import ObjectKey

OURS, FLUX, ARGO = "towline.dev", "kustomize.toolkit.fluxcd.io", "argocd.argoproj.io"
KAPP, CONFIG = "kapp.k14s.io", "client.lifecycle.config.k8s.io"
KEPT = Policy(prune=Leave.KEEP, delete=Leave.KEEP)
DEFAULT_ENDS = frozenset({HookEnd.BEFORE_CREATION})


def policy(annotations, labels=None, **more):
    return asked(annotations, labels or {}, **more).policy


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        # ours
        (f"{OURS}/prune", "disabled", KEPT),
        (f"{OURS}/prune", "confirm", Policy(prune=Leave.CONFIRM)),
        (f"{OURS}/delete", "disabled", Policy(delete=Leave.KEEP)),
        (f"{OURS}/delete", "confirm", Policy(delete=Leave.CONFIRM)),
        (f"{OURS}/reconcile", "disabled", Policy(ignore=True)),
        (f"{OURS}/ssa", "IfNotPresent", Policy(if_absent=True)),
        (f"{OURS}/ssa", "merge", Policy(takeover=False)),
        (f"{OURS}/force", "enabled", Policy(recreate=True)),
        (f"{OURS}/force", "revision", Policy(recreate=True, renew=Renew.REVISION)),
        (f"{OURS}/adopt", "true", Policy(adopt=True)),
        (f"{OURS}/transfer-from", "api", Policy(transfer_from="api")),
        (f"{OURS}/allow-empty", "true", Policy(allow_empty=True)),
        (f"{OURS}/crd-upgrade", "force", Policy(unsafe=True)),
        (f"{OURS}/validate", "false", Policy(validate=False)),
        (f"{OURS}/wait", "false", Policy(wait=False)),
        (f"{OURS}/health-timeout", "90s", Policy(health_timeout_s=90.0)),
        (f"{OURS}/drift", "report", Policy(drift=Drift.REPORT)),
        (f"{OURS}/deletion-propagation", "foreground", Policy(propagation="Foreground")),
        (f"{OURS}/exists", "true", Policy(ignore=True, exists=True)),
        (f"{OURS}/wave", "3", Policy(wave=3)),
        (
            f"{OURS}/depends-on",
            "apps/namespaces/n/Deployment/d",
            Policy(depends_on=(ObjectKey("apps", "Deployment", "n", "d"),)),
        ),
        # Flux
        (f"{FLUX}/prune", "Disabled", KEPT),
        (f"{FLUX}/reconcile", "disabled", Policy(ignore=True)),
        (f"{FLUX}/ssa", "Override", NOTHING),
        (f"{FLUX}/ssa", "Merge", Policy(takeover=False)),
        (f"{FLUX}/ssa", "IfNotPresent", Policy(if_absent=True)),
        (f"{FLUX}/ssa", "Ignore", Policy(ignore=True)),
        (f"{FLUX}/force", "Enabled", Policy(recreate=True)),
        (f"{FLUX}/substitute", "disabled", NOTHING),
        ("helm.toolkit.fluxcd.io/driftDetection", "disabled", Policy(drift=Drift.REPORT)),
        # Argo CD
        (f"{ARGO}/sync-wave", "-5", Policy(wave=-5)),
        (f"{ARGO}/sync-options", "Prune=false", Policy(prune=Leave.KEEP)),
        (f"{ARGO}/sync-options", "Prune=confirm, Delete=confirm", Policy(prune=Leave.CONFIRM, delete=Leave.CONFIRM)),
        (f"{ARGO}/sync-options", "Delete=false", Policy(delete=Leave.KEEP)),
        (f"{ARGO}/sync-options", "Validate=false,ServerSideApply=true,PruneLast=true", Policy(validate=False)),
        (f"{ARGO}/sync-options", "Force=true", Policy(recreate=True)),
        (f"{ARGO}/sync-options", "Replace=true", Policy(recreate=True)),
        (f"{ARGO}/sync-options", "PrunePropagationPolicy=orphan", Policy(propagation="Orphan")),
        (f"{ARGO}/sync-options", "ClientSideApplyMigration=false", Policy(takeover=False)),
        (f"{ARGO}/compare-options", "IgnoreExtraneous", NOTHING),
        (f"{ARGO}/ignore-healthcheck", "true", Policy(wait=False)),
        # cli-utils, kpt, Config Sync
        ("config.kubernetes.io/local-config", "true", Policy(left_out=LOCAL)),
        (
            "config.kubernetes.io/depends-on",
            "/namespaces/n/Pod/p",
            Policy(depends_on=(ObjectKey("", "Pod", "n", "p"),)),
        ),
        (f"{CONFIG}/deletion", "detach", KEPT),
        (f"{CONFIG}/mutation", "ignore", Policy(if_absent=True)),
        ("cli-utils.sigs.k8s.io/on-remove", "keep", KEPT),
        ("configmanagement.gke.io/managed", "disabled", Policy(ignore=True)),
        # kapp
        (f"{KAPP}/change-group", "db", Policy(groups=("db",))),
        (f"{KAPP}/change-rule.one", "upsert after upserting db", Policy(after=("db",))),
        (f"{KAPP}/change-rule", "delete before deleting db", Policy(after=("db",))),
        (f"{KAPP}/update-strategy", "fallback-on-replace", Policy(recreate=True)),
        (f"{KAPP}/update-strategy", "always-replace", Policy(recreate=True, renew=Renew.CHANGE)),
        (f"{KAPP}/update-strategy", "skip", Policy(if_absent=True)),
        (f"{KAPP}/create-strategy", "fallback-on-update-or-noop", Policy(adopt=True)),
        (f"{KAPP}/delete-strategy", "orphan", KEPT),
        (f"{KAPP}/noop", "", Policy(ignore=True)),
        (f"{KAPP}/exists", "", Policy(ignore=True, exists=True)),
        (f"{KAPP}/disable-wait", "", Policy(wait=False)),
        (f"{KAPP}/nonce", "", NOTHING),
        # Helm
        ("helm.sh/resource-policy", "keep", KEPT),
    ],
)
def test_a_name_means_what_its_tool_means_by_it(annotation, value, expected):
    """A9, D9, D10, F4, F6, F15, G2, H2, I6, J9, Q1: the names of section 7, one by one."""
    assert policy({annotation: value}) == expected


HOOKED = {"recreate": True}


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({f"{ARGO}/hook": "PreSync"}, Policy(hook=Hook(Phase.BEFORE), wave=-10_000, **HOOKED)),
        ({f"{ARGO}/hook": "Sync", f"{ARGO}/sync-wave": "2"}, Policy(hook=Hook(Phase.DURING), wave=2, **HOOKED)),
        ({f"{ARGO}/hook": "PostSync"}, Policy(hook=Hook(Phase.AFTER), wave=10_000, **HOOKED)),
        ({f"{ARGO}/hook": "SyncFail"}, Policy(hook=Hook(Phase.RESCUE), wave=20_000, **HOOKED)),
        (
            {f"{ARGO}/hook": "PostSync", f"{ARGO}/hook-delete-policy": "HookSucceeded,HookFailed"},
            Policy(hook=Hook(Phase.AFTER, frozenset({HookEnd.SUCCEEDED, HookEnd.FAILED})), wave=10_000),
        ),
        (
            {"helm.sh/hook": "pre-install", "helm.sh/hook-weight": "-3"},
            Policy(hook=Hook(Phase.BEFORE, first=True), wave=-10_003, **HOOKED),
        ),
        ({"helm.sh/hook": "post-upgrade"}, Policy(hook=Hook(Phase.AFTER, first=False), wave=10_000, **HOOKED)),
        (
            {"helm.sh/hook": "pre-install, pre-upgrade", "helm.sh/hook-delete-policy": "hook-succeeded"},
            Policy(hook=Hook(Phase.BEFORE, frozenset({HookEnd.SUCCEEDED})), wave=-10_000),
        ),
        # The renderer has already given a chart's hooks their waves.
        (
            {"helm.sh/hook": "pre-install,pre-upgrade", f"{OURS}/wave": "-10007"},
            Policy(hook=Hook(Phase.BEFORE), wave=-10_007, **HOOKED),
        ),
        (
            {"helm.sh/hook": "post-rollback"},
            Policy(hook=Hook(Phase.AFTER), wave=10_000, on_rollback=OnRollback.ONLY, **HOOKED),
        ),
        (
            {"helm.sh/hook": "pre-rollback,pre-upgrade"},
            Policy(hook=Hook(Phase.BEFORE, first=False), wave=-10_000, on_rollback=OnRollback.TOO, **HOOKED),
        ),
        (
            {f"{OURS}/hook": "PreSync", f"{OURS}/hook-on-rollback": "only"},
            Policy(hook=Hook(Phase.BEFORE), wave=-10_000, on_rollback=OnRollback.ONLY, **HOOKED),
        ),
        (
            {f"{ARGO}/hook": "PreSync", "helm.sh/hook": "pre-rollback"},
            Policy(hook=Hook(Phase.BEFORE), wave=-10_000, **HOOKED),
        ),
        ({"helm.sh/hook": "crd-install"}, NOTHING),
        ({f"{ARGO}/hook": "PreSync", "helm.sh/hook": "test"}, Policy(hook=Hook(Phase.BEFORE), wave=-10_000, **HOOKED)),
    ],
)
def test_hooks_have_a_phase_a_place_in_it_and_an_end(annotations, expected):
    """K1, K4, C1: Argo CD's and Helm's hooks; Helm's counts only where there is none of Argo CD's."""
    found = asked(annotations, {})

    assert found.policy == expected
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("annotations", "says"),
    [
        ({"helm.sh/hook": "test"}, "'test'"),
        ({f"{ARGO}/hook": "PreSnyc"}, "'PreSnyc'"),
        ({f"{ARGO}/hook": "Skip", "helm.sh/hook": "pre-install"}, "skipped"),
    ],
)
def test_a_hook_that_no_delivery_runs_is_left_out_with_a_word(annotations, says):
    """K8: tests, unknown names and Skip."""
    assert says in policy(annotations).left_out


@pytest.mark.parametrize(
    ("annotations", "delivery", "removal", "weight"),
    [
        ({f"{ARGO}/hook": "PreDelete"}, None, [Phase.LEAVING], 0),
        ({f"{OURS}/hook": "PostDelete", f"{OURS}/hook-weight": "3"}, None, [Phase.LEFT], 3),
        (
            {"helm.sh/hook": "post-delete,pre-delete", "helm.sh/hook-weight": "-2"},
            None,
            [Phase.LEAVING, Phase.LEFT],
            -2,
        ),
        ({"helm.sh/hook": "pre-install,pre-delete"}, Phase.BEFORE, [Phase.LEAVING], 0),
        # The wave that the renderer gave a chart's hook is one of its delivery.
        (
            {"helm.sh/hook": "post-install,pre-delete", f"{OURS}/wave": "10004", "helm.sh/hook-weight": "4"},
            Phase.AFTER,
            [Phase.LEAVING],
            4,
        ),
        ({f"{ARGO}/hook": "PreSync", "helm.sh/hook": "pre-delete"}, Phase.BEFORE, [], 0),
        ({f"{OURS}/hook": "PreDelete", "helm.sh/hook": "pre-delete"}, None, [Phase.LEAVING], 0),
    ],
)
def test_hooks_of_a_removal_have_their_phases_beside_those_of_a_delivery(annotations, delivery, removal, weight):
    """F13: one object may be run in a delivery and in both phases of a removal."""
    found = asked(annotations, {})
    leaving = found.policy.at_removal(removal[0]) if removal else None

    assert (found.policy.hook and found.policy.hook.phase, [each.phase for each in found.policy.removal]) == (
        delivery,
        removal,
    )
    assert leaving is None or (leaving.hook.phase, leaving.wave, leaving.recreate) == (removal[0], weight, True)
    assert (found.warnings, found.policy.left_out) == ((), "")


def test_labels_count_where_the_tool_reads_them():
    assert policy({}, {f"{FLUX}/prune": "disabled"}) == KEPT
    assert policy({f"{FLUX}/prune": "enabled"}, {f"{FLUX}/prune": "disabled"}) == NOTHING
    assert policy({}, {f"{ARGO}/sync-wave": "3", "helm.sh/resource-policy": "keep"}) == NOTHING
    assert "inventory" in policy({}, {"cli-utils.sigs.k8s.io/inventory-id": "x"}).left_out


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({f"{OURS}/prune": "enabled", "helm.sh/resource-policy": "keep"}, NOTHING),
        ({f"{FLUX}/prune": "enabled", f"{ARGO}/sync-options": "Prune=false"}, NOTHING),
        ({f"{ARGO}/sync-options": "Prune=true", "cli-utils.sigs.k8s.io/on-remove": "keep"}, Policy(delete=Leave.KEEP)),
        ({f"{OURS}/wave": "2", f"{ARGO}/sync-wave": "5"}, Policy(wave=2)),
        ({f"{FLUX}/force": "disabled", f"{KAPP}/update-strategy": "fallback-on-replace"}, NOTHING),
    ],
)
def test_of_two_tools_the_stronger_counts_and_that_is_told(annotations, expected):
    """A12: ours, then Flux, Argo CD, cli-utils, kapp, Helm."""
    found = asked(annotations, {})

    assert found.policy == expected
    assert [warning for warning in found.warnings if "disagrees with" in warning]


def test_names_of_one_tool_add_up():
    groups = {f"{KAPP}/change-group.a": "a", f"{KAPP}/change-group.b": "b"}
    flux = {f"{FLUX}/ssa": "Merge", f"{FLUX}/reconcile": "disabled"}

    assert policy(groups) == Policy(groups=("a", "b"))
    assert policy(flux) == Policy(takeover=False, ignore=True)
    assert policy({f"{OURS}/delete": "disabled", f"{OURS}/prune": "enabled"}) == Policy(delete=Leave.KEEP)
    assert asked(flux, {}).warnings == ()


def test_a_job_that_is_forced_and_replaced_is_made_anew_each_revision():
    """H2: for other kinds the same words allow no more than they do singly."""
    both = {f"{ARGO}/sync-options": "Force=true,Replace=true"}

    assert policy(both, kind="Job") == Policy(recreate=True, renew=Renew.REVISION)
    assert policy(both, kind="Deployment") == Policy(recreate=True)
    assert "Replace" in asked(both, {}, kind="Deployment").warnings[0]


@pytest.mark.parametrize(
    ("annotations", "says"),
    [
        ({f"{OURS}/prune": "no idea"}, "not known"),
        ({f"{FLUX}/ssa": "ignroe"}, "not known"),
        ({f"{ARGO}/sync-options": "Prune=flase"}, "'prune=flase'"),
        ({f"{ARGO}/hook-delete-policy": "Never"}, "not known"),
        ({f"{OURS}/health-timeout": "soon"}, "duration"),
        ({f"{KAPP}/change-rule": "upsert before upserting db"}, "rule"),
        ({f"{KAPP}/versioned": ""}, "renders"),
        ({f"{ARGO}/hook": "PreSync,PostSync"}, "several phases"),
    ],
)
def test_what_is_not_understood_is_a_warning_and_no_policy(annotations, says):
    """A12: a misspelt value is never silently another policy."""
    found = asked(annotations, {})

    assert says in found.warnings[0]
    assert found.policy in {NOTHING, policy({f"{ARGO}/hook": "PreSync"})}


def test_a_misspelt_option_does_not_take_the_others_along():
    """A12: the object stays protected."""
    assert policy({f"{ARGO}/sync-options": "Prune=false,Foo=bar"}) == Policy(prune=Leave.KEEP)


@pytest.mark.parametrize(
    ("annotations", "code"),
    [
        ({f"{OURS}/wave": "soon"}, "object.wave"),
        ({f"{ARGO}/hook": "PreSync", "helm.sh/hook-weight": "x"}, "object.wave"),
        ({"config.kubernetes.io/depends-on": "Deployment/d"}, "object.dependency"),
        ({"config.kubernetes.io/apply-time-mutation": "- sourceRef"}, "object.unsupported"),
    ],
)
def test_what_must_not_be_left_out_refuses_the_object(annotations, code):
    """C1: an order or a substitution that is not followed would apply the wrong thing."""
    assert [found for found, _ in asked(annotations, {}).refusals] == [code]


@pytest.mark.parametrize("name", sorted(name for name, row in NAMES.items() if row.tool is not Tool.OURS))
def test_other_tools_names_can_be_switched_off(name):
    values = ("disabled", "true", "keep", "detach", "ignore", "5", "Prune=false", "PreSync", "pre-install", "orphan")

    assert all(policy({name: value}, compat=False) == NOTHING for value in values)
    assert policy({name: "x", f"{OURS}/wave": "1"}, compat=False) == Policy(wave=1)


TEXTS = st.one_of(
    st.text("abc/=,:- ", max_size=12),
    st.sampled_from(
        ["disabled", "true", "keep", "skip", "5", "Prune=false", "PreSync,PostSync", "pre-install", "a/b/c", ""]
    ),
)


@given(
    st.dictionaries(st.sampled_from(sorted(NAMES)), TEXTS, max_size=6),
    st.dictionaries(st.sampled_from(sorted(NAMES)), TEXTS, max_size=3),
    st.sampled_from(["Job", "Deployment", ""]),
)
def test_any_annotations_have_a_policy_and_ours_cannot_be_outvoted(annotations, labels, kind):
    """A12: whatever else an object says."""
    found = asked({**annotations, f"{OURS}/prune": "enabled", f"{OURS}/reconcile": "enabled"}, labels, kind=kind)

    assert found.policy.prune is Leave.DELETE
    assert asked(annotations, labels, kind=kind, compat=False).policy == policy(
        {name: text for name, text in annotations.items() if NAMES[name].tool is Tool.OURS}, kind=kind
    )
