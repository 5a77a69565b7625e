"""What is known of the API server's time."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from services.applier.kube.clock import ServerClock


@pytest.mark.parametrize("skew", [timedelta(0), timedelta(days=1), timedelta(days=-1)], ids=["none", "ahead", "behind"])
def test_an_age_is_judged_by_the_servers_clock_n6(skew):
    """A35, N6: an old deletion is old whatever this machine's clock says; what may be new counts as new."""
    clock, now = ServerClock(), datetime.now(UTC)
    clock.hear(format_datetime(now + skew, usegmt=True), now)

    assert clock.age_s((now + skew - timedelta(hours=1)).isoformat()) == pytest.approx(3600, abs=30)
    assert clock.age_s((now + skew - timedelta(seconds=25)).isoformat()) == 0.0
    assert clock.age_s((now + skew + timedelta(seconds=25)).isoformat()) == 0.0
    assert clock.age_s("") == 0.0
