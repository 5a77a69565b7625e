"""Plans: any of them, stopped anywhere, is repaired by the next one. A02, A04-A07, I6 of faults.md."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.applier.documents import Blob, Bundle, ReleaseDocument
from services.applier.errors import ErrorClass, Failure
from services.applier.guard import HoldReason, approval_of
from services.applier.options import Adopt, Conflicts, DeletionPolicy, Drift, Options
from services.applier.plan import (
    Applied,
    Blocked,
    Cause,
    Create,
    Failed,
    Gone,
    Orphan,
    Patch,
    Prune,
    Recreate,
    Released,
    Skip,
    SkipReason,
    plan,
    prune_obstacle,
    settled,
)
from services.applier.policy import Hook, Leave, Phase, Policy
from services.applier.state import Absent, Entry, Header, Inventory, Present, Unknown, Wanted, Why
from services.applier.tracking import owner_value
from shared.core.objects import ObjectKey

APP, CLUSTER = "web", "c1"
OPTIONS = Options()


def key(name, kind="ConfigMap", group="", namespace="shop"):
    return ObjectKey(group, kind, namespace, name)


def wanted(found, content="1", **changes):
    return Wanted(found, "v1", content.encode(), f"d{content}", **changes)


def bundle_digest(desired):
    return "+".join(sorted(f"{k}={w.digest}" for k, w in desired.items())) or "empty"


def release(desired, deletes=(), *, number=1, removed=False, **changes):
    bundle = None if removed else Bundle(bundle_digest(desired), 1, len(desired), Blob("b", 1))
    return ReleaseDocument(
        APP, 1, number, removed=removed, bundle=bundle, deletes=frozenset(str(k) for k in deletes), **changes
    )


def uid_of(found):
    return "u1" if found.name == "a" else f"u-{found.name}"


def present(found, *, owner=APP, uid=None, owned="o1", **changes):
    mark = owner_value(owner, found) if owner else ""
    return Present(
        uid or uid_of(found), "7", 1, mark, changes.pop("agent", CLUSTER if owner else ""), owned=owned, **changes
    )


def entry(found, content="1", *, uid=None, owned="o1", created=True, **changes):
    uid = uid_of(found) if uid is None else uid
    return Entry(found, "v1", uid, f"d{content}", owned, created=created, **changes)


def inventory(*entries, **header):
    return Inventory(Header(APP, **header), {e.key: e for e in entries})


def decided(desired, live, owned=None, permission=None, options=OPTIONS, **more):
    desired = {w.key: w for w in desired}
    return plan(desired, live, owned or inventory(), permission or release(desired), options, cluster=CLUSTER, **more)


def steps(todo):
    return {step.key: step for step in todo.steps()}


A, B = key("a"), key("b")
NOW = "2026-01-01T00:00:00Z"


# What one object of the bundle gets.


@pytest.mark.parametrize(
    ("live", "known", "options", "expected"),
    [
        pytest.param(Absent(), None, OPTIONS, Create(wanted(A)), id="new"),
        pytest.param(Absent(), entry(A, "0"), OPTIONS, Create(wanted(A)), id="new-content"),
        pytest.param(Absent(), entry(A), OPTIONS, Create(wanted(A), Cause.DRIFT), id="deleted-by-somebody"),
        pytest.param(
            Absent(), entry(A), Options(drift=Drift.REPORT), Skip(A, SkipReason.DRIFT_REPORTED), id="only-tell"
        ),
        pytest.param(Absent(), entry(A), Options(drift=Drift.IGNORE), Skip(A, SkipReason.UNCHANGED), id="do-not-care"),
        pytest.param(present(A), entry(A), OPTIONS, Skip(A, SkipReason.UNCHANGED), id="as-left"),
        pytest.param(present(A), entry(A, "0"), OPTIONS, Patch(wanted(A), "u1"), id="changed-in-git"),
        pytest.param(
            present(A, owned="o2"), entry(A), OPTIONS, Patch(wanted(A), "u1", Cause.DRIFT), id="changed-by-hand"
        ),
        pytest.param(present(A, owned_at="t"), entry(A), OPTIONS, Patch(wanted(A), "u1", Cause.DRIFT), id="other-time"),
        pytest.param(present(A, owner=""), entry(A), OPTIONS, Patch(wanted(A), "u1", Cause.DRIFT), id="mark-lost-G7"),
        pytest.param(present(A, agent=""), entry(A), OPTIONS, Patch(wanted(A), "u1", Cause.DRIFT), id="label-lost"),
        pytest.param(
            present(A, owned="o2"), entry(A), Options(drift=Drift.REPORT), Skip(A, SkipReason.DRIFT_REPORTED), id="told"
        ),
        pytest.param(
            present(A, owned="o2"),
            entry(A, "0"),
            Options(drift=Drift.REPORT),
            Patch(wanted(A), "u1"),
            id="release-anyway",
        ),
        pytest.param(
            present(A), entry(A, uid=""), OPTIONS, Patch(wanted(A), "u1", Cause.ADOPTION), id="claimed-then-crashed"
        ),
        pytest.param(present(A), None, OPTIONS, Patch(wanted(A), "u1", Cause.ADOPTION), id="ours-inventory-lost"),
        pytest.param(present(A, owner=""), None, OPTIONS, Patch(wanted(A), "u1", Cause.ADOPTION), id="adopted-G1"),
        pytest.param(
            present(A), entry(A), Options(conflicts=Conflicts.FAIL), Skip(A, SkipReason.UNCHANGED), id="quiet"
        ),
        pytest.param(
            present(A),
            entry(A, "0"),
            Options(conflicts=Conflicts.FAIL),
            Patch(wanted(A), "u1", force=False),
            id="no-force",
        ),
        pytest.param(Absent(), None, Options(conflicts=Conflicts.YIELD), Create(wanted(A), force=False), id="yield"),
    ],
)
def test_a_step_follows_from_desired_live_and_inventory(live, known, options, expected):
    """D2, G1, G3, G7, I6."""
    todo = decided([wanted(A)], {A: live}, inventory(known) if known else None, options=options)

    assert steps(todo) == {A: expected}


@pytest.mark.parametrize(
    ("live", "known", "options", "policy", "says"),
    [
        (present(A, owner="", foreign="Helm release x"), None, OPTIONS, Policy(), "Helm release x"),
        (present(A, owner=""), None, Options(adopt=Adopt.NEVER), Policy(), "adopt is never"),
        (present(A, owner="api"), entry(A), OPTIONS, Policy(), "app 'api'"),
        (present(A, agent="c2"), None, OPTIONS, Policy(), "agent 'c2'"),
        (present(A, owner="api", agent="c2"), None, OPTIONS, Policy(), "agent 'c2'"),
    ],
)
def test_what_is_anothers_is_not_touched_rules_g2_g5(live, known, options, policy, says):
    todo = decided([wanted(A, policy=policy)], {A: live}, inventory(known) if known else None, options=options)

    (step,) = todo.steps()
    assert (step.key, step.reason) == (A, SkipReason.CONFLICT)
    assert says in step.detail
    assert not todo.writes
    assert todo.suppressed


@pytest.mark.parametrize(
    ("live", "options", "policy"),
    [
        (present(A, owner="", foreign="Helm release x"), Options(adopt=Adopt.ALL), Policy()),
        (present(A, owner="", foreign="Helm release x"), OPTIONS, Policy(adopt=True)),
        (present(A, agent="c2"), Options(adopt=Adopt.ALL), Policy()),
        (present(A, owner="api"), OPTIONS, Policy()),
    ],
    ids=["all", "annotated", "other-agent", "handed-over-G5"],
)
def test_what_may_be_taken_over_is(live, options, policy):
    """G1."""
    todo = decided([wanted(A, policy=policy)], {A: live}, options=options)

    assert isinstance(steps(todo)[A], Patch)


def test_an_object_comes_back_from_an_app_that_gave_it_up():
    """G5, G7: it was handed over before, and nobody ran since."""
    back = decided([wanted(A)], {A: present(A, owner="api")}, inventory(entry(A)), apps={"api"})

    assert isinstance(steps(back)[A], Patch)


def test_two_apps_never_fight_over_an_object_g5_g6():
    todo = decided([wanted(A)], {A: present(A, owner="api")}, others={A})

    assert steps(todo)[A].reason is SkipReason.CONFLICT


@pytest.mark.parametrize(
    ("live", "reason"),
    [
        (None, SkipReason.UNKNOWN_STATE),
        (Unknown(Why.FORBIDDEN), SkipReason.UNKNOWN_STATE),
        (Unknown(Why.UNSERVED), SkipReason.UNKNOWN_KIND),
        (present(A, deleting=NOW), SkipReason.TERMINATING),
    ],
)
def test_unknown_is_never_absent_i7_and_suppresses_pruning_a07(live, reason):
    todo = decided(
        [wanted(A)],
        {A: live, B: present(B)} if live else {B: present(B)},
        inventory(entry(A), entry(B)),
        release({}, [B]),
    )

    assert steps(todo)[A].reason is reason
    assert steps(todo)[B].reason is SkipReason.SUPPRESSED
    assert str(A) in todo.suppressed


def test_an_object_whose_kind_comes_with_the_bundle_is_created_after_it():
    """C4."""
    crd = key("ws.acme.io", "CustomResourceDefinition", "apiextensions.k8s.io", "")
    body = b'{"spec":{"group":"acme.io","names":{"kind":"W"}}}'
    made = key("w", "W", "acme.io")

    todo = decided([wanted(made), Wanted(crd, "v1", body, "dc")], {crd: Absent(), made: Unknown(Why.UNSERVED)})

    assert [step.key for step in todo.steps()] == [crd, made]
    assert isinstance(steps(todo)[made], Create)


def test_ignored_and_if_absent_objects():
    """D9, Q1."""
    ignored = decided([wanted(A, policy=Policy(ignore=True))], {A: Absent()})
    live_ignored = decided([wanted(A)], {A: present(A, policy=Policy(ignore=True))}, inventory(entry(A, "0")))
    kept = decided([wanted(A, policy=Policy(if_absent=True))], {A: present(A)}, inventory(entry(A, "0")))

    assert steps(ignored)[A].reason is SkipReason.IGNORED
    assert A not in ignored.claim.entries
    assert steps(live_ignored)[A].reason is SkipReason.IGNORED
    assert steps(kept)[A].reason is SkipReason.UNCHANGED


def test_the_apps_namespace_is_made_and_never_owned():
    namespace = key("shop", "Namespace", namespace="")
    made = decided([wanted(namespace, tracked=False)], {namespace: Absent()})
    there = decided([wanted(namespace, tracked=False)], {namespace: present(namespace, owner="")})

    assert isinstance(steps(made)[namespace], Create)
    assert namespace not in made.claim.entries
    assert steps(there)[namespace].reason is SkipReason.UNCHANGED


# What becomes of objects that left.


def left(live, known, permission=None, options=OPTIONS, **more):
    """Return the step for the one object that left a bundle which still holds B."""
    owned = inventory(known, entry(B))
    permission = permission or release({B: wanted(B)}, [known.key])
    todo = decided([wanted(B)], {known.key: live, B: present(B)}, owned, permission, options, **more)
    return steps(todo)[known.key], todo


def test_what_is_being_deleted_is_made_anew_only_when_it_is_gone_d6():
    dying = decided([wanted(A)], {A: present(A, deleting=NOW, finalizers=("x/y",))}, inventory(entry(A)))
    gone = decided([wanted(A)], {A: Absent()}, inventory(entry(A)))

    assert steps(dying)[A] == Skip(A, SkipReason.TERMINATING, "x/y")
    assert steps(gone)[A] == Create(wanted(A), Cause.DRIFT)


def test_what_controllers_made_is_never_named_f10():
    claim = key("data-db-0", "PersistentVolumeClaim")
    _, todo = left(present(A), entry(A), release({B: wanted(B)}, [A, claim]))
    removed = decided([], {claim: present(claim)}, inventory(), release({}, [claim], removed=True))

    assert claim not in steps(todo)
    assert not list(removed.steps())


def test_what_a_person_typed_is_drift_and_what_a_controller_set_is_none_i3():
    typed = {A: present(A, writers=("kubectl-edit",))}
    found = decided([wanted(A)], typed, inventory(entry(A)))
    forbidden = decided([wanted(A, policy=Policy(takeover=False))], typed, inventory(entry(A)))
    status = decided([wanted(A)], {A: present(A, managers=("kube-controller-manager",))}, inventory(entry(A)))

    assert steps(found)[A] == Patch(wanted(A), "u1", Cause.DRIFT, takes_over=True)
    assert steps(forbidden)[A].reason is steps(status)[A].reason is SkipReason.UNCHANGED


def test_what_is_made_anew_keeps_its_order_and_starts_no_hook_i13():
    account, deployment, job = key("s", "ServiceAccount"), key("d", "Deployment", "apps"), key("j", "Job", "batch")
    hook = wanted(job, policy=Policy(hook=Hook(Phase.AFTER)), wave=1)
    known = inventory(entry(account), entry(deployment), entry(job), bundle="before")
    gone = dict.fromkeys((account, deployment, job), Absent())

    todo = decided([wanted(deployment), wanted(account), hook], gone, known)

    assert [step.key for stage in todo.applies for step in stage.steps] == [account, deployment, job]
    assert [step.cause for step in todo.steps() if isinstance(step, Create)] == [Cause.DRIFT, Cause.DRIFT]
    assert steps(todo)[job].reason is SkipReason.UNCHANGED


def test_an_expected_deletion_with_proof_happens_a04():
    step, todo = left(present(A), entry(A))

    assert step == Prune(A, "v1", "u1")
    assert todo.held is None


@pytest.mark.parametrize(
    ("live", "known", "options", "more", "expected"),
    [
        (Absent(), entry(A), OPTIONS, {}, SkipReason.GONE),
        (present(A, owner=""), entry(A), OPTIONS, {}, SkipReason.NOT_OURS),
        (present(A, owner="api"), entry(A), OPTIONS, {}, SkipReason.NOT_OURS),
        (replace(present(A), owner=owner_value(APP, key("other"))), entry(A), OPTIONS, {}, SkipReason.NOT_OURS),
        (present(A), entry(A), OPTIONS, {"others": {A}}, SkipReason.HANDED_OVER),
        (present(A, policy=Policy(ignore=True)), entry(A), OPTIONS, {}, SkipReason.IGNORED),
        (present(A), entry(A), Options(prune=False), {}, SkipReason.KEPT),
        (Unknown(), entry(A), OPTIONS, {}, SkipReason.UNKNOWN_STATE),
        (Unknown(Why.UNSERVED), entry(A), OPTIONS, {}, SkipReason.UNKNOWN_KIND),
        (Unknown(Why.KIND_GONE), entry(A), OPTIONS, {}, SkipReason.GONE),
        (present(A, uid=uid_of(B)), entry(A, uid=uid_of(B)), OPTIONS, {}, SkipReason.HANDED_OVER),
        (present(A), entry(A), OPTIONS, {"incomplete": "discovery is partial"}, SkipReason.SUPPRESSED),
    ],
)
def test_without_proof_nothing_is_deleted_a04_a07(live, known, options, more, expected):
    """F4, F7."""
    step, _ = left(live, known, options=options, **more)

    assert step.reason is expected


def test_the_end_of_what_is_being_deleted_is_waited_for_and_nothing_else_is_asked_f7():
    """No guard can stop it any more, and no wish to keep it."""
    live = {A: present(A, deleting=NOW, policy=Policy(prune=Leave.KEEP))}
    gone = decided([wanted(B)], live | {B: present(B)}, inventory(entry(A), entry(B)), release({B: wanted(B)}))

    assert (steps(gone)[A], gone.held) == (Prune(A, "v1", uid_of(A)), None)


def test_an_object_that_was_being_made_anew_is_made_anew_h3():
    """The agent that began it was cut off after the deletion."""
    cut = decided([wanted(A, "2")], {A: present(A, deleting=NOW)}, inventory(entry(A)))

    assert steps(cut)[A] == Recreate(wanted(A, "2"), uid_of(A))


def test_an_object_is_taken_from_the_app_that_is_named_and_from_no_other_g5():
    live = {A: present(A, owner="api")}
    named = decided([wanted(A, policy=Policy(transfer_from="api"))], live, others={A})
    another = decided([wanted(A, policy=Policy(transfer_from="shop"))], live, others={A})
    after = decided([wanted(A)], {A: present(A, owner="api")}, inventory(entry(A)), others={A})

    assert isinstance(steps(named)[A], Patch)
    assert steps(another)[A].reason is SkipReason.CONFLICT
    assert steps(after)[A].reason is SkipReason.CONFLICT, "who had it does not fight for it"


def shared(content, live_owner="api", other="c1"):
    """Return the step for a namespace that two apps bring."""
    found = key("shop", "Namespace", namespace="")
    todo = decided(
        [replace(wanted(found), content=content)],
        {found: present(found, owner=live_owner)},
        others={found},
        shared={found: other},
    )
    return steps(todo)[found], todo


def test_two_apps_may_bring_the_same_namespace_g5():
    step, todo = shared("c1")
    different, _ = shared("c2")
    unmarked, _ = shared("")
    ours, _ = shared("c1", live_owner=APP)

    assert step.reason is SkipReason.SHARED
    assert not todo.writes
    assert not todo.suppressed
    assert settled(todo, {}).header.settled
    assert different.reason is unmarked.reason is SkipReason.CONFLICT
    assert isinstance(ours, Patch)


def test_a_shared_namespace_goes_to_the_app_that_still_wants_it_g5():
    found = key("shop", "Namespace", namespace="")
    todo = decided([replace(wanted(found), content="c1")], {found: present(found, owner="api")})

    assert steps(todo)[found] == Patch(replace(wanted(found), content="c1"), uid_of(found), Cause.ADOPTION)


def test_an_object_is_given_up_only_when_another_app_has_it_f1_f3():
    step, todo = left(present(A), entry(A), others={A})
    taken, _ = left(present(A, owner="api"), entry(A), others={A})
    unread, _ = left(Unknown(), entry(A), others={A})

    assert step.reason is unread.reason is SkipReason.HANDED_OVER
    assert A in settled(todo, {}).entries
    assert taken.reason is SkipReason.NOT_OURS
    assert taken.reason.forgets


def test_one_stored_object_under_two_groups_is_not_deleted_under_one_f1():
    old, new = key("web", "Ingress", "extensions"), key("web", "Ingress", "networking.k8s.io")
    live = {old: present(old, uid="u9"), new: present(new, owner="", uid="u9")}

    todo = decided([wanted(new)], live, inventory(entry(old, uid="u9")), release({}, [old]))

    assert isinstance(steps(todo)[new], Patch)
    assert steps(todo)[old].reason is SkipReason.HANDED_OVER
    after = settled(todo, {new: Applied("u9", "8", "o1")})
    live = {each: present(new, uid="u9") for each in (old, new)}
    assert steps(decided([wanted(new)], live, after))[old].reason is SkipReason.NOT_OURS


def test_a_kind_that_is_gone_for_sure_takes_its_objects_along_f11():
    c = key("c")
    owned = inventory(entry(A), entry(B), entry(c))
    todo = decided([wanted(B)], {A: Unknown(Why.KIND_GONE), B: present(B), c: present(c)}, owned, release({}, [A, c]))

    assert isinstance(steps(todo)[c], Prune)
    assert settled(todo, {c: Gone()}).entries.keys() == {B}


OWN = [
    key("towline-agent", "ServiceAccount", namespace="towline"),
    key("towline-agent", "ClusterRole", "rbac.authorization.k8s.io", ""),
    key("apps.towline.dev", "Gadget", "acme.io", ""),
]


@pytest.mark.parametrize("found", OWN)
@pytest.mark.parametrize("removed", [False, True])
def test_the_agents_own_parts_go_only_with_a_persons_word_f16(found, removed):
    live, owned = {A: present(A), B: present(B), found: present(found)}, inventory(entry(A), entry(B), entry(found))
    permission = release({B: wanted(B)}, [A, found] + [B] * removed, removed=removed)
    stays = [] if removed else [wanted(B)]
    waiting = decided(stays, live, owned, permission)
    approved = decided(stays, live, owned, replace(permission, approval=approval_of([found])))

    assert isinstance(steps(waiting)[A], Prune)
    assert steps(waiting)[found].reason is SkipReason.HELD
    assert isinstance(steps(approved)[found], Prune)


def test_an_agent_elsewhere_is_known_by_its_namespace_f16():
    found = key("x", namespace="agents")
    live, owned = {B: present(B), found: present(found)}, inventory(entry(B), entry(found))

    assert (
        steps(decided([wanted(B)], live, owned, release({}, [found]), home="agents"))[found].reason is SkipReason.HELD
    )
    assert isinstance(steps(decided([wanted(B)], live, owned, release({}, [found])))[found], Prune)


def test_an_unknown_object_that_left_suppresses_the_other_deletions_a07():
    c = key("c")
    owned = inventory(entry(A), entry(B), entry(c))
    todo = decided([wanted(B)], {A: Unknown(), B: present(B), c: present(c)}, owned, release({}, [A, c]))

    assert steps(todo)[c].reason is SkipReason.SUPPRESSED
    assert str(A) in todo.suppressed


@pytest.mark.parametrize("known", [entry(A), entry(A, prune="keep")])
def test_a_kept_object_is_given_up(known):
    """F4."""
    says = Policy() if known.prune == "keep" else Policy(prune=Leave.KEEP)
    step, _ = left(present(A, policy=says), known)

    assert step == Orphan(A, "v1", "u1")


NAMESPACE, CRD = (
    key("shop", "Namespace", namespace=""),
    key("x", "CustomResourceDefinition", "apiextensions.k8s.io", ""),
)


@pytest.mark.parametrize(
    ("found", "created", "options", "expected"),
    [
        (key("other", "Namespace", namespace=""), False, OPTIONS, Orphan),
        (key("kube-system", "Namespace", namespace=""), True, OPTIONS, Orphan),
        (NAMESPACE, True, OPTIONS, SkipReason.KEPT),
        (key("other", "Namespace", namespace=""), True, OPTIONS, SkipReason.HELD),
        (CRD, True, OPTIONS, Orphan),
        (CRD, True, Options(prune_crds=True), SkipReason.HELD),
        (key("v", "PersistentVolumeClaim"), True, OPTIONS, SkipReason.HELD),
    ],
)
def test_namespaces_definitions_and_volumes_are_guarded_a06_f8_f9(found, created, options, expected):
    step, _ = left(present(found), entry(found, created=created), options=options)

    assert expected in {type(step), getattr(step, "reason", None)}


def many(count, going, *, content="1", **changes):
    """Return the plan of an app of `count` objects of which `going` left, all expected."""
    keys = [key(f"o{n:03}") for n in range(count)]
    live = {k: present(k) for k in keys}
    staying = {k: wanted(k, content) for k in keys[going:]}
    permission = release(staying, keys[:going], **changes)
    header = {"bundle": "before"}
    return plan(
        staying, live, inventory(*(entry(k) for k in keys), **header), permission, OPTIONS, cluster=CLUSTER
    ), keys


@pytest.mark.parametrize(
    ("count", "going", "held"),
    [(10, 9, False), (10, 10, True), (34, 10, False), (34, 11, True), (40, 12, False), (40, 13, True)],
)
def test_the_guard_holds_beyond_its_threshold_a06(count, going, held):
    """F5."""
    todo, keys = many(count, going)

    assert (todo.held is not None) is held
    pruned = [step for step in todo.steps() if isinstance(step, Prune)]
    assert len(pruned) == (0 if held else going)
    if held:
        assert todo.held.keys == tuple(keys[:going])


def test_applying_goes_on_while_deletions_wait_a06():
    """F5."""
    todo, _ = many(40, 13, content="2")

    assert sum(isinstance(step, Patch) for step in todo.steps()) == 27


def test_an_approval_releases_exactly_what_was_seen_a06():
    """F5, F6."""
    held = many(40, 13)[0].held
    stale = many(40, 14, approval=held.approval)[0]
    taken, keys = many(40, 13, approval=held.approval)

    assert stale.held is not None
    assert taken.held is None
    pruned = {step.key: step for step in taken.steps() if isinstance(step, Prune)}
    assert set(pruned) == set(keys[:13])
    assert all(step.resource_version == "7" for step in pruned.values())
    assert held.approval == approval_of(keys[:13])
    assert {e.approved for k, e in taken.claim.entries.items() if k in pruned} == {held.approval}


def test_an_approval_outlives_a_crash_and_works_once_a06():
    """F5."""
    held = many(40, 13)[0].held
    taken, keys = many(40, 13, approval=held.approval)
    # Five were deleted, then the agent died.
    half = settled(taken, dict.fromkeys(keys[:5], Gone()))
    live = {k: present(k) for k in keys[5:]}
    staying = {k: wanted(k) for k in keys[13:]}
    permission = release(staying, keys[:13], approval=held.approval)

    again = plan(staying, live, half, permission, OPTIONS, cluster=CLUSTER)
    other = plan({}, live, half, release({}, keys, number=2, approval=held.approval), OPTIONS, cluster=CLUSTER)

    assert {step.key for step in again.steps() if isinstance(step, Prune)} == set(keys[5:13])
    assert other.held is not None
    assert not any(isinstance(step, Prune) for step in other.steps())


def test_unexpected_deletions_wait_a04():
    step, todo = left(present(A), entry(A), release({}, []))

    assert step.reason is SkipReason.HELD
    assert todo.held.reason is HoldReason.UNEXPECTED
    assert todo.held.keys == (A,)


@pytest.mark.parametrize(
    ("permission", "header", "reason"),
    [
        (release({}, [A], deletes_known=False), {}, HoldReason.HISTORY_LOST),
        (release({}, [A]), {"recovered": True}, HoldReason.RECOVERED),
    ],
)
def test_without_history_all_deletions_wait(permission, header, reason):
    todo = decided([wanted(B)], {A: present(A), B: present(B)}, inventory(entry(A), entry(B), **header), permission)

    assert todo.held.reason is reason
    assert not todo.writes


def test_an_emptied_bundle_changes_nothing_a05_rule_a11():
    live = {A: present(A), B: present(B)}
    owned = inventory(entry(A), entry(B))

    todo = decided([], live, owned, release({}, [A, B]))
    allowed = decided([], live, owned, release({}, [A, B]), Options(allow_empty=True))

    assert todo.held.reason is HoldReason.EMPTY_BUNDLE
    assert not todo.writes
    assert todo.claim.entries.keys() == {A, B}
    assert {type(step) for step in allowed.steps()} == {Prune}


def test_a_tombstone_takes_the_app_off_and_its_data_waits():
    """F12."""
    volume = key("v", "PersistentVolumeClaim")
    keys = [key(f"o{n}") for n in range(20)] + [volume]
    live = {k: present(k) for k in keys}
    owned = inventory(*(entry(k) for k in keys))

    todo = decided([], live, owned, release({}, keys, removed=True))
    orphaned = decided([], live, owned, release({}, keys, removed=True), Options(deletion_policy=DeletionPolicy.ORPHAN))
    data = decided(
        [], live, owned, release({}, keys, removed=True), Options(deletion_policy=DeletionPolicy.KEEP_DATA, prune=False)
    )

    assert todo.held.keys == (volume,)
    assert {k for k, step in steps(todo).items() if isinstance(step, Prune)} == set(keys[:-1])
    assert {type(step) for step in orphaned.steps()} == {Orphan}
    assert isinstance(steps(data)[volume], Orphan)
    assert isinstance(steps(data)[keys[0]], Prune)


def test_deletion_goes_the_other_way_round_c11():
    deployment, account = key("d", "Deployment", "apps"), key("s", "ServiceAccount")
    live = {k: present(k) for k in (deployment, account, B)}
    owned = inventory(*(entry(k) for k in live))

    todo = decided([wanted(B)], live, owned, release({}, [deployment, account]))

    assert [step.key for stage in todo.prunes for step in stage.steps] == [deployment, account]


# What is remembered.


def test_the_claim_unites_old_and_new_and_carries_the_ratchet_f3():
    todo = decided(
        [wanted(B)], {A: present(A), B: Absent()}, inventory(entry(A), attempt=4), release({}, [A], number=9), key="k1"
    )

    assert todo.claim.entries.keys() == {A, B}
    assert todo.claim.entries[B].uid == ""
    header = todo.claim.header
    assert (header.epoch, header.generation, header.key, header.attempt, header.settled) == (1, 9, "k1", 1, False)


def test_attempts_are_counted_by_release():
    first = decided([wanted(A)], {A: Absent()})
    second = decided([wanted(A)], {A: Absent()}, settled(first, {A: Failed(Failure(ErrorClass.INVALID, "no"))}))

    assert (first.claim.header.attempt, second.claim.header.attempt) == (1, 2)
    assert A in second.claim.entries


def test_a_known_obstacle_is_told_before_any_outcome_f2():
    assert prune_obstacle(decided([], {}, incomplete="discovery is partial"), {}) == "discovery is partial"


def test_a_recreation_is_known_by_its_objects_key():
    assert Recreate(wanted(key("d", "Deployment", "apps")), "u1").key.kind == "Deployment"
    assert wanted(key("d", "Deployment", "apps")).api_version == "apps/v1"


OTHER = [
    None,
    Failed(Failure(ErrorClass.TIMEOUT, "no answer")),
    Blocked("x"),
]


@pytest.mark.parametrize("outcome", OTHER)
def test_a_failed_apply_prunes_nothing_and_forgets_nothing_a07_f2(outcome):
    todo = decided([wanted(B, "2")], {A: present(A), B: present(B)}, inventory(entry(A), entry(B)), release({}, [A]))
    outcomes = {B: outcome} if outcome else {}

    assert str(B) in prune_obstacle(todo, outcomes)
    after = settled(todo, outcomes)
    assert after.entries.keys() == {A, B}
    assert not after.header.settled


@pytest.mark.parametrize("outcome", OTHER)
def test_a_refused_deletion_stays_known_f3(outcome):
    _, todo = left(present(A), entry(A))

    after = settled(todo, {A: outcome} if outcome else {})

    assert after.entries.keys() == {A, B}
    assert not after.header.settled
    assert after.header.settled_bundle == todo.claim.header.bundle


@pytest.mark.parametrize("outcome", [Gone(), Released()])
def test_what_is_gone_or_given_up_is_forgotten(outcome):
    _, todo = left(present(A), entry(A))

    after = settled(todo, {A: outcome})

    assert after.entries.keys() == {B}
    assert after.header.settled


def test_an_applied_object_is_remembered_as_the_server_answered():
    """D7, M2."""
    todo = decided([wanted(A, bodied=True, wave=2, policy=Policy(prune=Leave.KEEP))], {A: Absent()})

    after = settled(todo, {A: Applied("u9", "12", "o9", "t9", created=True)})

    assert after.entries[A] == Entry(
        A, "v1", "u9", "d1", "o9", "t9", "12", created=True, wave=2, prune="keep", bodied=True
    )
    assert after.header.settled


def test_a_recovered_inventory_is_trusted_after_two_equal_full_runs_m7():
    owned = inventory(recovered=True)
    first = settled(decided([wanted(A)], {A: Absent()}, owned), {A: Applied("u1", "1", "o1")})
    second = settled(decided([wanted(A)], {A: present(A)}, first), {})

    assert first.header.recovered
    assert not second.header.recovered


# Any plan, stopped anywhere.

OBJECTS = [key(f"o{n}") for n in range(4)] + [key("s", "ServiceAccount"), key("d", "Deployment", "apps")]


@dataclass
class Cluster:
    """A cluster in memory that checks every deletion."""

    objects: dict = field(default_factory=dict)
    uids: int = 0
    deleted: list = field(default_factory=list)

    def live(self, keys):
        return {k: self._present(k) for k in keys}

    def _present(self, found):
        if found not in self.objects:
            return Absent()
        uid, owner, content = self.objects[found]
        return present(found, owner=owner, uid=uid, owned=f"o{content}")

    def put(self, found, owner, content):
        uid = self.objects[found][0] if found in self.objects else self._new_uid()
        self.objects[found] = (uid, owner, content)
        return uid

    def _new_uid(self):
        self.uids += 1
        return f"uid{self.uids}"

    def run(self, step):
        match step:
            case Create() | Patch():
                content = step.wanted.body.decode()
                uid = self.put(step.key, APP, content)
                return Applied(uid, "1", f"o{content}", created=isinstance(step, Create))
            case Prune():
                uid, owner, _ = self.objects[step.key]
                assert (uid, owner) == (step.uid, APP), "a deletion without proof"
                self.deleted.append(step.key)
                del self.objects[step.key]
                return Gone()
            case Orphan():
                self.put(step.key, "", self.objects[step.key][2])
                return Released()


def run(cluster, desired, owned, permission, limit=None):
    """Run a plan on the cluster, at most `limit` of its requests; return the inventory that the cluster holds then.

    The claim and the settle are requests too: a crash before the settle leaves the claim.
    """
    todo = plan(desired, cluster.live({*desired, *owned.entries}), owned, permission, OPTIONS, cluster=CLUSTER)
    left_over = limit if limit is not None else 10**6
    outcomes = {}
    if todo.writes:
        if left_over == 0:
            return owned
        left_over -= 1
    for stages in (todo.applies, todo.prunes):
        if stages is todo.prunes and prune_obstacle(todo, outcomes):
            break
        for step in (step for stage in stages for step in stage.steps if not isinstance(step, Skip)):
            if left_over == 0:
                return todo.claim
            left_over -= 1
            outcomes[step.key] = cluster.run(step)
    return settled(todo, outcomes) if left_over else todo.claim


bundles = st.dictionaries(st.sampled_from(OBJECTS), st.sampled_from(["1", "2"]), min_size=1)
strangers = st.dictionaries(st.sampled_from(OBJECTS), st.sampled_from(["api", "gone"]), max_size=2)
meddling = st.lists(
    st.tuples(st.sampled_from(OBJECTS), st.sampled_from(["delete", "edit", "unmark", "replace"])), max_size=3
)


def meddle(cluster, changes):
    for found, change in changes:
        if found not in cluster.objects or cluster.objects[found][1] != APP:
            continue
        uid, owner, _ = cluster.objects.pop(found)
        if change == "edit":
            cluster.objects[found] = (uid, owner, "by hand")
        elif change == "unmark":
            cluster.objects[found] = (uid, "", "by hand")
        elif change == "replace":
            cluster.put(found, "", "by hand")


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(bundles, st.integers(0, 9), meddling), min_size=1, max_size=4),
    strangers,
)
def test_a_crash_after_any_step_is_repaired_by_the_next_plan_a02_a04(history, strangers):
    """M3."""
    cluster = Cluster()
    for found, owner in strangers.items():
        cluster.put(found, owner, "theirs")
    theirs = {k: v for k, v in cluster.objects.items() if v[1] == "api"}
    owned, before, desired = inventory(), set(), {}

    def permission(number):
        return release(desired, before - desired.keys(), number=number)

    for number, (bundle, crash, changes) in enumerate(history, 1):
        found = {k: wanted(k, content) for k, content in bundle.items() if k not in theirs}
        if not found:
            continue
        desired = found
        owned = run(cluster, desired, owned, permission(number), limit=crash)
        before |= desired.keys()
        meddle(cluster, changes)
    if not desired:
        return
    for _ in range(2):
        owned = run(cluster, desired, owned, permission(99))

    ours = {k: v for k, v in cluster.objects.items() if v[1] == APP}
    assert {k: content for k, (_, _, content) in ours.items()} == {k: w.body.decode() for k, w in desired.items()}
    assert owned.entries.keys() == desired.keys()
    assert {k: cluster.objects.get(k) for k in theirs} == theirs
    assert before.issuperset(cluster.deleted)


@settings(max_examples=100, deadline=None)
@given(bundles, bundles)
def test_a_finished_plan_leaves_nothing_to_do(first, second):
    """D2."""
    cluster, owned = Cluster(), inventory()
    for number, bundle in enumerate((first, second), 1):
        desired = {k: wanted(k, content) for k, content in bundle.items()}
        owned = run(cluster, desired, owned, release(desired, first.keys() - bundle.keys(), number=number))

    again = plan(
        desired, cluster.live({*desired, *owned.entries}), owned, release(desired, number=2), OPTIONS, cluster=CLUSTER
    )

    assert not again.writes
    assert owned.header.settled
