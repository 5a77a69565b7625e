import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.releaser.deletes import History, Run, expected
from services.releaser.guard import digest_of, objection
from services.releaser.registry import Identity, Rules, Said, approved_claims, effective, intruder, label_problem
from services.releaser.wanted import Fate, Reading, Versions, fate, newer

PLACES = st.tuples(st.sampled_from([f"c{n}" for n in range(6)]), st.sampled_from(["web", "api", "db"]))


@pytest.mark.parametrize(
    ("removed", "present", "held"),
    [
        ([("c1", "web"), ("c2", "api")], 4, False),
        ([("c1", "web"), ("c2", "api"), ("c3", "api")], 5, True),
        ([("c1", "web"), ("c2", "web"), ("c3", "web")], 3, False),
        ([], 0, False),
    ],
    ids=["exactly half passes", "more than half of two apps is held", "one app on purpose passes", "nothing"],
)
def test_a06_the_guard_holds_at_its_threshold(removed, present, held):
    """A06."""
    assert bool(objection(removed, present, fleet_gone=False)) is held


@given(st.sets(PLACES, min_size=1), st.integers(0, 100))
def test_a06_without_the_fleets_definition_every_removal_is_held(removed, more):
    """A06."""
    assert objection(removed, len(removed) + more, fleet_gone=True)


@given(st.sets(PLACES), st.sets(PLACES))
def test_a06_an_approval_names_exactly_one_set_of_targets(one, other):
    """A06."""
    assert (digest_of(one) == digest_of(other)) is (one == other)


WHOLE = Reading(complete=True, fleet_source=True, apps=frozenset({"web"}), version=5, previous=4)


@given(
    st.sampled_from(["web", "gone"]),
    st.booleans(),
    st.integers(0, 9),
    st.integers(0, 9),
    st.builds(Versions, st.integers(0, 9), st.integers(0, 9)),
)
def test_a05_an_incomplete_render_never_takes_anything_away(app, fleet, version, previous, versions):
    """A05, I7."""
    reading = Reading(False, fleet, frozenset({"web"}), version=version, previous=previous)

    assert fate("c1", app, reading, {"c1": versions}) is Fate.KEPT


@pytest.mark.parametrize(
    ("app", "changes", "versions", "found"),
    [
        ("gone", {}, Versions(), Fate.REMOVED),
        ("web", {}, Versions(), Fate.REMOVED),
        ("web", {"unreadable_apps": frozenset({"web"})}, Versions(), Fate.KEPT),
        ("gone", {"unreadable_apps": frozenset({"gone"})}, Versions(), Fate.KEPT),
        ("web", {"unreadable_clusters": frozenset({"c1"})}, Versions(), Fate.KEPT),
        ("web", {}, Versions(5, 5), Fate.ORPHANED),
        ("web", {}, Versions(6, 6), Fate.KEPT),
        ("web", {"version": 0}, Versions(1, 1), Fate.KEPT),
        ("web", {"fleet_source": False}, Versions(6, 0), Fate.KEPT),
        ("web", {"fleet_source": False}, Versions(5, 0), Fate.REMOVED),
    ],
    ids=[
        "its folder is gone",
        "its targets no longer match by git",
        "an unreadable app",
        "an unreadable app that is not listed",
        "an unreadable cluster",
        "lost by a hub label or claim since the render before",
        "a render that did not know the cluster as it is",
        "a render without the index, as after a wiped bus",
        "another source that did not know the newest labels of git",
        "another source that did",
    ],
)
def test_a05_the_fate_of_a_target_that_a_render_does_not_name(app, changes, versions, found):
    """A05, F34."""
    reading = Reading(**{name: changes.get(name, getattr(WHOLE, name)) for name in WHOLE.__slots__})

    assert fate("c1", app, reading, {"c1": versions}) is found


@pytest.mark.parametrize(
    ("number", "version", "taken"),
    [(7, 0, True), (6, 3, True), (6, 2, False), (6, 0, True), (5, 9, False)],
)
def test_a03_a_render_of_a_lower_number_is_ignored(number, version, taken):
    """A03."""
    assert newer(number, version, 6, 3) is taken


DIGESTS = ["a", "b", "c", "d"]
KEYS = {"a": {"1", "2"}, "b": {"2", "3"}, "c": {"3", "4"}, "d": {"5"}}


@given(st.lists(st.tuples(st.sampled_from(DIGESTS), st.booleans()), min_size=1, max_size=12), st.data())
def test_a_cluster_that_applies_any_of_its_releases_may_delete_what_is_left_over(steps, data):
    """I6: whatever generations an agent skipped, what it still has and the new bundle lacks is expected to go."""
    history, inventory, released = History(), set(), []
    for generation, (bundle, applied) in enumerate(steps, 1):
        found = expected(history, bundle, KEYS)
        history = history.released(Run(1, generation, bundle))
        released.append(bundle)

        assert found.known
        assert inventory - KEYS[bundle] <= set(found.keys)
        assert not set(found.keys) & KEYS[bundle]

        if applied:
            inventory = set(KEYS[bundle])
            history = history.settled(1, generation) if data.draw(st.booleans()) else history
        else:
            inventory |= KEYS[bundle] if data.draw(st.booleans()) else set()


def test_a_lost_history_makes_deletes_unknown_until_the_cluster_settles():
    history = History().released(Run(1, 1, "a")).lost().released(Run(2, 2, "b"))

    assert not expected(history, "c", KEYS).known
    assert expected(history.settled(2, 2), "c", KEYS) == (("2",), True)


def test_keys_that_are_not_known_make_deletes_unknown():
    history = History().released(Run(1, 1, "x"))

    assert expected(history, "a", {**KEYS, "x": None}) == ((), False)


def test_a_tombstone_may_delete_all_that_may_be_there():
    history = History().released(Run(1, 1, "a")).released(Run(1, 2, "c"))

    assert expected(history, "", KEYS) == (("1", "2", "3", "4"), True)


RULES = Rules(frozenset({"region"}), frozenset({"env"}))


def test_git_wins_over_the_hub_and_the_hub_over_claims():
    said = Said({"env": "prod"}, {"env": "dev", "tier": "1"}, {"tier": "2", "region": "eu", "env": "x", "other": "y"})
    found = effective(said, RULES)

    assert found.labels == {"env": "prod", "tier": "1", "region": "eu"}
    assert found.origins == {"env": "git", "tier": "hub", "region": "claim"}
    assert found.pending == {}


def test_a_claim_that_needs_approval_waits_and_the_approved_one_stays_meanwhile():
    assert effective(Said(claims={"env": "prod"}), RULES).pending == {"env": "prod"}
    approved = effective(Said(claims={"env": "prod"}, approved={"env": "prod"}), RULES)
    changed = effective(Said(claims={"env": "dev"}, approved={"env": "prod"}), RULES)

    assert (approved.labels, approved.pending) == ({"env": "prod"}, {})
    assert (changed.labels, changed.pending) == ({"env": "prod"}, {"env": "dev"})


labels = st.dictionaries(st.sampled_from(["env", "region", "tier", "other"]), st.sampled_from("xyz"))


@given(st.none() | labels, labels, labels, labels)
def test_an_agent_never_gives_itself_a_label_that_the_fleet_does_not_accept(git, hub, claims, approved):
    found = effective(Said(git, hub, claims, approved), RULES)
    by_claim = {name for name, origin in found.origins.items() if origin == "claim"}

    assert by_claim <= {"region", "env"}
    assert all(found.labels[name] == approved[name] for name in by_claim & {"env"})
    assert found.labels.items() >= (git or {}).items()


def test_only_claims_that_are_still_made_can_be_approved():
    assert approved_claims({"env": "prod"}, {"env": "prod"}, []) == ({"env": "prod"}, [])
    assert approved_claims({"env": "prod"}, {"env": "dev"}, []) == ({}, ["env"])
    assert approved_claims({"env": "prod"}, {}, ["env=prod"]) == ({"env": "prod"}, [])


def test_a_second_kubernetes_cluster_under_one_name_is_an_intruder():
    assert intruder(Identity("u1"), "u2")
    assert not intruder(Identity("u1"), "u1")
    assert not intruder(Identity(), "u1")


@pytest.mark.parametrize("bad", [{"a\n": "x"}, {"": "x"}, {"a": 1}, {"cluster": "x"}, {"a": "x" * 254}])
def test_labels_that_cannot_be_used(bad):
    assert label_problem(bad)
    assert not label_problem({"env": "prod"})
