import pytest

from services.applier.health.rules import HealthCheck
from services.applier.options import (
    Adopt,
    Conflicts,
    DeletionPolicy,
    Drift,
    IgnoreRule,
    Mode,
    OnImmutable,
    Options,
    options_of,
    seconds,
    windows_of,
)


def test_nothing_said_means_the_fleet_formats_defaults():
    assert options_of({}).options == Options()
    assert options_of({"runAs": None, "prune": None}) == options_of({})


def test_all_keys_of_the_fleet_format_are_known():
    read = options_of(
        {
            "namespace": "shop",
            "prune": False,
            "drift": "report",
            "createNamespace": False,
            "interval": "10m",
            "timeout": "1h30m",
            "retry": {"first": "5s", "max": "1m"},
            "onError": "stop",
            "conflicts": "yield",
            "onImmutable": "recreate",
            "adopt": "all",
            "deletionPolicy": "keep-data",
            "atomic": False,
            "preflight": "none",
            "wait": False,
            "ignore": [{"target": {"kind": "Deployment"}, "paths": ["/spec/replicas"], "managers": ["keda"]}],
            "dependsOn": [],
            "runAs": "",
            "windows": [],
            "healthChecks": [{"apiVersion": "acme.io/v1", "kind": "Widget", "failed": "", "current": "status.up"}],
            "suspend": {"reason": "move", "until": ""},
            "compat": False,
        },
    )

    assert read.warnings == ()
    assert read.options.namespace == "shop"
    assert not read.options.prune
    assert read.options.drift is Drift.REPORT
    assert (read.options.interval_s, read.options.timeout_s) == (600, 5400)
    assert (read.options.retry_first_s, read.options.retry_max_s) == (5, 60)
    assert read.options.conflicts is Conflicts.YIELD
    assert read.options.on_immutable is OnImmutable.RECREATE
    assert read.options.adopt is Adopt.ALL
    assert read.options.deletion_policy is DeletionPolicy.KEEP_DATA
    assert read.options.ignore == (IgnoreRule({"kind": "Deployment"}, ("/spec/replicas",), ("keda",)),)
    assert read.options.health_checks == (HealthCheck("acme.io/Widget", (("current", "status.up"),)),)
    assert read.options.suspend == {"reason": "move", "until": ""}
    assert not read.options.compat


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prune", "false"),
        ("prune", 0),
        ("drift", "corect"),
        ("timeout", "soon"),
        ("timeout", ""),
        ("retry", {"last": "1s"}),
        ("retry", 5),
        ("ignore", [{"paths": [1]}]),
        ("healthChecks", [{"kind": "Widget"}]),
        ("healthChecks", [{"group": "acme.io", "kind": "Widget", "current": "statu.up"}]),
        ("healthChecks", ["Widget"]),
        ("namespace", 5),
        ("prunes", True),
        ("atomic", "yes"),
        ("preflight", "client"),
    ],
)
def test_what_is_not_understood_is_a_warning_and_no_other_policy(name, value):
    read = options_of({name: value})

    assert read.options == Options()
    assert len(read.warnings) == 1
    assert repr(name) in read.warnings[0]


@pytest.mark.parametrize(
    ("text", "expected"), [("90s", 90), ("5m", 300), ("1d", 86400), ("1.5h", 5400), ("500ms", 0.5), (7, 7), (0.5, 0.5)]
)
def test_durations(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "5", "5 m", "m", "-5m", -5, True, None])
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match=str(text) or "^$"):
        seconds(text)


def test_hooks_have_ten_minutes_unless_the_app_says_how_long_things_may_take():
    """K6."""
    told = options_of({"timeout": "1m"}).options

    assert (told.timeout_s, told.hook_timeout_s) == (60.0, 60.0)
    assert (Options().timeout_s, Options().hook_timeout_s) == (300.0, 600.0)


@pytest.mark.parametrize(("value", "mode"), [("apply", Mode.APPLY), ("plan", Mode.PLAN), ("plam", Mode.PLAN)])
def test_a_mode_that_is_not_known_writes_nothing(value, mode):
    """Q4: whoever wrote it wanted less than everything."""
    assert options_of({"mode": value}).options.mode is mode


def test_a_bundle_that_is_applied_whole_stops_at_the_first_failure():
    """E9."""
    assert options_of({"atomic": True}).options.stops
    assert not Options().stops


def test_windows_that_are_not_understood_are_closed_q5():
    """Q5: an older hub sends names alone, a newer one may send what this agent does not know."""
    good = {"name": "office", "allow": ["Mon-Fri 09:00-16:00"], "timezone": "Europe/Berlin"}
    found = windows_of({"windows": [good, "office", {**good, "allow": ["moonrise"]}, 7]})
    whole = windows_of({"windows": "office"})

    assert windows_of({"windows": []}) == windows_of({}) == ()
    assert [(each.name, bool(each.problem)) for each in (*found, *whole)] == [
        ("office", False),
        ("office", True),
        ("office", True),
        ("7", True),
        ("", True),
    ]
