"""Fill the variables of a cluster into what an engine made, as Flux's `postBuild` does.

As there, an object is filled in as YAML text and read again: `replicas: ${n}` becomes a number, and a variable may hold a
list. The text has the quotes that it has in Flux.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from services.renderer.engines.jobs import Job
from services.renderer.envsubst import SubstitutionError, expanded, names_in
from services.renderer.finish import Piece
from shared.core.canonical import decode, encode
from shared.core.kubedump import dumped
from shared.core.kubeyaml import documents
from shared.core.objects import key_of
from shared.errors import Finding, FindingsError

CODE = "render.substitution"
SWITCH, OFF = "kustomize.toolkit.fluxcd.io/substitute", "disabled"
_HINT = "see `substitute` of app.yaml; labels, values and cluster_name of a cluster are variables; $${ stays as ${"


@dataclass(frozen=True, slots=True)
class Substitution:
    """What is filled into the objects of one job."""

    variables: Mapping[str, str]
    strict: bool
    files: Mapping[str, bytes]
    names: set[str] | None = None
    """The names that the files hold; None: others may come up."""

    def __call__(self, pieces: Iterable[Piece]) -> list[Piece]:
        """Return the pieces filled in.

        Raises:
            FindingsError: all that cannot be.
        """
        findings: list[Finding] = []
        found = [self._filled(piece, findings) for piece in pieces]
        if findings:
            raise FindingsError(findings)
        return found

    def _filled(self, piece: Piece, findings: list[Finding]) -> Piece:
        if b"$" not in encode(piece.manifest) or _is_off(piece.manifest):
            return piece
        what = f"{key_of(piece.manifest).kind} {key_of(piece.manifest).name}"
        text = dumped(piece.manifest)
        try:
            self._check_names(text)
            read = documents(expanded(text, self.variables, strict=self.strict).encode(), piece.file)
        except SubstitutionError as error:
            findings.append(self._finding(f"{what}: {error}", piece, error.expression))
            return piece
        except FindingsError as error:
            why = "; ".join(each.message for each in error.findings)
            findings.append(self._finding(f"{what} is no YAML any more once its variables are filled in: {why}", piece))
            return piece
        if len(read) != 1 or not isinstance(read[0].value, dict):
            findings.append(
                self._finding(f"{what} is no single object any more once its variables are filled in", piece)
            )
            return piece
        return replace(piece, manifest=read[0].value)

    def _check_names(self, text: str) -> None:
        for name in sorted(names_in(text) - self.names) if self.names is not None else ():
            raise SubstitutionError(
                f"the variable {name} stands in no file: write ${{{name}}} out in one", f"${{{name}"
            )

    def _finding(self, message: str, piece: Piece, expression: str = "") -> Finding:
        """Return a finding at the place of the expression, if a file holds it, else at that of the object."""
        needle = expression.encode()
        ordered = sorted(self.files, key=lambda path: (path != piece.file, path)) if needle else []
        for path in ordered:
            before, found, _ = self.files[path].partition(needle)
            if found:
                return Finding(CODE, message, path, before.count(b"\n") + 1, len(before) - before.rfind(b"\n"), _HINT)
        return Finding(CODE, message, piece.file, piece.line, hint=_HINT)


def substitution_of(job: Job) -> Substitution | None:
    """Return what is to be filled in, or None where the app does not want that."""
    if not job.substitute:
        return None
    given = decode(job.substitute.encode())
    texts = () if given["open"] else (content.decode(errors="replace") for content in job.files.values())
    names = None if given["open"] else set().union(*map(names_in, texts))
    return Substitution(given["vars"], given["strict"], job.files, names)


def _is_off(manifest: Mapping[str, Any]) -> bool:
    metadata = manifest.get("metadata")
    marks = [metadata.get(name) for name in ("labels", "annotations")] if isinstance(metadata, Mapping) else []
    return any(isinstance(each, Mapping) and each.get(SWITCH) == OFF for each in marks)
