"""What an answer of the API server means: rules E1 to E4, table 4.2."""

import pytest

from services.applier.errors import Answer, ErrorClass, FieldConflict, classify, redacted, unreachable
from shared.core.canonical import encode
from shared.core.objects import ObjectKey

CONFIG = ObjectKey("", "ConfigMap", "shop", "a")
NAMESPACE = ObjectKey("", "Namespace", "", "shop")


def status(code, message="", reason="", **details):
    return Answer(code, encode({"kind": "Status", "message": message, "reason": reason, "details": details}))


def cause(reason, message="", field=""):
    return {"reason": reason, "message": message, "field": field}


def plain(code, text, retry_after=""):
    return Answer(code, text.encode(), "text/plain", retry_after)


TABLE = [
    (status(500, "failed to create typed patch object (ns/n; v1): .spec.foo: field not declared in schema"), "Schema"),
    (status(500, "failed to convert new object (x) to proper version: illegal base64 data"), "Schema"),
    (status(400, "error strict decoding patch: duplicate field"), "Schema"),
    (status(500, "request to convert CR to an invalid group/version: g/v1"), "DeadVersion"),
    (status(500, "etcdserver: request is too large"), "TooLarge"),
    (status(500, "rpc error: trying to send message larger than max (2 vs. 1)"), "TooLarge"),
    (status(413, "limit is 3145728", "RequestEntityTooLarge"), "TooLarge"),
    (status(422, "x: Too long: may not be more than 262144 bytes", "Invalid"), "TooLarge"),
    (status(422, "is invalid", "Invalid", causes=[cause("FieldValueRequired", "Required value", "spec.a")]), "Invalid"),
    (
        status(
            422,
            "x",
            "Invalid",
            causes=[cause("FieldValueInvalid", "Invalid value: x: field is immutable", "spec.selector")],
        ),
        "Immutable",
    ),
    (
        status(
            422,
            "x",
            "Invalid",
            causes=[
                cause(
                    "FieldValueForbidden",
                    "Forbidden: updates to statefulset spec for fields other than 'replicas' are forbidden",
                    "spec",
                )
            ],
        ),
        "Immutable",
    ),
    (
        status(422, "x", "Invalid", causes=[cause("FieldValueInvalid", "field is immutable", "metadata.uid")]),
        "Replaced",
    ),
    (status(422, "x", causes=[cause("FieldValueInvalid", "a valid label must be", "metadata.labels")]), "Invalid"),
    (
        status(409, "Apply failed", "Conflict", causes=[cause("FieldManagerConflict", 'conflict with "x"', ".data.k")]),
        "Conflict",
    ),
    (status(409, "the object has been modified; please apply your changes", "Conflict"), "Stale"),
    (status(409, "uid mismatch: no existing object was found", "Conflict"), "Replaced"),
    (status(409, "the UID in the precondition (a) does not match", "Conflict"), "Replaced"),
    (status(409, "the ResourceVersion in the precondition (1) does not match", "Conflict"), "Stale"),
    (status(404, 'configmaps "a" not found', "NotFound", name="a", kind="configmaps"), "Gone"),
    (status(404, 'namespaces "shop" not found', "NotFound", name="shop", kind="namespaces"), "NamespaceMissing"),
    (status(404, "the server could not find the requested resource", "NotFound"), "UnknownKind"),
    (plain(404, "404 page not found\n"), "UnknownKind"),
    (status(503, "the request has been made before all known HTTP paths have been installed"), "Unavailable"),
    (plain(503, "service unavailable"), "Unavailable"),
    (status(429, "storage is (re)initializing", "TooManyRequests"), "Initializing"),
    (plain(429, "Too many requests, please try again later."), "Throttled"),
    (
        status(403, "unable to create new content", "Forbidden", causes=[cause("NamespaceTerminating")]),
        "NamespaceTerminating",
    ),
    (status(403, "create not allowed while custom resource definition is terminating"), "Terminating"),
    (status(403, "exceeded quota: q, requested: pods=1", "Forbidden"), "Quota"),
    (status(403, 'User "x" cannot patch resource "secrets" in API group ""', "Forbidden"), "Forbidden"),
    (status(403, "maximum cpu usage per Container is 1", "Forbidden"), "Forbidden"),
    (status(403, 'x cannot impersonate resource "serviceaccounts"', "Forbidden"), "ImpersonationForbidden"),
    (status(401, "Unauthorized", "Unauthorized"), "Unauthenticated"),
    (status(500, 'admission webhook "x" denied the request: field is immutable'), "Webhook"),
    (
        status(
            422,
            "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no",
            causes=[cause("", "field is immutable")],
        ),
        "Webhook",
    ),
    (status(500, 'failed calling webhook "x": dial tcp', "InternalError"), "WebhookDown"),
    (status(500, "conversion webhook for g/v1, Kind=K failed"), "WebhookDown"),
    (status(410, "too old resource version: 1 (349)", "Expired"), "Expired"),
    (status(504, "Too large resource version: 9", "Timeout", causes=[cause("ResourceVersionTooLarge")]), "Expired"),
    (status(504, "request did not complete", "Timeout"), "Timeout"),
    (status(500, "etcdserver: leader changed"), "Timeout"),
    (status(500, "what is this"), "Unavailable"),
    (status(418, "teapot"), "Invalid"),
]


@pytest.mark.parametrize(("answer", "expected"), TABLE, ids=[f"{a.status}-{e}-{n}" for n, (a, e) in enumerate(TABLE)])
def test_the_table_of_answers_rules_e1_e2_e3(answer, expected):
    failure = classify(answer, CONFIG)

    assert failure.error.value == expected
    assert failure.status == answer.status
    assert failure.message


def test_a_namespace_that_is_missing_is_gone_when_it_was_asked_for():
    missing = status(404, 'namespaces "shop" not found', "NotFound", name="shop", kind="namespaces")

    assert classify(missing, NAMESPACE).error is ErrorClass.GONE
    assert classify(missing).error is ErrorClass.NAMESPACE_MISSING


def test_json_is_read_whatever_its_content_type_says():
    answer = status(504, "Timeout: request did not complete")

    assert classify(Answer(504, answer.body, "text/plain")).message == "Timeout: request did not complete"


def test_an_empty_answer_says_at_least_its_code():
    assert classify(Answer(500, b"")).message == "HTTP 500"


def test_conflicts_name_manager_and_field():
    answer = status(
        409,
        "Apply failed with 2 conflicts",
        causes=[
            cause("FieldManagerConflict", 'conflict with "kubectl" using v1', ".data.k"),
            cause("FieldManagerConflict", 'conflict with "hpa" with subresource "scale" using v1', ".spec.replicas"),
        ],
    )

    failure = classify(answer, CONFIG)

    assert failure.conflicts == (FieldConflict("kubectl", ".data.k"), FieldConflict("hpa", ".spec.replicas"))
    assert failure.fields == (".data.k", ".spec.replicas")
    assert failure.hint


def test_what_cannot_be_changed_comes_with_another_way():
    """H5, H6: another name; of a StatefulSet, to make it anew while its pods run on."""
    answer = status(422, "x", "Invalid", causes=[cause("FieldValueInvalid", "field is immutable", "spec.x")])

    assert "a new name" in classify(answer, ObjectKey("batch", "Job", "web", "j")).hint
    assert "--cascade=orphan" in classify(answer, ObjectKey("apps", "StatefulSet", "web", "s")).hint


@pytest.mark.parametrize(("header", "expected"), [("5", 5), ("", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None)])
def test_retry_after_is_taken_from_the_header(header, expected):
    assert classify(plain(429, "Too many requests", header)).retry_after_s == expected


def test_retry_after_is_taken_from_the_body_too():
    assert classify(status(429, "storage is (re)initializing", retryAfterSeconds=3)).retry_after_s == 3


def test_what_may_succeed_later_is_transient_rule_e4():
    transient = {error for error in ErrorClass if error.transient}

    assert {error.value for error in transient} == {
        "Stale",
        "Throttled",
        "Initializing",
        "Unavailable",
        "Timeout",
        "WebhookDown",
    }
    assert unreachable("connection reset").transient
    assert unreachable("no answer", timed_out=True).error is ErrorClass.TIMEOUT


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'Secret "a" is invalid: data[x]: Invalid value: "c2VjcmV0": must be short',
            'Secret "a" is invalid: data[x]: Invalid value: ***: must be short',
        ),
        ('Invalid value: "a \\"b\\" canary": no', "Invalid value: ***: no"),
        ("spec.x: Invalid value: 5: must be less", "spec.x: Invalid value: ***: must be less"),
        (
            'Invalid value: core.PodTemplateSpec{Env:"canary: x"}: field is immutable',
            "Invalid value: ***: field is immutable",
        ),
        ('Invalid value: {"k":"canary"}: field is immutable', "Invalid value: ***: field is immutable"),
        ('Unsupported value: "canary"', "Unsupported value: ***"),
        ("first\ncanary", "first"),
        (".data.a: expected string, got &value.valueUnstructured{Value:canary}", ".data.a: expected string, got ***"),
        ("GET https://u:canary@host/x failed", "GET https://***@host/x failed"),
    ],
)
def test_values_never_leave_the_agent_rule_p2(text, expected):
    assert redacted(text) == expected


def test_a_message_is_at_most_a_kibibyte_and_whole_characters():
    assert len(redacted("ü" * 5000).encode()) <= 1024
