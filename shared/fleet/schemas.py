"""Write the format of the three kinds of file as JSON Schemas, for editors.

They come from the same models as the reader. What a schema cannot say, such as a name that another file must hold, the
reader finds; nothing that the reader takes is refused here.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from shared.core.names import PATTERN, RESERVED
from shared.fleet.files import AppFile, ClustersFile, FleetFile, WrittenCluster
from shared.fleet.words import MEANING

FILES: dict[str, type[BaseModel]] = {"fleet": FleetFile, "clusters": ClustersFile, "app": AppFile}
"""The kinds of file by the names of their schemas."""
TITLES = {"fleet": "fleet.yaml", "clusters": "clusters/*.yaml", "app": "apps/<app>/app.yaml"}
_ENGINES = ("plain", "kustomize", "helm")


class _Generator(GenerateJsonSchema):
    """Knows what our validators do, which pydantic cannot."""

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        inner = super().function_before_schema(schema)
        match getattr(schema["function"]["function"], "__name__", ""):
            case "_one_or_many" | "_by_name":
                return {"anyOf": [{"type": "string"}, inner]}
            case "_one_selector":
                return {"anyOf": [inner["items"], inner]}
            case "_count_or_percent":
                return {"anyOf": [{"type": "integer", "minimum": 1}, inner]}
        return inner

    def function_after_schema(self, schema: core_schema.AfterValidatorFunctionSchema) -> JsonSchemaValue:
        inner = super().function_after_schema(schema)
        match getattr(schema["function"]["function"], "__name__", ""):
            case "_usable":
                return {**inner, "pattern": f"^{PATTERN}$", "not": {"enum": sorted(RESERVED)}}
            case "_says_when":
                return {"allOf": [inner], "anyOf": [{"required": ["allow"]}, {"required": ["deny"]}]}
        return inner

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        made = super().dict_schema(schema)
        return {**made, "additionalProperties": False} if "patternProperties" in made else made

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        made = super().model_schema(schema)
        model = schema["cls"]
        meaning = {
            key: text for each in reversed(model.__mro__) for key, text in MEANING.get(each.__name__, {}).items()
        }
        for key, field in made.get("properties", {}).items():
            field.pop("title", None)
            if key in meaning:
                made["properties"][key] = _described(field, meaning[key])
        if model is AppFile:
            made["not"] = {"anyOf": [_both(*pair) for pair in combinations(_ENGINES, 2)]}
        return made


def schema_of(name: str) -> dict[str, Any]:
    """Return the schema of one kind of file: `fleet`, `clusters` or `app`."""
    model = FILES[name]
    made = model.model_json_schema(by_alias=True, schema_generator=_Generator)
    if model is ClustersFile:
        cluster = WrittenCluster.model_json_schema(by_alias=True, schema_generator=_Generator)
        # The reader takes the entries one by one, so that a wrong one is alone; an editor may know them all.
        made["properties"]["clusters"]["items"] = {"$ref": "#/$defs/WrittenCluster"}
        made.setdefault("$defs", {}).update({**cluster.pop("$defs", {}), "WrittenCluster": cluster})
    return {"$schema": GenerateJsonSchema.schema_dialect, **made, "title": TITLES[name]}


def _both(one: str, other: str) -> JsonSchemaValue:
    return {"required": [one, other], "properties": {name: {"type": "object"} for name in (one, other)}}


def _described(field: JsonSchemaValue, text: str) -> JsonSchemaValue:
    return {"description": text, **{name: value for name, value in field.items() if name != "description"}}
