"""Cut the schemas of Kubernetes from the package `kubernetes-validate`: `python -m tests.schemas`.

Run it by hand after that package was updated for a new Kubernetes, and commit the file that it writes. What all versions
have alike stands there once, so that all of them together take some thirty kilobytes. Left out are descriptions and what
only a server reads; nulls are not allowed, because bundles have none.
"""

import json
import lzma
import re
from pathlib import Path
from typing import Any

from services.renderer.schemas.kubernetes import BASE64

TARGET = Path(__file__).resolve().parents[1] / "services" / "renderer" / "schemas" / "kubernetes.json.xz"
VERSION = re.compile(r"v(1\.\d+)\.0-local-strict")
KINDS = "x-kubernetes-group-version-kind"
NO_OBJECTS = re.compile(r"(DeleteOptions|WatchEvent|Status|.*List)")
# Mappings without which the server's own rules refuse an object, though no schema says so of their members.
NEEDED = {"selector", "template", "jobTemplate", "backend"}
NUMBERS = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}


def cut(schema: Any) -> Any:
    """Return a schema with what counts for checking a manifest."""
    if not isinstance(schema, dict):
        return schema
    found: dict[str, Any] = {}
    for name, value in schema.items():
        found.update(_cut(name, value))
    return found


def _cut(name: str, value: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    match name:
        case "properties":
            found = {name: {key: cut(member) for key, member in value.items()}}
        case "items" | "additionalProperties":
            found = {name: cut(value)}
        case "oneOf":
            found = {"type": [kind for each in value for kind in each["type"] if kind != "null"]}
        case "type":
            found = {name: next(kind for kind in value if kind != "null") if isinstance(value, list) else value}
        case "required" | "enum":
            found = {name: value}
        case "$ref":
            found = {name: value.replace("#/definitions/", "#/$defs/")}
        case "format" if value in NUMBERS:
            found = dict(zip(("minimum", "maximum"), NUMBERS[value], strict=True))
        case "format" if value == "byte":
            found = {"pattern": BASE64}
    return found


def lenient(definitions: dict[str, Any]) -> None:
    """Drop what the server does not miss: mappings of which nothing is required are the same when they are absent."""
    changed = True
    while changed:
        changed = False
        for body in definitions.values():
            for name in list(body.get("required", ())):
                field = body.get("properties", {}).get(name, {})
                target = definitions.get(field.get("$ref", "").rpartition("/")[2], field)
                is_mapping = target.get("type") == "object" and not target.get("required")
                if is_mapping and field.get("$ref") and name not in NEEDED:
                    body["required"].remove(name)
                    changed = True
            if body.get("required") == []:
                del body["required"]


def of_version(folder: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the definitions of one version, and the name of that of each `apiVersion Kind`."""
    whole = json.loads((folder / "_definitions.json").read_text())
    raw = whole.get("$defs") or whole["definitions"]
    kinds: dict[str, str] = {}
    for name, body in raw.items():
        for each in body.get(KINDS, ()):
            if not NO_OBJECTS.fullmatch(each["kind"]):
                api_version = "/".join(part for part in (each["group"], each["version"]) if part)
                kinds[f"{api_version} {each['kind']}"] = name
    definitions = {name: cut(body) for name, body in raw.items()}
    lenient(definitions)
    reached: set[str] = set()
    waiting = list(kinds.values())
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += re.findall(r'"#/\$defs/([^"]+)"', json.dumps(definitions[name]))
    return {name: definitions[name] for name in reached}, kinds


def gathered() -> dict[str, Any]:
    """Return the schemas of all versions; equal ones stand once, with the versions that they are of."""
    import kubernetes_validate

    folders = {}
    for folder in (Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema").iterdir():
        if match := VERSION.fullmatch(folder.name):
            folders[match[1]] = folder
    versions = sorted(folders, key=lambda each: int(each.partition(".")[2]))
    definitions: dict[str, dict[str, list[int]]] = {}
    kinds: dict[str, dict[str, list[int]]] = {}
    for index, version in enumerate(versions):
        bodies, names = of_version(folders[version])
        for name, body in bodies.items():
            text = json.dumps(body, sort_keys=True)
            definitions.setdefault(name, {}).setdefault(text, []).append(index)
        for kind, name in names.items():
            kinds.setdefault(kind, {}).setdefault(name, []).append(index)
    return {
        "versions": versions,
        "definitions": {
            name: [[indexes, json.loads(text)] for text, indexes in bodies.items()]
            for name, bodies in sorted(definitions.items())
        },
        "kinds": {kind: [[indexes, name] for name, indexes in names.items()] for kind, names in sorted(kinds.items())},
    }


def main() -> None:
    """Write the file."""
    data = json.dumps(gathered(), sort_keys=True, separators=(",", ":")).encode()
    TARGET.write_bytes(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))


if __name__ == "__main__":
    main()
