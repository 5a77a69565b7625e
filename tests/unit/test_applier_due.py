"""When an app is looked at again."""

from services.applier.due import Due, enables
from services.applier.options import Options
from shared.core.objects import ObjectKey


def test_reasons_from_elsewhere_begin_one_run_and_then_wait_for_a_while():
    """E6: a hundred definitions are no hundred runs."""
    due = Due(retry_at=1000.0, failures=1)
    for _ in range(100):
        assert due.hurried(0.0, 2.0)
    assert due.retry_at == 2.0

    due.retry_at = 1000.0  # it failed again
    for _ in range(100):
        assert due.hurried(3.0, 2.0)
    assert due.retry_at == 12.0

    due.retry_at = 1000.0
    assert due.hurried(20.0, 2.0)
    assert due.retry_at == 22.0


def test_what_did_not_fail_is_not_tried_again():
    due = Due()

    assert not due.hurried(0.0, 2.0)
    assert due.next_at() == float("inf")


def test_pauses_grow_to_a_limit():
    """E6: the first is short, for a bus or an API server may just be starting."""
    due, options = Due(), Options(retry_first_s=10.0, retry_max_s=60.0)
    first, *later = [due.postponed(options, 100.0, soon_s=2.0) for _ in range(10)]

    assert first == 2.0
    assert all(pause_s <= 60.0 for pause_s in later)
    assert due.retry_at == 100.0 + later[-1]


def test_a_check_that_could_not_be_made_waits_like_all_else():
    """E6: else it would be due at once, again and again."""
    due = Due(verify_at=99.0)
    pause_s = due.postponed(Options(), 100.0, soon_s=2.0)

    assert due.next_at() == 100.0 + pause_s


def test_definitions_rights_webhooks_and_namespaces_may_have_been_in_the_way():
    assert enables(ObjectKey("apiextensions.k8s.io", "CustomResourceDefinition", "", "widgets.example.org"))
    assert enables(ObjectKey("rbac.authorization.k8s.io", "RoleBinding", "web", "deployer"))
    assert enables(ObjectKey("", "Namespace", "", "web"))
    assert not enables(ObjectKey("", "ConfigMap", "web", "one"))


def test_an_app_that_fails_for_weeks_is_tried_on():
    due, options = Due(failures=5_000), Options(retry_first_s=10.0, retry_max_s=60.0)

    assert due.postponed(options, 100.0, soon_s=2.0) <= 60.0
