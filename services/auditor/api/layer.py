"""Declare a route once: its models check what comes in, shape what goes out, and describe it in OpenAPI.

Every route needs a session or a token unless it is declared public.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from services.auditor.api.problems import problem_response
from shared.core.refusals import first_problem
from shared.errors import PermanentError

Asked = TypeVar("Asked", bound=BaseModel)


class BadRequestError(PermanentError):
    """A request has another shape than the route takes."""

    code = "api.bad-request"


class UnknownError(PermanentError):
    """What was asked for is not there, or not for whoever asks."""

    code = "api.not-found"


@dataclass(frozen=True, slots=True)
class Call(Generic[Asked]):
    """One request: `asked` are its query parameters or its body, checked."""

    request: web.Request
    asked: Asked

    def part(self, name: str) -> str:
        """Return a part of the path."""
        return self.request.match_info[name]


Handler = Callable[[Call[Any]], Awaitable[BaseModel]]


class Nothing(BaseModel):
    """No parameters are taken."""

    model_config = {"extra": "forbid"}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One route."""

    method: str
    path: str
    summary: str
    handler: Handler
    asked: type[BaseModel]
    answer: type[BaseModel]
    status: int
    public: bool

    @property
    def has_body(self) -> bool:
        """Tell whether `asked` is the body."""
        return self.method not in {"GET", "DELETE"}


@dataclass(slots=True)
class Api:
    """The routes of the API."""

    version: Callable[[], str]
    """Changes whenever an answer might: the entity tag."""
    endpoints: list[Endpoint] = field(default_factory=list)

    def get(
        self,
        path: str,
        summary: str,
        *,
        answer: type[BaseModel],
        asked: type[BaseModel] = Nothing,
        public: bool = False,
    ) -> Callable[[Handler], Handler]:
        """Declare a route that reads."""

        def declare(handler: Handler) -> Handler:
            self.endpoints.append(Endpoint("GET", path, summary, handler, asked, answer, 200, public))
            return handler

        return declare

    def post(
        self,
        path: str,
        summary: str,
        *,
        asked: type[BaseModel],
        answer: type[BaseModel],
        status: int = 200,
        public: bool = False,
    ) -> Callable[[Handler], Handler]:
        """Declare a route that asks for something."""

        def declare(handler: Handler) -> Handler:
            self.endpoints.append(Endpoint("POST", path, summary, handler, asked, answer, status, public))
            return handler

        return declare

    def routes(self) -> list[tuple[Endpoint, web.RouteDef]]:
        """Return the routes for aiohttp."""
        return [(each, web.route(each.method, each.path, self._run(each))) for each in self.endpoints]

    def _run(self, endpoint: Endpoint) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def run(request: web.Request) -> web.StreamResponse:
            tag = f'W/"{self.version()}"'
            if endpoint.method == "GET" and request.headers.get("If-None-Match") == tag and not endpoint.public:
                return web.Response(status=304, headers={"ETag": tag})
            try:
                asked = await _asked(endpoint, request)
            except ValidationError as error:
                return problem_response(400, BadRequestError(_first(error), hint="see /openapi.json"))
            answer = await endpoint.handler(Call(request, asked))
            headers = {"ETag": tag, "Cache-Control": "private, no-cache"} if endpoint.method == "GET" else {}
            return web.Response(
                body=answer.model_dump_json(by_alias=True).encode(),
                status=endpoint.status,
                content_type="application/json",
                headers=headers,
            )

        return run


async def _asked(endpoint: Endpoint, request: web.Request) -> BaseModel:
    if not endpoint.has_body:
        repeated = [name for name in request.query if len(request.query.getall(name)) > 1]
        if repeated:
            raise BadRequestError(f"parameter {repeated[0]!r} is given more than once")
        return endpoint.asked.model_validate(dict(request.query), strict=False)
    if request.content_type != "application/json":
        raise BadRequestError("the body must be application/json", code="api.media-type")
    return endpoint.asked.model_validate_json(await request.read())


def _first(error: ValidationError) -> str:
    """Return the first finding; what was sent is not repeated, it may be a secret."""
    place, problem = first_problem(error)
    return f"{place or 'body'}: {problem}"
