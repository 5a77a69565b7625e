"""What the renderer is told: how many engines run, what each may take, how much is kept."""

from __future__ import annotations

import os

from pydantic import Field

from services.renderer.sandbox import Limits
from shared.runtime.settings import ServiceSettings, settings_for


class RendererSettings(ServiceSettings):
    """Settings of the renderer; from the environment as `TOWLINE_RENDERER_...`."""

    model_config = settings_for("renderer")

    workers: int = Field(default_factory=lambda: os.cpu_count() or 2, ge=1)
    """Engines that run at the same time for one source; one more serves the other sources meanwhile."""
    requests: int = Field(default=4, ge=1)
    """Sources that are rendered at the same time: one that is slow to fail must not hold up the others."""
    wall_s: float = Field(default=30.0, gt=0)
    """Seconds that one app on one cluster may take."""
    memory_bytes: int = Field(default=1 << 30, ge=256 << 20)
    """Memory that it may take."""
    output_bytes: int = Field(default=64 << 20, gt=0)
    """Bytes that its bundle may have."""
    cache_bytes: int = Field(default=4 << 30, gt=0)
    """Bytes of bundles that are kept on disk, so that they are not rendered again."""
    allow_unsandboxed: bool = False
    """Render even where the kernel cannot confine engines. Only where every source is trusted like the hub itself."""

    @property
    def limits(self) -> Limits:
        """What one job of an engine may take."""
        return Limits(
            wall_s=self.wall_s,
            cpu_s=max(1, int(self.wall_s)),
            memory_bytes=self.memory_bytes,
            output_bytes=self.output_bytes,
            file_bytes=self.output_bytes,
        )
