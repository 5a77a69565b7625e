"""Write what an import found, prove it, and say what is proven, what is not yet, and what is left out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from services.cli.hubs import CommandError
from services.cli.imports.command import Reported
from services.cli.imports.flux_walk import Outcome
from services.cli.imports.model import MANIFESTS, Absent, Import, Key
from services.cli.imports.originals import Originals
from services.cli.imports.places import files_at
from services.cli.imports.proving import Proof, proof
from services.cli.imports.writing import Written, written
from services.cli.offline import Asked
from services.cli.offline_fleet import plan_at
from services.cli.offline_render import Made, made_by
from services.cli.output import plain, say
from services.renderer.engines import Engines
from shared.core.objects import Manifest
from shared.core.trees import Tree
from shared.errors import Finding

_BAD = ("differs", "failed")


@dataclass(frozen=True, slots=True)
class Into:
    """From where to where an import goes."""

    tree: Tree
    out: Path
    form: Reported
    replaced: Callable[[Manifest], bool]
    """Tells which objects are not delivered any more, for they were the other tool's own."""


async def finish(into: Into, found: Import, originals: Originals, engines: Engines) -> int:
    """Write, prove and report; return the code that the command exits with.

    Raises:
        CommandError: there is nothing to write, or a place for it is taken.
    """
    if not found.drafts:
        for each in found.findings:
            say(plain(str(each)))
        hint = "see what was named above, and whether the path is right"
        raise CommandError("nothing was found that could be taken over", code="import.nothing", hint=hint)
    fleet = written(found)
    _write(into, fleet)
    plan = plan_at(into.out, Asked())
    provable = [each for each in found.drafts if not isinstance(each.original, Absent)]
    names = {(fleet.apps[each.key, each.cluster], each.cluster) for each in provable}
    ours = await made_by(engines, [each for each in plan.targets if (each.app, each.cluster) in names])
    theirs = await originals.all_of([each.original for each in provable])
    outcomes = {(each.key, each.cluster): outcome for each, outcome in zip(provable, theirs, strict=True)}
    proofs = _proofs(into, found, fleet, outcomes, ours)
    errors = [each for each in plan.fleet.findings if each.severity == "error"]
    if into.form == "json":
        listing = {"apps": [asdict(each) for each in proofs], "leftOut": [each.as_dict() for each in found.findings]}
        print(json.dumps({**listing, "errors": [each.as_dict() for each in errors]}, indent=1, ensure_ascii=False))
    else:
        _tell(into, found, proofs, errors)
    return 1 if errors or any(each.state in _BAD for each in proofs) else 0


def _write(into: Into, fleet: Written) -> None:
    out = into.out
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CommandError(f"{out} is not empty", code="import.not-empty", hint="name another folder with --out")
    files = {file for each in fleet.copied for file in files_at(into.tree, each)}
    contents = {f"{MANIFESTS}/{file}": into.tree.read(file) for file in sorted(files)}
    contents |= {name: text.encode() for name, text in fleet.files.items()}
    for name, content in contents.items():
        target = out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def _proofs(
    into: Into, found: Import, fleet: Written, outcomes: Mapping[tuple[Key, str], Outcome], ours: Sequence[Made]
) -> list[Proof]:
    made = {(each.app, each.cluster): each for each in ours}
    proofs = []
    for draft in found.drafts:
        place = (fleet.apps[draft.key, draft.cluster], draft.cluster)
        outcome = outcomes.get((draft.key, draft.cluster))
        proofs.append(proof(draft, place[0], outcome, made.get(place), into.replaced))
    return sorted(proofs, key=lambda each: (each.app, each.cluster))


def _tell(into: Into, found: Import, proofs: Sequence[Proof], errors: Sequence[Finding]) -> None:
    for each in proofs:
        if each.state in _BAD:
            print(plain(f"{each.state}: {each.app} on {each.cluster}"))
            for line in each.details:
                print(plain(f"  {line}"))
    for finding in errors:
        print(plain(f"wrong: {finding}"))
    for finding in found.findings:
        print(plain(f"left out: {finding}"))
    apps = {each.app for each in proofs}
    print(f"{len(apps)} apps on {len({each.cluster for each in proofs})} clusters were written to {into.out}")
    print(f"  proven equal: {_count(proofs, 'equal')}")
    for reason in sorted({each.details[0] for each in proofs if each.state == "to prove"}):
        print(f"  to be proven: {sum(each.details[:1] == (reason,) for each in proofs)}, {reason}")
    for state in _BAD:
        if _count(proofs, state):
            print(f"  {state}: {_count(proofs, state)}")
    print(f"  left out: {len(found.findings)}")


def _count(proofs: Sequence[Proof], state: str) -> int:
    return sum(each.state == state for each in proofs)
