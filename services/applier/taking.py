"""Take the bundle of a release in: fetched, verified, and turned into what is to be sent, by whom."""

from __future__ import annotations

from dataclasses import replace

from services.applier.content import pieces
from services.applier.documents import Bundle, ReleaseDocument
from services.applier.going_back import with_due_hooks
from services.applier.intake import Intake, Place, intake
from services.applier.kube.mapper import MAX_AGE_S
from services.applier.options import DeletionPolicy, Options, Read
from services.applier.policy import Phase
from services.applier.removal import Farewell, expects, number
from services.applier.state import Inventory
from services.applier.tenancy import Tenancy, tenancy_of
from services.applier.tools import Tools
from services.applier.verify import bundle_objects
from shared.errors import TowlineError

UNKNOWN = "the hooks that have to run before this removal cannot be had"


async def taken_in(
    tools: Tools, release: ReleaseDocument, read: Read, inventory: Inventory, *, anew: bool = False
) -> Intake:
    """Return the bundle's objects, verified to the last byte and ready to be sent.

    Args:
        tools: the agent's means.
        release: what is released.
        read: its options.
        inventory: what the app owns now.
        anew: discovery is asked again even where it is young.

    Raises:
        RefusedError: the bundle is not what was signed.
        PermanentError: something in it may not be applied here.
        TransientError: it cannot be had now.
    """
    app = inventory.header.app
    tenancy = tenancy_of(app, release.options, tools.policy)
    tools.observer.judge_by(app, read.options.health_checks)
    known = tools.mapper.round
    await tools.mapper.refresh(older_than_s=tools.pace.probe_s if anew else MAX_AGE_S)
    taken = await _intake(tools, release, read, inventory, tenancy)
    if tools.mapper.round == known and any(not tools.mapper.serves(key.group, key.kind) for key in taken.whole):
        # Somebody else may have defined the kind a moment ago; and where an object belongs turns on its scope.
        await tools.mapper.refresh(older_than_s=0.0)
        taken = await _intake(tools, release, read, inventory, tenancy)
    wanted = with_due_hooks(taken.wanted, release)
    return replace(taken, wanted=wanted, warnings=(*read.warnings, *taken.warnings), account=tenancy.account)


async def _intake(tools: Tools, release: ReleaseDocument, read: Read, inventory: Inventory, tenancy: Tenancy) -> Intake:
    """Return the bundle's objects as they are to be sent, as far as the kinds are known now."""
    app, options = inventory.header.app, read.options
    place = Place(
        cluster=tools.cluster,
        app=app,
        namespace=options.namespace,
        scopes=tools.mapper.scopes(),
        secret=tools.digest_key,
        create_namespace=options.create_namespace,
        compat=options.compat,
        tenancy=tenancy,
        strangers=frozenset(name for name, tenant in tools.tenants.items() if tenant != tools.tenants.get(app)),
    )
    if release.removed or release.bundle is None:
        return await _farewell(tools, release, options, inventory, place)
    return await _bundle(tools, release.bundle, place, inventory)


async def _bundle(tools: Tools, bundle: Bundle, place: Place, inventory: Inventory) -> Intake:
    sealed = await tools.content.bundle(tools.bus, bundle)
    place = replace(place, bundle=bundle.digest)
    taken = intake(bundle_objects(pieces(sealed, bundle), bundle), place, inventory)
    if not taken.encrypted:
        return taken
    tools.redaction.opened.update(taken.encrypted)
    account = place.tenancy.account
    place = replace(place, opener=await tools.decryption.opener(place.app, tools.sender(account), account))
    return intake(bundle_objects(pieces(sealed, bundle), bundle), place, inventory)


async def _farewell(
    tools: Tools, release: ReleaseDocument, options: Options, inventory: Inventory, place: Place
) -> Intake:
    """Return the hooks that a removal runs, or why nobody can say which they are."""
    if not expects(inventory, release):
        return Intake({})
    if options.deletion_policy is DeletionPolicy.ORPHAN:
        return Intake({}, ("the app's objects stay, so no hook for their removal runs",))
    if release.last is None:
        return Intake({}, farewell=Farewell(unknown=f"{UNKNOWN}: the hub does not name the bundle that ran last"))
    place = replace(place, removal=number(inventory.header, release))
    try:
        before, after = [
            await _bundle(tools, release.last, replace(place, phase=phase), inventory)
            for phase in (Phase.LEAVING, Phase.LEFT)
        ]
    except TowlineError as error:
        return Intake({}, farewell=Farewell(unknown=f"{UNKNOWN}: {error.message}"))
    return Intake({}, (*before.warnings, *after.warnings), farewell=Farewell(before.wanted, after.wanted))
