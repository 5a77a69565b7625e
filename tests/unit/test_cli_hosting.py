import pytest

from services.cli.hosting import PARTS, STARTING, answers
from shared.runtime.lifecycle import Lifecycle


@pytest.mark.parametrize(
    ("part", "why", "expected"),
    [
        ("poller", "", True),
        ("engines", "this machine cannot confine engines", True),
        ("publishing", "the database is older than its clusters", True),
        ("engines", STARTING, False),
        ("poller", STARTING, False),
        ("poller-bus", "not connected to the bus", False),
    ],
)
def test_a_hub_says_where_it_is_once_all_works_but_what_a_person_must_mend(part, why, expected):
    """Else nobody could tell a restored hub to go on: `hub adopt` finds it by its hub.json."""
    life = Lifecycle()
    for each in PARTS:
        life.set_ready(each, True)
    life.set_ready(part, not why, why)

    assert answers(life) is expected
