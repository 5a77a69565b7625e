"""What was found out is kept, up to a number of things."""

import pytest

from services.renderer.known import Known
from services.renderer.variables import named
from tests.support.mapping_tree import MappingTree


def test_what_was_found_first_goes_first():
    known, asked = Known(2), []
    for key in ("a", "b", "a", "c", "b", "a"):
        assert known.of(key, lambda key=key: asked.append(key) or [key]) == [key]

    assert asked == ["a", "b", "c", "a"]


def test_what_could_not_be_found_is_looked_for_again():
    known = Known(2)
    with pytest.raises(ZeroDivisionError):
        known.of("a", lambda: 1 // 0)

    assert known.of("a", lambda: 1) == 1


def test_files_are_read_for_variables_once_whatever_tree_they_are_in():
    first, second = (MappingTree({"app/a": "only here: ${a}", "b": other}) for other in "xy")

    assert named(first, ("app",)) == named(second, ("app",)) == {"a"}
    assert (first.reads, second.reads) == (1, 0)
