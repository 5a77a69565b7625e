"""Remember what targets were released and how that went: what a rollback goes back to.

What a release was made of is kept once for all targets that are alike, and for as long as one of their last releases
names it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, tuple_, update

from services.releaser.store import Transaction, portions
from services.releaser.tables import bundles, recipes, releases
from shared.core.canonical import digest, encode
from shared.core.status import ROLLED_BACK, Health, Sync
from shared.messages.releases import Release
from shared.messages.reports import AppStatus, Report
from shared.runtime.database import upsert

NAME_DIGITS = 32


@dataclass(frozen=True, slots=True)
class Goal:
    """An earlier release of a target whose content can be had."""

    epoch: int
    generation: int
    recipe: str
    content: str
    bundle: str
    options: Mapping[str, Any]
    origin: Mapping[str, Any]
    good: bool

    @property
    def number(self) -> str:
        """Return its counters as people write them."""
        return f"{self.epoch}.{self.generation}"

    @property
    def commits(self) -> tuple[str, ...]:
        """Return the commits that it was made of, its app's own first."""
        return tuple(str(each["commit"]) for each in self.origin.get("provenance", ()))


@dataclass(frozen=True, slots=True)
class Made:
    """A release that was made just now."""

    cluster: str
    release: Release
    recipe: str
    content: str
    origin: Mapping[str, Any]


def recipe_name(app: str, content: str, origin: Mapping[str, Any]) -> str:
    """Return the name of what a release is made of: equal ones are kept once."""
    commits = [each.get("commit", "") for each in origin.get("provenance", ())]
    return digest(encode([app, content, commits]))[:NAME_DIGITS]


async def record(tx: Transaction, made: Sequence[Made]) -> None:
    """Keep releases, and what they were made of."""
    fresh: dict[str, dict[str, Any]] = {}
    rows = []
    for each in made:
        found = each.release
        bundle = found.bundle.digest if found.bundle else ""
        counters = {"epoch": found.epoch, "generation": found.generation}
        rows.append({"cluster": each.cluster, "app": found.app, **counters, "bundle": bundle, "recipe": each.recipe})
        if bundle and each.recipe not in fresh:
            content = {"content": each.content, "bundle": bundle, "options": found.options, "origin": each.origin}
            fresh[each.recipe] = {"recipe": each.recipe, **content}
    await tx.do(insert(releases), rows)
    written = list(fresh.values())
    if written:
        await tx.do(upsert(tx.connection, recipes, written[0], rising=()), written)


def is_good(said: Report | AppStatus) -> bool:
    """Tell whether a target runs its release whole and does well; one that was rolled back may do so, too."""
    whole = said.sync is Sync.SYNCED or said.reason == ROLLED_BACK
    return whole and said.health is Health.CURRENT


async def succeeded(tx: Transaction, found: Iterable[tuple[str, str, int, int]]) -> None:
    """Note that these releases (cluster, app, epoch, generation) did well."""
    names = ("cluster", "app", "epoch", "generation")
    same = [releases.c[name] == bindparam(f"at_{name}") for name in names]
    rows = [dict(zip((f"at_{name}" for name in names), each, strict=True)) for each in sorted(set(found))]
    await tx.do(update(releases).where(*same, releases.c.good.is_(False)).values(good=True), rows)


async def goals(tx: Transaction, app: str, names: Collection[str]) -> dict[str, list[Goal]]:
    """Return what targets of an app ran before and could run again, by cluster, the newest first."""
    found: dict[str, list[Goal]] = defaultdict(list)
    columns = (*releases.c["cluster", "epoch", "generation", "good"], *recipes.c)
    query = (
        select(*columns)
        .join_from(releases, recipes, recipes.c.recipe == releases.c.recipe)
        .join(bundles, bundles.c.bundle == recipes.c.bundle)
        .order_by(releases.c.epoch.desc(), releases.c.generation.desc())
    )
    for some in portions(sorted(names)):
        for row in await tx.rows(query.where(releases.c.app == app, releases.c.cluster.in_(some))):
            kept = (row.recipe, row.content, row.bundle, row.options or {}, row.origin or {})
            found[row.cluster].append(Goal(row.epoch, row.generation, *kept, good=row.good))
    return found


async def forget(tx: Transaction, late: Any) -> None:
    """Forget the releases that `late` selects, and what none of the others was made of."""
    place = tuple_(*releases.c["cluster", "app", "epoch", "generation"])
    await tx.do(delete(releases).where(place.in_(late)))
    await tx.do(delete(recipes).where(recipes.c.recipe.not_in(select(releases.c.recipe))))
