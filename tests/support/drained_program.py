"""A program of the hub for tests of start and stop: it renders slowly, and says on standard output what it does.

`python -m tests.support.drained_program`; a line on standard input lets the work in hand end.
"""

import asyncio
import sys

from shared import subjects
from shared.bus.connection import Bus, Delivery
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.logs import get_logger
from shared.runtime.program import run_program
from shared.runtime.settings import ServiceSettings, settings_for


class RendererSettings(ServiceSettings):
    model_config = settings_for("renderer")

    mode: str = "work"


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def serve(settings: RendererSettings, bus: Bus, life: Lifecycle) -> None:
    async def handle(delivery: Delivery) -> None:
        say(f"begun {delivery.sequence}")
        await asyncio.to_thread(sys.stdin.readline)
        await bus.publish(subjects.rendered("fleet"), b"result")
        say(f"finished {delivery.sequence}")

    if settings.mode == "leak":
        get_logger().info("leaking", credentials=settings.credentials(), text=settings.credentials().seed)
    if settings.mode == "crash":
        raise ZeroDivisionError(settings.credentials().jwt)
    await bus.consume(subjects.Durable(subjects.RENDER, "renderer"), handle)
    await life.stopping.wait()


if __name__ == "__main__":
    sys.exit(run_program(serve, RendererSettings))
