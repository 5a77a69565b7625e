"""What depends on something stands behind it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from services.applier.edges import arranged
from services.applier.order import CRDS, SETTINGS, WORKLOADS, place_of, staged
from services.applier.policy import NOTHING, Policy
from services.applier.state import Wanted
from shared.core.canonical import encode
from shared.core.objects import ObjectKey


def key(name, kind="ConfigMap", group="", namespace="n"):
    return ObjectKey(group, kind, namespace, name)


def bundle(*objects):
    """Return objects by key; each is a key and what it asks for."""
    return {
        found: Wanted(found, "v1", b"{}", "d", wave=policy.wave or 0, policy=policy)
        for found, policy in ((each, NOTHING) if isinstance(each, ObjectKey) else each for each in objects)
    }


def on(*keys, **more):
    return Policy(depends_on=keys, **more)


def order(wanted):
    """Return the names in the stages in which they are applied."""
    moved = {**wanted, **arranged(wanted).wanted}
    stages = staged(moved.values(), lambda each: (place_of(each), each.key))
    return [[each.key.name for each in found] for _, _, found in stages]


A, B, C = key("a"), key("b"), key("c")
WORK = key("work", "Deployment", "apps")


def test_a_bundle_without_dependencies_keeps_its_places():
    found = arranged(bundle(A, WORK))

    assert (found.wanted, found.warnings, found.refusals) == ({}, [], [])


def test_what_is_depended_on_is_pulled_forward():
    """C4: into the stage of its dependent, and in front of it there."""
    wanted = bundle((A, on(WORK)), B, WORK)
    moved = arranged(wanted).wanted

    assert order(wanted) == [["b", "work"], ["a"]]
    assert (moved[WORK].rank, moved[WORK].level, moved[WORK].needs) == (SETTINGS, 0, ())
    assert (moved[A].rank, moved[A].level, moved[A].needs) == (None, 1, (WORK,))


def test_chains_stand_one_behind_the_other():
    assert order(bundle((A, on(B)), (B, on(C)), C)) == [["c"], ["b"], ["a"]]


def test_an_earlier_stage_or_wave_is_enough():
    wanted = bundle((WORK, on(A)), (A, Policy(wave=-1)))

    assert order(wanted) == [["a"], ["work"]]
    assert place_of(arranged(wanted).wanted[WORK]) == (0, WORKLOADS, 0)


def test_a_dependency_without_a_wave_follows_into_an_earlier_one():
    """C4."""
    assert arranged(bundle((A, on(B, wave=-2)), B)).wanted[B].wave == -2


def test_waves_that_say_the_opposite_of_a_dependency_are_refused():
    """C4: Argo CD would rewrite them silently."""
    found = arranged(bundle((A, on(B, wave=1)), (B, Policy(wave=2))))

    assert [code for code, _ in found.refusals] == ["object.dependency"]
    assert "wave 2" in found.refusals[0][1]


def test_a_cycle_names_exactly_its_objects():
    """C5."""
    found = arranged(bundle((A, on(B)), (B, on(A)), (C, on(A))))

    ((code, text),) = found.refusals
    assert code == "object.cycle"
    assert "/a" in text
    assert "/b" in text
    assert "/c" not in text


def test_a_dependency_outside_the_bundle_is_told():
    """C4."""
    found = arranged(bundle((A, on(B))))

    assert found.wanted == {}
    assert "not in the bundle" in found.warnings[0]


def test_groups_of_kapp_are_dependencies():
    """C4: an object is not behind itself, though it is in the group."""
    db = Policy(groups=("db",))
    wanted = bundle((WORK, db), (C, Policy(groups=("db",), after=("db",))), (A, Policy(after=("db", "none"))))

    assert order(wanted) == [["work"], ["c"], ["a"]]


def test_namespaces_and_definitions_come_before_what_needs_them():
    """C4: a hook's namespace is made before the hook runs, and is not waited for as if somebody had asked for that."""
    namespace = key("n", "Namespace", namespace="")
    definition = key("ws.acme.io", "CustomResourceDefinition", "apiextensions.k8s.io", "")
    custom = key("w", "W", "acme.io", "other")
    wanted = bundle((A, Policy(wave=-3)), namespace, (custom, Policy(wave=-7)), definition)
    body = encode({"spec": {"group": "acme.io", "names": {"kind": "W"}}})
    wanted[definition] = Wanted(definition, "v1", body, "d")
    moved = arranged(wanted).wanted

    assert (moved[namespace].wave, moved[definition].wave) == (-3, -7)
    assert place_of(moved[definition])[1] == CRDS
    assert moved.get(A, wanted[A]).needs == ()


NAMES = [key(name, kind) for kind in ("ConfigMap", "Service", "Widget") for name in "ab"]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(NAMES), unique=True, min_size=1),
    st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5))),
    st.lists(st.sampled_from([None, 0, 1]), min_size=6, max_size=6),
)
def test_nothing_ever_stands_before_what_it_depends_on(found, pairs, waves):
    """C4, C5: for any dependencies without a cycle and without a contradiction."""
    depends = {
        each: tuple(found[j] for i, j in pairs if i < len(found) and j < i and found[i] == each) for each in found
    }
    wanted = bundle(*((each, on(*depends[each], wave=wave)) for each, wave in zip(found, waves, strict=False)))
    result = arranged(wanted)
    moved = {**wanted, **result.wanted}

    assert all(code == "object.dependency" for code, _ in result.refusals)
    if not result.refusals:
        assert all(place_of(moved[other]) < place_of(moved[each]) for each in found for other in depends[each])
        assert all(moved[each].needs == tuple(sorted(set(depends[each]))) for each in found)
