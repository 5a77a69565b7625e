import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.applier.diff import Change, changes, extras_in, lines
from services.applier.fields import MISSING
from services.applier.options import Extras, IgnoreRule
from services.applier.redact import Redaction, shown
from services.applier.sameness import quantity
from shared.core.objects import ObjectKey, key_of

SECRET = Redaction(b"key", frozenset({("acme.io", "Vault")}))


def made(kind="Deployment", version="apps/v1", **body):
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "web", "namespace": "shop"}, **body}


def container(**more):
    return {"name": "c", "image": "i:1", **more}


WANTED = made(spec={"replicas": 3, "containers": [container(ports=[{"containerPort": 80}])]})


def spec(**changes):
    return made(spec={**WANTED["spec"], **changes}, status={"replicas": 3})


def paths(wanted, live, rules=()):
    return ["".join(f"/{step.partition(':')[2]}" for step in change.path) for change in changes(wanted, live, rules)]


@pytest.mark.parametrize(
    ("live", "expected"),
    [
        (WANTED, []),
        (spec(paused=True), []),
        (spec(replicas=5), ["/spec/replicas"]),
        (spec(replicas=True), ["/spec/replicas"]),
        (made(), ["/spec"]),
        (spec(containers=[{"name": "side"}, container(ports=[{"containerPort": 80, "protocol": "TCP"}])]), []),
        (spec(containers=[{"name": "side"}]), ['/spec/containers/{"name":"c"}']),
        (
            spec(containers=[container(image="i:2", ports=[{"containerPort": 80}])]),
            ['/spec/containers/{"name":"c"}/image'],
        ),
        (spec(containers=None), ["/spec/containers"]),
    ],
)
def test_only_what_we_want_is_compared(live, expected):
    assert paths(WANTED, live) == expected


@pytest.mark.parametrize(
    ("wanted", "live", "same"),
    [
        ({"args": ["a", "b"]}, {"args": ["a", "b"]}, True),
        ({"args": ["a", "b"]}, {"args": ["b", "a"]}, False),
        ({"args": ["a"]}, {"args": ["a", "b"]}, False),
        ({"labels": {}}, {}, True),
        ({"env": []}, {"env": None}, True),
        ({"nodeSelector": {"a": ""}}, {"nodeSelector": {}}, False),
        ({"env": [{"name": "A", "value": ""}]}, {"env": [{"name": "A"}]}, True),
        ({"storageClassName": ""}, {}, False),
        ({"hostNetwork": False, "initialDelaySeconds": 0}, {}, True),
        ({"automountServiceAccountToken": False}, {}, False),
        ({"runAsUser": 0}, {}, False),
        ({"emptyDir": {}}, {}, False),
        ({"replicas": 0}, {"replicas": None}, True),
        ({"limits": {"cpu": "0.5"}}, {"limits": {"cpu": "500m"}}, True),
        ({"limits": {"memory": "1024Mi"}}, {"limits": {"memory": "1Gi"}}, True),
        ({"limits": {"cpu": 1}}, {"limits": {"cpu": "1"}}, True),
        ({"limits": {"cpu": "lots"}}, {"limits": {"cpu": "1"}}, False),
        ({"version": "1.0"}, {"version": "1"}, False),
        ({"port": 80}, {"port": "80"}, False),
        ({"list": [{"name": "a"}, {"name": "a"}]}, {"list": [{"name": "a"}, {"name": "b"}]}, False),
    ],
)
def test_what_means_the_same_is_no_change(wanted, live, same):
    assert (paths(made(spec=wanted), made(spec=live)) == []) is same


def test_finalizers_of_controllers_stay():
    wanted, live = made(), made()
    wanted["metadata"] = {**wanted["metadata"], "finalizers": ["ours"]}

    assert changes(wanted, {**live, "metadata": {**live["metadata"], "finalizers": ["theirs", "ours"]}}) == ()
    assert len(changes(wanted, {**live, "metadata": {**live["metadata"], "finalizers": ["theirs"]}})) == 1


trees = st.recursive(
    st.none() | st.booleans() | st.integers(0, 5) | st.sampled_from(["a", "b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "x", "y"]), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(trees)
def test_an_object_is_as_it_is(tree):
    assert changes(made(spec={"t": tree}), made(spec={"t": tree})) == ()


OWNED = [
    {"manager": "towline", "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
    {"manager": "hpa", "operation": "Update", "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
]


def live(**changed):
    found = spec(**changed)
    return {**found, "metadata": {**found["metadata"], "managedFields": OWNED}}


def test_who_did_it_is_told_i5():
    found = changes(WANTED, live(replicas=5))

    assert found == (Change(("f:spec", "f:replicas"), 3, 5, ("hpa",)),)
    assert lines(key_of(WANTED), found, SECRET) == ("apps/Deployment:shop/web .spec.replicas: 3 -> 5 (by hpa)",)


@pytest.mark.parametrize(
    ("rule", "ignored"),
    [
        (IgnoreRule({}, ("/spec/replicas",)), True),
        (IgnoreRule({}, ("/spec",)), True),
        (IgnoreRule({}, ("/*/replicas",)), True),
        (
            IgnoreRule({"kind": "Deploy*", "name": "w*", "namespace": "shop", "group": "apps"}, ("/spec/replicas",)),
            True,
        ),
        (IgnoreRule({}, (), ("h*",)), True),
        (IgnoreRule({"kind": "Service"}, ("/spec/replicas",)), False),
        (IgnoreRule({}, ("/spec/replicas/x",)), False),
        (IgnoreRule({}, ("",)), True),
        (IgnoreRule({}, ("spec/replicas", "replicas")), False),
        (IgnoreRule({}, (), ("keda",)), False),
    ],
)
def test_ignore_rules_i8(rule, ignored):
    assert (changes(WANTED, live(replicas=5), [rule]) == ()) is ignored


@pytest.mark.parametrize(
    ("pointer", "ignored"),
    [
        ("/spec/containers/[name=c]/image", True),
        ("/spec/containers/*/image", True),
        ("/spec/containers/[name=d]/image", False),
        ("/spec/containers/0/image", True),
        ("/spec/containers/1/image", False),
    ],
)
def test_ignore_rules_find_list_items_i8(pointer, ignored):
    changed = spec(containers=[container(image="i:2", ports=[{"containerPort": 80}])])

    assert (paths(WANTED, changed, [IgnoreRule({}, (pointer,))]) == []) is ignored


def test_pointers_escape_slashes_i8():
    wanted = made(spec={"a/b": 1})

    assert paths(wanted, made(spec={"a/b": 2}), [IgnoreRule({}, ("/spec/a~1b",))]) == []


TYPED = {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:spec": {"f:paused": {}, "f:replicas": {}}}}


def test_what_a_person_added_is_told_with_their_name_i11():
    found = live(paused=True)
    found["metadata"] = {**found["metadata"], "managedFields": [*OWNED, TYPED]}

    added = extras_in(WANTED, found, Extras.HUMANS)

    assert added == (Change(("f:spec", "f:paused"), MISSING, True, ("kubectl-edit",)),)
    assert lines(key_of(WANTED), added, SECRET) == (
        "apps/Deployment:shop/web .spec.paused: nothing -> true (by kubectl-edit)",
    )
    assert extras_in(WANTED, found, Extras.KEEP) == ()
    assert extras_in(WANTED, live(paused=True), Extras.STRICT) == ()


def test_many_changes_are_cut_with_a_count():
    found = changes(made(spec={f"f{n}": 1 for n in range(60)}), made(spec={}))

    told = lines(key_of(WANTED), found, SECRET)
    assert len(told) == 50
    assert told[-1].endswith("11 more changes")


CANARY = "canary-value"
CONFIG, HIDDEN = ObjectKey("", "ConfigMap", "s", "a"), ObjectKey("", "Secret", "s", "a")
OTHER, VAULT = ObjectKey("acme.io", "Db", "s", "a"), ObjectKey("acme.io", "Vault", "s", "a")


@pytest.mark.parametrize(
    ("key", "path", "value"),
    [
        (HIDDEN, ("f:data", "f:a"), CANARY),
        (HIDDEN, ("f:data",), {"a": CANARY}),
        (HIDDEN, (), {"stringData": {"a": CANARY}}),
        (CONFIG, ("f:data", "f:DB_PASSWORD"), CANARY),
        (CONFIG, ("f:data",), {"api-key": CANARY}),
        (OTHER, ("f:spec", "f:adminPassword"), CANARY),
        (OTHER, ("f:spec",), {"auth": {"token": CANARY}}),
        (OTHER, ("f:spec", "f:env", 'k:{"name":"MY_TOKEN"}', "f:value"), CANARY),
        (OTHER, ("f:spec", "f:containers"), [{"env": [{"name": "MY_TOKEN", "value": CANARY}]}]),
        (OTHER, ("f:metadata", "f:annotations"), {"kubectl.kubernetes.io/last-applied-configuration": CANARY}),
        (OTHER, ("f:spec", "f:url"), f"https://u:{CANARY}@host/x"),
        (OTHER, ("f:metadata", "f:annotations", "f:kapp.k14s.io/original"), CANARY),
        (OTHER, ("f:metadata",), {"annotations": {"objectset.rio.cattle.io/applied": CANARY}}),
        (OTHER, ("f:spec", "f:args"), ["--db", f"--db-password={CANARY}"]),
        (OTHER, ("f:spec", "f:args", "i:0"), f"run --token {CANARY} now"),
        (CONFIG, ("f:data", "f:tls.pem"), f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n-----END RSA PRIVATE KEY-----"),
        (CONFIG, ("f:data", "f:tls.pem"), f"-----BEGIN PRIVATE KEY-----\n{CANARY}"),
    ],
)
def test_secrets_are_never_shown_p1(key, path, value):
    text = shown(key, path, value, SECRET)

    assert CANARY not in text
    assert "***" in text


@pytest.mark.parametrize(
    ("path", "value"), [(("f:spec", "f:entries"), [CANARY]), (("f:data", "f:a"), CANARY), ((), {"spec": CANARY})]
)
def test_of_a_kind_that_the_agent_is_told_is_secret_no_value_is_shown_p6(path, value):
    assert CANARY not in shown(VAULT, path, value, SECRET)
    assert CANARY in shown(OTHER, path, value, SECRET)


@pytest.mark.parametrize(
    ("key", "path", "value", "expected"),
    [
        (CONFIG, ("f:data", "f:color"), "red", '"red"'),
        (CONFIG, (), MISSING, "nothing"),
        (OTHER, ("f:spec", "f:secretName"), "db", '"db"'),
        (OTHER, ("f:spec", "f:args"), ["--tokens", "--secret-name"], '["--tokens","--secret-name"]'),
        (VAULT, ("f:metadata", "f:labels"), {"a": "b"}, '{"a":"b"}'),
        (OTHER, ("f:spec", "f:automountServiceAccountToken"), False, "false"),
        (HIDDEN, ("f:data",), {}, "{}"),
        (OTHER, ("f:spec", "f:env", 'k:{"name":"COLOR"}', "f:value"), "red", '"red"'),
    ],
)
def test_other_values_are_shown(key, path, value, expected):
    assert shown(key, path, value, SECRET) == expected


def test_changed_and_unchanged_secrets_can_be_told_apart_p1():
    def of(value, secret=SECRET):
        return shown(HIDDEN, ("f:data", "f:a"), value, secret)

    assert of("a") == of("a")
    assert of("a") != of("b")
    assert of("a") != of("a", Redaction(b"another"))


def test_a_line_is_bounded_however_long_its_names_are_p4():
    name = "n" * 5000
    found = changes(made(metadata={name: "x"}, spec={name: ["y" * 5000]}), made(metadata={}, spec={}))

    assert all(len(line) < 1300 for line in lines(ObjectKey("g", "k", "n", name), found, SECRET))


def test_long_values_are_cut():
    assert len(shown(CONFIG, ("f:data", "f:x"), "y" * 1000, SECRET)) == 120


@pytest.mark.parametrize(
    ("text", "expected"), [("1Ki", 1024), ("2M", 2_000_000), ("1e3", 1000), ("x", None), ("1Zi", None)]
)
def test_quantities(text, expected):
    assert quantity(text) == expected
