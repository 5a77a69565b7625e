"""What the project of an app adds to its release."""

import pytest

from services.releaser.fencing import NotFencedError, fenced
from shared.messages.renders import AppPart, ProjectPart

SHOP = ProjectPart(namespaces=("shop", "shop-*"), run_as="shop-deployer")


def app(project="shop", **options):
    return AppPart(name="api", project=project, options={"namespace": "shop", "runAs": "", **options})


def test_an_app_gets_the_fence_and_the_account_of_its_project():
    """O4: and keeps its other options; an app without a project keeps all."""
    assert fenced(app(prune=False), {"shop": SHOP}).options == {
        "namespace": "shop",
        "runAs": "shop-deployer",
        "prune": False,
        "fence": {"namespaces": ["shop", "shop-*"], "clusterScoped": False},
    }
    assert fenced(app(project=""), {"shop": SHOP}) == app(project="")


@pytest.mark.parametrize(
    ("account", "given", "counts"), [("", "own", "own"), ("shop-deployer", "shop-deployer", "shop-deployer")]
)
def test_an_account_of_its_own_counts_where_the_project_names_no_other(account, given, counts):
    """O1."""
    project = SHOP.model_copy(update={"run_as": account})

    assert fenced(app(runAs=given), {"shop": project}).options["runAs"] == counts


@pytest.mark.parametrize(
    ("projects", "options", "code"),
    [({}, {}, "fleet.unknown-project"), ({"shop": SHOP}, {"runAs": "kube-system/admin"}, "fleet.fenced")],
)
def test_without_its_fences_an_app_stays_as_it_is(projects, options, code):
    """O4: whatever another source's app.yaml says, it cannot leave its project."""
    with pytest.raises(NotFencedError) as caught:
        fenced(app(**options), projects)

    assert caught.value.code == code
