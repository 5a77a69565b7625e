"""Remember which shapes of kustomizations were built equally by kubectl and in process, as long as the renderer lives."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from services.renderer.engines.jobs import Answer
from shared.runtime import metrics
from shared.runtime.logs import get_logger

KEPT = 256


class Shapes:
    """What is known of shapes; a new kubectl comes with a new process."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, bool] = OrderedDict()

    def known(self, engine: str = "kustomize") -> Mapping[str, bool]:
        """Return the shapes that are known, for jobs that have one: whether they may be built in process."""
        return dict(self._known) if engine == "kustomize" else {}

    def learn(self, answer: Answer, app: str) -> None:
        """Take in how a kustomization was built."""
        metrics.kustomizations.labels(_how(answer)).inc()
        if answer.equal is None:
            return
        # A shape that differed once is kubectl's from then on.
        self._known[answer.shape] = answer.equal and self._known.get(answer.shape, True)
        if not answer.equal:
            get_logger().warning("kustomize_difference_found", shape=answer.shape, app=app)
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
