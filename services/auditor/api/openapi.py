"""The OpenAPI document, made from the routes themselves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from services.auditor.api.layer import Endpoint
from services.auditor.api.problems import MEDIA_TYPE
from services.auditor.views import Problem

REFERENCE = "#/components/schemas/{model}"


def document(endpoints: Sequence[Endpoint], version: str) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of `endpoints`."""
    answers = [(each.answer, "serialization") for each in endpoints]
    bodies = [(each.asked, "validation") for each in endpoints if each.has_body]
    models: list[Any] = list(dict.fromkeys([*answers, *bodies, (Problem, "serialization")]))
    names, schemas = models_json_schema(models, ref_template=REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for each in endpoints:
        path = re.sub(r"\{(\w+):[^}]*\}", r"{\1}", each.path)
        paths.setdefault(path, {})[each.method.lower()] = _operation(each, names)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Towline", "version": version, "description": "The hub's account of fleet and ledger."},
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas.get("$defs", {}),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(endpoint: Endpoint, names: dict[Any, Any]) -> dict[str, Any]:
    problem = {"description": "It failed", "content": {MEDIA_TYPE: {"schema": names[Problem, "serialization"]}}}
    operation: dict[str, Any] = {
        "summary": endpoint.summary,
        "operationId": re.sub(r"\W+", "_", f"{endpoint.method.lower()}{endpoint.path}").strip("_"),
        "parameters": [*_path_parameters(endpoint.path), *_query_parameters(endpoint)],
        "responses": {
            str(endpoint.status): {
                "description": "Done",
                "content": {"application/json": {"schema": names[endpoint.answer, "serialization"]}},
            },
            "default": problem,
        },
    }
    if endpoint.has_body:
        schema = names[endpoint.asked, "validation"]
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    if endpoint.public:
        operation["security"] = []
    return operation


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)", path)
    ]


def _query_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    if endpoint.has_body:
        return []
    return [_parameter(name, schema) for name, schema in _properties(endpoint.asked).items()]


def _properties(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema()
    defined = schema.get("$defs", {})

    def inlined(value: Any) -> Any:
        if isinstance(value, dict):
            if reference := value.get("$ref"):
                return inlined(defined[reference.rpartition("/")[2]])
            return {name: inlined(inner) for name, inner in value.items()}
        return [inlined(inner) for inner in value] if isinstance(value, list) else value

    found: dict[str, Any] = inlined(schema.get("properties", {}))
    return found


def _parameter(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    description = schema.pop("description", "")
    return {"name": name, "in": "query", "description": description, "schema": schema}
