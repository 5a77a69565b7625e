"""A pure model of one cluster, of the releaser and of the agent's stored inventories, to run plans on.

It does what an API server does to the steps of a plan, and refuses what no plan may ask for: a deletion without proof
(I6), or one that takes along what somebody else has in a namespace (F8).
"""

from dataclasses import dataclass, field, replace

from services.applier.documents import Blob, Bundle, ReleaseDocument
from services.applier.errors import ErrorClass, Failure
from services.applier.options import Options
from services.applier.plan import Plan, plan, prune_obstacle, settled
from services.applier.planned import Applied, Create, Failed, Gone, Orphan, Patch, Prune, Released, Skip
from services.applier.state import Absent, Entry, Header, Inventory, Present, Unknown, Wanted, Why
from services.applier.tracking import owner_value
from shared.core.objects import ObjectKey

AGENT = "c1"
OPTIONS = Options()
CLAIM, SETTLE = 1, 1


class StoppedError(Exception):
    """The agent died before this request."""


@dataclass(frozen=True)
class Thing:
    """One live object."""

    uid: str
    owner: str
    content: str
    foreign: str = ""


@dataclass
class App:
    """What is released to one app, and what its stored inventory says."""

    name: str
    inventory: Inventory
    desired: dict = field(default_factory=dict)
    ever: set = field(default_factory=set)
    number: int = 0
    removed: bool = False
    approval: str = ""

    @property
    def release(self):
        digest = "+".join(sorted(f"{key}={wanted.digest}" for key, wanted in self.desired.items())) or "empty"
        return ReleaseDocument(
            self.name,
            1,
            self.number,
            removed=self.removed,
            bundle=None if self.removed else Bundle(digest, 1, len(self.desired), Blob("b", 1)),
            deletes=frozenset(map(str, self.ever - self.desired.keys())),
            approval=self.approval,
        )


@dataclass(frozen=True)
class Trouble:
    """What goes wrong during one run."""

    stops_after: int = 10**6
    """So many requests are sent; the claim and the settled inventory are requests too."""
    refused: frozenset = frozenset()
    """Writes of these objects fail."""
    unanswered: frozenset = frozenset()
    """Writes of these happen, and the answer is lost."""
    unread: frozenset = frozenset()
    incomplete: str = ""


CALM = Trouble()


@dataclass
class Model:
    """One cluster, and the apps of its agent."""

    apps: dict = field(default_factory=dict)
    things: dict = field(default_factory=dict)
    approved: set = field(default_factory=set)
    _uids: int = 0
    _left: int = 0

    def app(self, name):
        return self.apps.setdefault(name, App(name, Inventory(Header(name))))

    def give(self, name, contents, *, removed=False):
        """Release a bundle; what another app wants now is left out."""
        app = self.app(name)
        taken = {key for other in self.apps.values() if other is not app for key in other.desired}
        app.desired = {
            key: Wanted(key, "v1", content.encode(), f"d{content}")
            for key, content in contents.items()
            if key not in taken
        }
        app.ever |= app.desired.keys()
        app.number, app.removed, app.approval = app.number + 1, removed, ""

    def put(self, key, owner, content, foreign=""):
        known = self.things.get(key)
        if known is None:
            self._uids += 1
        uid = known.uid if known else f"uid{self._uids}"
        self.things[key] = Thing(uid, owner, content, foreign or (known.foreign if known else ""))
        return uid

    def run(self, name, trouble=CALM) -> Plan:
        """Run one app as the agent does, until trouble stops it."""
        app, self._left = self.app(name), trouble.stops_after
        owned = app.inventory
        if not owned.header.generation and (found := self._marked(name)):
            owned = Inventory(replace(owned.header, recovered=True), found)
        todo = plan(
            app.desired,
            self._seen({*app.desired, *owned.entries}, trouble),
            owned,
            app.release,
            OPTIONS,
            cluster=AGENT,
            others=frozenset(key for other in self.apps.values() if other is not app for key in other.desired),
            apps=frozenset(self.apps),
            incomplete=trouble.incomplete,
        )
        outcomes = {}
        try:
            self._carry_out(app, todo, outcomes, trouble)
            self._request()
        except StoppedError:
            return todo
        app.inventory = settled(todo, outcomes)
        if app.removed and not app.inventory.entries:
            app.inventory = Inventory(Header(name))
        return todo

    def approve(self, name, held):
        """Have a person release the deletions that wait, in a release of its own."""
        app = self.app(name)
        app.number, app.approval = app.number + 1, held.approval
        self.approved |= set(held.keys)

    def _request(self):
        if self._left <= 0:
            raise StoppedError
        self._left -= 1

    def _carry_out(self, app, todo, outcomes, trouble):
        if not todo.writes:
            return
        self._request()
        app.inventory = todo.claim
        for stages in (todo.applies, todo.prunes):
            if stages is todo.prunes and prune_obstacle(todo, outcomes):
                return
            for step in (step for stage in stages for step in stage.steps if not isinstance(step, Skip)):
                self._request()
                outcomes[step.key] = self._tried(app, step, trouble)

    def _tried(self, app, step, trouble):
        if step.key in trouble.refused:
            return Failed(Failure(ErrorClass.INVALID, "no"))
        outcome = self._done(app, step)
        return Failed(Failure(ErrorClass.TIMEOUT, "no answer")) if step.key in trouble.unanswered else outcome

    def _done(self, app, step):
        live = self.things.get(step.key)
        match step:
            case Create() | Patch():
                return self._applied(app, step, live)
            case Prune():
                return self._pruned(app, step, live)
            case Orphan():
                return self._unmarked(step.key, live) if live and live.owner == app.name else Released()

    def _applied(self, app, step, live):
        if isinstance(step, Patch) and (live is None or live.uid != step.uid):
            return Failed(Failure(ErrorClass.REPLACED, "another one"))
        content = step.wanted.body.decode()
        uid = self.put(step.key, app.name, content)
        return Applied(uid, "1", f"o{content}", created=live is None)

    def _pruned(self, app, step, live):
        if live is None:
            return Gone()
        if (live.uid, live.owner) != (step.uid, app.name):
            return Released()
        if self._holds_others(step.key):
            return self._unmarked(step.key, live)
        self._check_deletion(app, step.key)
        del self.things[step.key]
        return Gone()

    def _unmarked(self, key, live):
        self.things[key] = replace(live, owner="")
        return Released()

    def _check_deletion(self, app, key):
        release = app.release
        assert str(key) in release.deletes or key in self.approved, f"I6: nobody expected {key} to go"
        assert not any(key in other.desired for other in self.apps.values()), f"F1: {key} is wanted"

    def _holds_others(self, key):
        return key.kind == "Namespace" and any(each.namespace == key.name for each in self.things)

    def _marked(self, name):
        return {key: Entry(key, "v1", uid=each.uid) for key, each in self.things.items() if each.owner == name}

    def _seen(self, keys, trouble):
        return {key: Unknown(Why.FAILED) if key in trouble.unread else self._state(key) for key in keys}

    def _state(self, key):
        thing = self.things.get(key)
        if thing is None:
            return Absent()
        mark = owner_value(thing.owner, key) if thing.owner else ""
        return Present(
            thing.uid,
            "7",
            1,
            mark,
            AGENT if mark else "",
            foreign=thing.foreign,
            owned=f"o{thing.content}" if mark else "",
        )


def key(name, kind="ConfigMap", group="", namespace="shop"):
    return ObjectKey(group, kind, namespace, name)
