"""Names that an import gives."""

import pytest

from services.cli.imports.naming import free


@pytest.mark.parametrize("name", ["web", "w" * 63, "w" * 62], ids=["short", "longest", "one-less"])
def test_a_name_that_is_taken_gets_a_number_and_stays_a_name(name):
    taken = {name}
    for count in range(2, 12):
        found = free(name, taken)
        assert found not in taken
        assert found.endswith(f"-{count}")
        assert len(found) <= 63
        taken.add(found)
