"""Read the bodies of requests: bounded, and JSON, YAML or protobuf as a client sends them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import yaml
from aiohttp import web

from services.kubesim import protobuf
from services.kubesim.answers import RefusedError, bad_request

BODY_LIMIT = 3 * 1024 * 1024


async def body_of(request: web.BaseRequest) -> bytes:
    """Return the body of a request.

    Raises:
        RefusedError: 413, it is larger than a real server takes.
    """
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.content.iter_any():
        size += len(chunk)
        if size > BODY_LIMIT:
            raise RefusedError(413, f"Request entity too large: limit is {BODY_LIMIT}")
        chunks.append(chunk)
    return b"".join(chunks)


def decoded(body: bytes) -> Any:
    """Return the value of a body.

    Raises:
        RefusedError: 400, it is neither JSON nor YAML; 415, protobuf of a kind that is not understood.
    """
    if body.startswith(protobuf.MAGIC):
        return protobuf.decoded(body)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        return yaml.safe_load(body)
    except yaml.YAMLError as error:
        raise bad_request(f"error decoding the body: {error}") from error


def mapping(body: bytes) -> dict[str, Any]:
    """Return the object of a body.

    Raises:
        RefusedError: 400, the body is no object.
    """
    value = decoded(body)
    if not isinstance(value, dict):
        raise bad_request("the body is not an object")
    return value


def deletion(query: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """Return the DeleteOptions of a DELETE: those of the body, with those of the query over them.

    Raises:
        RefusedError: 400, the body is no object.
    """
    options = mapping(body) if body.strip() else {}
    asked = query.get("propagationPolicy")
    return options | ({"propagationPolicy": asked} if asked else {})
