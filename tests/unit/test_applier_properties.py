"""Any plan, stopped after any step on any live state, is repaired by the next one: A02, A04, I6, F1, F3, F8, M7.

Two apps of one agent, a person who meddles and approves, an API server that refuses, loses answers or cannot be read.
"""

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from services.applier.state import Header, Inventory
from tests.support.model import CALM, Model, Trouble, key

APPS = ("web", "api")
KEYS = [
    *(key(f"o{number}") for number in range(3)),
    key("d", "Deployment", "apps"),
    key("v", "PersistentVolumeClaim"),
    key("shop", "Namespace", namespace=""),
]
some = st.frozensets(st.sampled_from(KEYS), max_size=2)
troubles = st.builds(
    Trouble,
    stops_after=st.one_of(st.integers(0, 8), st.just(10**6)),
    refused=some,
    unanswered=some,
    unread=some,
    incomplete=st.sampled_from(["", "", "discovery is partial"]),
)


class Line(RuleBasedStateMachine):
    """What happens to one cluster, in any order."""

    def __init__(self):
        super().__init__()
        self.model = Model()
        self.theirs = {}

    @rule(found=st.sampled_from(KEYS))
    def a_release_of_helm_is_there_first(self, found):
        if not any(found in app.ever for app in self.model.apps.values()):
            self.model.put(found, "", "theirs", foreign="Helm release x")
            self.theirs[found] = self.model.things[found]

    @rule(app=st.sampled_from(APPS), contents=st.dictionaries(st.sampled_from(KEYS), st.sampled_from("12"), min_size=1))
    def a_bundle_is_released(self, app, contents):
        wanted = {found: content for found, content in contents.items() if found not in self.theirs}
        if wanted:
            self.model.give(app, wanted)

    @rule(app=st.sampled_from(APPS))
    def an_app_is_removed(self, app):
        if self.model.app(app).number:
            self.model.give(app, {}, removed=True)

    @rule(app=st.sampled_from(APPS), trouble=troubles)
    def an_app_is_run(self, app, trouble):
        if self.model.app(app).number:
            self.model.run(app, trouble)

    @rule(app=st.sampled_from(APPS))
    def a_person_approves_what_waits(self, app):
        if self.model.app(app).number and (held := self.model.run(app).held):
            self.model.approve(app, held)

    @rule(found=st.sampled_from(KEYS), change=st.sampled_from(["delete", "edit", "unmark", "replace"]))
    def a_person_meddles(self, found, change):
        thing = self.model.things.get(found)
        if thing is None or found in self.theirs:
            return
        if change in {"delete", "replace"}:
            del self.model.things[found]
        if change == "replace":
            self.model.put(found, "", "by hand")
        if change == "edit":
            self.model.things[found] = replace(thing, content="by hand")
        if change == "unmark":
            self.model.things[found] = replace(thing, owner="", content="by hand")

    @rule(app=st.sampled_from(APPS))
    def an_inventory_is_lost(self, app):
        self.model.app(app).inventory = Inventory(Header(app))

    @invariant()
    def what_is_anothers_is_as_it_was(self):
        assert all(self.model.things.get(found) == thing for found, thing in self.theirs.items())

    def teardown(self):
        """Whatever happened, calm runs and a person's word bring the cluster to what was released."""
        for _ in range(6):
            for app in [each for each in self.model.apps.values() if each.number]:
                todo = self.model.run(app.name, CALM)
                if todo.held:
                    self.model.approve(app.name, todo.held)
        lived_in = {found.namespace for app in self.model.apps.values() for found in app.desired}
        for app in self.model.apps.values():
            marked = {found: each.content for found, each in self.model.things.items() if each.owner == app.name}
            assert app.inventory.entries.keys() == marked.keys(), "orphaned, or remembered in vain"
            # A namespace stays ours for as long as anything that is wanted lives in it.
            stays = {found for found in marked.keys() - app.desired.keys() if found.name in lived_in}
            assert {found: marked[found] for found in marked.keys() - stays} == {
                found: each.body.decode() for found, each in app.desired.items()
            }
        assert all(self.model.things.get(found) == thing for found, thing in self.theirs.items())


TestAnyPlan = Line.TestCase
TestAnyPlan.settings = settings(max_examples=150, stateful_step_count=20, deadline=None)
