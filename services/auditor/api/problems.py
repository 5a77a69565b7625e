"""Errors as RFC 9457 has them, each with the stable code that the documentation lists."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler

from services.auditor.views import Problem
from shared.errors import TowlineError, TransientError

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
_STATUSES = {
    "api.not-found": 404,
    "api.unauthenticated": 401,
    "api.cross-origin": 403,
    "api.media-type": 415,
    "api.too-many-failures": 429,
}


def problem_response(status: int, error: TowlineError, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return the answer that tells of `error`."""
    problem = Problem(
        title=HTTPStatus(status).phrase, status=status, detail=error.message, code=error.code, hint=error.hint
    )
    return web.Response(
        body=problem.model_dump_json().encode(), status=status, content_type=MEDIA_TYPE, headers=headers
    )


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer errors that a request can cause."""
    try:
        return await handler(request)
    except TransientError as error:
        return problem_response(503, error, {"Retry-After": str(RETRY_AFTER_S)})
    except TowlineError as error:
        return problem_response(_STATUSES.get(error.code, 400), error)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        code = f"http.{HTTPStatus(error.status).name.lower().replace('_', '-')}"
        allow = {name: value for name, value in error.headers.items() if name == "Allow"}
        return problem_response(error.status, TowlineError(error.reason, code=code), allow)
