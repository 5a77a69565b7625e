"""Remember which shapes of kustomizations were built equally by kubectl and in process, as long as the renderer lives."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping

from services.renderer.engines.jobs import Answer

KEPT = 256
Tell = Callable[[str, str, str], None]
"""Takes how a kustomization was built, of which shape it is, and of which app."""


def tell_nobody(how: str, shape: str, app: str) -> None:
    """Say nothing: the command measures nothing, and is installed without what does."""


class Shapes:
    """What is known of shapes; a new kubectl comes with a new process."""

    def __init__(self, tell: Tell = tell_nobody) -> None:
        self._tell = tell
        self._known: OrderedDict[str, bool] = OrderedDict()

    def known(self, engine: str = "kustomize") -> Mapping[str, bool]:
        """Return the shapes that are known, for jobs that have one: whether they may be built in process."""
        return dict(self._known) if engine == "kustomize" else {}

    def learn(self, answer: Answer, app: str) -> None:
        """Take in how a kustomization was built."""
        self._tell(_how(answer), answer.shape, app)
        if answer.equal is None:
            return
        # A shape that differed once is kubectl's from then on.
        self._known[answer.shape] = answer.equal and self._known.get(answer.shape, True)
        while len(self._known) > KEPT:
            self._forget()

    def _forget(self) -> None:
        """Forget the shape that was learnt first; it costs one run of kubectl. What differed stays known for longest."""
        equal = next((shape for shape, same in self._known.items() if same), next(iter(self._known)))
        del self._known[equal]


def _how(answer: Answer) -> str:
    if not answer.shape:
        return "kubectl"
    return {None: "in_process", True: "both", False: "different"}[answer.equal]
