"""Read the few protobuf bodies that kubectl sends: those of `kubectl create namespace`, `configmap`, `deployment`, ..."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from services.kubesim.answers import RefusedError

MAGIC = b"k8s\x00"
Value = int | bytes
# message: field number:name:form; forms are s(tring), i(nteger), x (either), m(ap of texts), b (map of bytes), a message, `*` many.
NOTATION = """
Meta 1:name:s 2:generateName:s 3:namespace:s 11:labels:m 12:annotations:m
Namespace 1:metadata:Meta
ServiceAccount 1:metadata:Meta
ConfigMap 1:metadata:Meta 2:data:m 3:binaryData:b
Secret 1:metadata:Meta 2:data:b 3:type:s 4:stringData:m
Deployment 1:metadata:Meta 2:spec:DeploymentSpec
DeploymentSpec 1:replicas:i 2:selector:Selector 3:template:Template
Selector 1:matchLabels:m
Template 1:metadata:Meta 2:spec:PodSpec
PodSpec 2:containers:*Container 3:restartPolicy:s
Container 1:name:s 2:image:s 3:command:*s 4:args:*s 6:ports:*Port
Port 1:name:s 3:containerPort:i 4:protocol:s
Job 1:metadata:Meta 2:spec:JobSpec
JobSpec 6:template:Template
CronJob 1:metadata:Meta 2:spec:CronJobSpec
CronJobSpec 1:schedule:s 3:concurrencyPolicy:s 5:jobTemplate:JobTemplate
JobTemplate 1:metadata:Meta 2:spec:JobSpec
Role 1:metadata:Meta 2:rules:*Rule
ClusterRole 1:metadata:Meta 2:rules:*Rule
Rule 1:verbs:*s 2:apiGroups:*s 3:resources:*s 4:resourceNames:*s 5:nonResourceURLs:*s
RoleBinding 1:metadata:Meta 2:subjects:*Subject 3:roleRef:RoleRef
ClusterRoleBinding 1:metadata:Meta 2:subjects:*Subject 3:roleRef:RoleRef
Subject 1:kind:s 2:apiGroup:s 3:name:s 4:namespace:s
RoleRef 1:apiGroup:s 2:kind:s 3:name:s
Service 1:metadata:Meta 2:spec:ServiceSpec
ServiceSpec 1:ports:*ServicePort 2:selector:m 3:clusterIP:s 4:type:s 10:externalName:s
ServicePort 1:name:s 2:protocol:s 3:port:i 4:targetPort:x 5:nodePort:i
SelfSubjectAccessReview 1:metadata:Meta 2:spec:ReviewSpec
ReviewSpec 1:resourceAttributes:ResourceAttributes 2:nonResourceAttributes:PathAttributes
ResourceAttributes 1:namespace:s 2:verb:s 3:group:s 4:version:s 5:resource:s 6:subresource:s 7:name:s
PathAttributes 1:path:s 2:verb:s
PriorityClass 1:metadata:Meta 2:value:i 4:description:s
"""
MESSAGES: Mapping[str, Mapping[int, tuple[str, str]]] = {
    line.split()[0]: {int(part.split(":")[0]): (part.split(":")[1], part.split(":")[2]) for part in line.split()[1:]}
    for line in NOTATION.strip().splitlines()
}
# An object's message begins with its metadata.
KINDS = frozenset(name for name, fields in MESSAGES.items() if fields.get(1) == ("metadata", "Meta"))


def decoded(body: bytes) -> dict[str, Any]:
    """Return the object of a protobuf body.

    Raises:
        RefusedError: 415, a kind that is not understood here.
    """
    envelope = {number: value for number, value in _fields(body.removeprefix(MAGIC)) if isinstance(value, bytes)}
    types = {number: value.decode() for number, value in _fields(envelope[1]) if isinstance(value, bytes)}
    kind = types.get(2, "")
    if kind not in KINDS:
        raise RefusedError(415, f"a {kind or 'body'} in protobuf is not understood; send application/json")
    return {"apiVersion": types.get(1, ""), "kind": kind, **_message(envelope.get(2, b""), kind)}


def _message(body: bytes, message: str) -> dict[str, Any]:
    names = MESSAGES[message]
    result: dict[str, Any] = {}
    for number, value in _fields(body):
        if number not in names or value == b"":
            continue
        name, form = names[number]
        if form.startswith("*"):
            result.setdefault(name, []).append(_value(value, form[1:]))
        elif form in {"m", "b"}:
            result.setdefault(name, {}).update(_pair(value, form))
        else:
            result[name] = _value(value, form)
    return result


def _value(value: Value, form: str) -> Any:
    if isinstance(value, int):
        return value
    if form == "x":
        either = dict(_fields(value))
        text = either.get(3, b"")
        return text.decode() if isinstance(text, bytes) and text else either.get(2, 0)
    return value.decode() if form == "s" else _message(value, form)


def _pair(value: Value, form: str) -> dict[str, str]:
    entry = {key: part for key, part in _fields(value) if isinstance(part, bytes)} if isinstance(value, bytes) else {}
    content = entry.get(2, b"")
    text = base64.b64encode(content) if form == "b" else content
    return {entry.get(1, b"").decode(): text.decode()}


def _fields(body: bytes) -> Iterator[tuple[int, Value]]:
    at = 0
    while at < len(body):
        tag, at = _varint(body, at)
        match tag & 7:
            case 0:
                number, at = _varint(body, at)
                yield tag >> 3, number
            case 2:
                size, at = _varint(body, at)
                yield tag >> 3, body[at : at + size]
                at += size
            case wire:
                at += {1: 8, 5: 4}.get(wire, len(body))


def _varint(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(body):
        byte = body[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            break
        shift += 7
    return value, at
