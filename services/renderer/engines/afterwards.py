"""Say what becomes of objects after an engine made them, whichever it was."""

from __future__ import annotations

from services.renderer.engines.jobs import Job
from services.renderer.engines.originals import Originals
from services.renderer.engines.substitution import substitution_of
from services.renderer.finish import Change


def changes_of(job: Job) -> tuple[Change, ...]:
    """Return the changes, in order: variables are not filled into the text of a file that an agent will check."""
    substitution = substitution_of(job)
    originals = Originals(job.files)
    return (substitution, originals) if substitution else (originals,)
