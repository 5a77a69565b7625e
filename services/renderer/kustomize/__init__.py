"""Build the kustomizations that people write most, in this process, with the result that kubectl has.

A tenth of a second of CPU for each run of kubectl is what a thousand overlays on one base cannot afford. This package does
a part of what Kustomize does; where that part ends it raises `OutsideError`, and kubectl builds. It never says what is wrong
with a kustomization: that is kubectl's word too. Paths of nodes are never changed in place, so a base is built once and
shared by all overlays.
"""

from services.renderer.kustomize.build import Builder, Built
from services.renderer.kustomize.outside import OutsideError

__all__ = ["Builder", "Built", "OutsideError"]
