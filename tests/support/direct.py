"""A simulated cluster asked without sockets, in a time that passes only while everybody waits.

What an agent does in an hour takes milliseconds here, and the same seed gives the same hour.
"""

import asyncio
import time
from contextlib import asynccontextmanager, contextmanager
from selectors import DefaultSelector
from types import SimpleNamespace
from unittest.mock import patch

import orjson

from services.applier import errors
from services.applier.kube.session import ClusterUnreachableError, Reply, Session
from services.kubesim import api
from services.kubesim.answers import RefusedError
from services.kubesim.documents import document
from services.kubesim.reading import matcher
from services.kubesim.requests import form_of, place_of
from services.kubesim.watching import events, watch_of

AGENT = "towline-applier/test"
SLOW_S = 14.0
"""Less than any request may take, and nearly as long as a lease."""


class StandstillError(Exception):
    """Everybody waits for somebody else."""


class _Selector(DefaultSelector):
    """Waits for nothing: what it would have waited is added to the time."""

    now = 0.0

    def select(self, timeout=None):
        ready = super().select(0)
        if not ready and timeout is None:
            raise StandstillError
        if not ready:
            self.now += max(timeout, 0.0)
        return ready


class SimulatedTime(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next thing that is due."""

    def __init__(self):
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self):
        return self._clock.now


@contextmanager
def simulated_time():
    """Yield a function that runs a coroutine in simulated time; `time.monotonic` tells it, too."""
    with asyncio.Runner(loop_factory=SimulatedTime) as runner:
        loop = runner.get_loop()
        with patch.object(time, "monotonic", loop.time):
            yield runner.run


class DirectSession(Session):
    """An agent's session that calls the simulated API server in the same process.

    `meet` sees each request before it is carried out. It returns None or what becomes of it: a `RefusedError` to be
    answered instead, "lost" (it never arrives), "silent" (nothing comes until its time is over), "slow" (it is carried out late), "unanswered" (it is carried out, and the answer is lost), "killed" (the
    same, and whoever asked is no more).
    """

    def __init__(self, state, meet):
        super().__init__(None, agent=AGENT, strict_tls=True, in_flight=16)
        self._state, self._meet = state, meet

    async def _exchange(self, request):
        if request.fence is not None:
            request.fence()
        await asyncio.sleep(0.001)
        fate = await self._meet(request)
        if fate == "slow":
            await asyncio.sleep(SLOW_S)
        if fate == "silent":
            await asyncio.sleep(request.timeout_s)
        if fate in {"lost", "silent"}:
            raise ClusterUnreachableError("connection reset")
        reply = _refused(fate) if isinstance(fate, RefusedError) else await self._answer(request)
        await asyncio.sleep(0.001)
        if fate == "killed":
            await asyncio.Event().wait()
        if fate == "unanswered":
            raise ClusterUnreachableError("connection reset in the middle of the answer")
        return reply

    async def _answer(self, request):
        headers = {"Accept": request.accept, "User-Agent": AGENT}
        asked = SimpleNamespace(
            method=request.verb, query=dict(request.query), headers=headers, content_type=request.content_type
        )
        try:
            found = document(self._state, asked, request.path)
            answer = found or await api.answer(self._state, asked, request.path, request.body or b"")
        except RefusedError as refused:
            return _refused(refused)
        if answer.status >= 300:
            return Reply(answer.status, None, errors.Answer(answer.status, answer.body, answer.content_type))
        value = orjson.loads(answer.body) if answer.content_type == "application/json" else None
        return Reply(answer.status, value if isinstance(value, dict) else None)

    @asynccontextmanager
    async def stream(self, path, query, *, accept):
        place = place_of(path)
        state = self._state
        try:
            resource = api._resource(state, place)
            watch = watch_of(state, resource, matcher(query, place.namespace), query, form_of(accept))
        except RefusedError as refused:
            yield _refused(refused), None
            return
        yield Reply(200), _decoded(events(state, watch, query.get("resourceVersion", "")))


async def _decoded(lines):
    async for line in lines:
        yield orjson.loads(line)


def _refused(refused):
    body = refused.message.encode() if refused.plain else orjson.dumps(refused.body())
    kind = "text/plain" if refused.plain else "application/json"
    answer = errors.Answer(refused.code, body, kind, refused.headers.get("Retry-After", ""))
    return Reply(refused.code, None if refused.plain else refused.body(), answer)
