import pytest

from shared.core.backoff import backoff_s


@pytest.mark.parametrize(("failures", "seconds"), [(1, 1.0), (2, 2.0), (4, 8.0), (6, 30.0), (10_000, 30.0)], ids=str)
def test_waits_double_up_to_a_limit_however_long_an_outage_lasts(failures, seconds):
    assert backoff_s(failures, 1.0, 30.0) == seconds
