"""Definitions of kinds for tests."""

ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def definition_of(kind, group, schema=ANYTHING, versions=("v1",), *, status=False, scope="Namespaced"):
    """Return the definition of a kind; the last version is the one that is stored."""
    plural = f"{kind.lower()}s"
    each = {"served": True, "schema": {"openAPIV3Schema": schema}}
    if status:
        each["subresources"] = {"status": {}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": scope,
            "names": {"kind": kind, "plural": plural},
            "versions": [{**each, "name": name, "storage": name == versions[-1]} for name in versions],
        },
    }
