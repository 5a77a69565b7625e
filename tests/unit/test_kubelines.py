"""The quick reader of plain block style reads what the full reader reads, or leaves it alone."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yaml import YAMLError

from shared.core import kubeyaml
from shared.core.kubelines import quickly
from shared.errors import FindingsError
from tests.support.data import data_path
from tests.support.histories import texts_of

USUAL = """\
# A comment
apiVersion: v1
kind: ConfigMap   # another
metadata:
  name: web
  labels: {app: web, "tier": 'gold'}
  annotations:
    a.b/c: "yes"
    description: words that
      go on, and on
    none:
    words: 'it''s'
    long: 'goes on

      and isn''t

      over yet'
    longer: "goes \\\" on\\n
      over"
data:
  number: 12
  port: &port 8080
  again: *port
  text: |

    first

      second
  bare: |-
    x
  kept: |+
    y

list:
- a: 1
  b: [1, {c: d}]
-   c: 2
- - not
---
items:
  -
    a: b
  - # c
    - on
  - "q\\n"
"""
WORDS = st.sampled_from(
    ["a", "b", "yes", "on", "12", "1e3", "0x1F", ".5", "~", "null", "-", "--", "-1", "|", ">", "x y", "é", "a.b/c"]
)
VALUES = st.sampled_from(
    ["", "v", "two words", "12", "017", "yes", "~", '"q"', "'it''s'", '"a\\tb"', '"open', "|", "|-", "|+", ">", "{}", "[]", "[a, {b: c}]", "{a: b", "{a: b, a: c}", "{[a]: b}", "{~: b}",
     "&x v", "*x", "!t v", "v # c", "# c", "v #c", "v: w", "v:", "-", "- v", "?", "a\tb", " v ", "<<", ".inf", "1_0", "99999999999999999999", "% v", "@v", "`v", "---", "...", "v,", "\x85", "\u2028", "é"]
)  # fmt: skip
LINES = st.one_of(
    st.builds("{}{}: {}".format, st.sampled_from(["", " ", "  ", "    ", "- ", "  - ", "-  ", "- - "]), WORDS, VALUES),
    st.builds("{}{}:".format, st.sampled_from(["", "  ", "    ", "- ", "  - "]), WORDS),
    st.builds("{}- {}".format, st.sampled_from(["", "  ", "    "]), VALUES),
    st.builds("{}{}".format, st.sampled_from(["", " ", "  ", "    ", "\t"]), VALUES),
    st.sampled_from(
        [
            "---",
            "--- v",
            "...",
            "# c",
            "  # c",
            "",
            "  ",
            "-",
            "  -",
            "%YAML 1.1",
            "<<: {a: b}",
            "? a",
            '"k": v',
            "'k:l': v",
            "\ufeff",
        ]
    ),
)
PATIENT = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}  # on a busy machine making texts is slow
USUAL_LINES = st.builds("{}{}: v".format, st.sampled_from(["", "", "  ", "- "]), st.sampled_from("abcdef"))
TEXTS = (
    st.one_of(
        st.lists(LINES, max_size=9),
        # One line that may be anything is enough to differ by; many are never read quickly.
        st.builds(
            lambda usual, line, place: [*usual[:place], line, *usual[place:]],
            st.lists(USUAL_LINES, max_size=4),
            LINES,
            st.integers(0, 4),
        ),
    )
    .map("\n".join)
    .map(lambda text: f"{text}\n")
)


def full(data):
    """Return what the full reader reads, or None for an error."""
    builder = kubeyaml._Builder(data, "x", kubeyaml.LIMITS)
    try:
        found = list(builder.documents())
    except (YAMLError, FindingsError):
        return None
    return None if builder.findings else found


def quick(data, nodes=1_000_000, **limits):
    return quickly(data, nodes, kubeyaml._one_line, **limits)


def same(one, other):
    return one == other and json.dumps(one) == json.dumps(other)


def test_what_manifests_are_written_in_is_read_quickly():
    usual = USUAL.replace("- - not\n", "").encode()

    assert same(quick(usual), full(usual))
    assert quick(usual)[0][1]["data"]["text"] == "\nfirst\n\n  second\n"


@settings(max_examples=600, **PATIENT)
@given(TEXTS)
def test_whatever_is_read_quickly_is_read_the_same_in_full(text):
    data = text.encode()
    found = quick(data)

    assert found is None or same(found, full(data))


@settings(max_examples=400, **PATIENT)
@given(
    st.lists(st.sampled_from(USUAL.splitlines()), max_size=14),
    st.integers(0, 400),
    st.text("a:-#|&*'\"[]{} \t\n", max_size=3),
)
def test_shuffled_and_damaged_manifests_are_read_the_same(lines, place, added):
    text = "\n".join(lines)
    data = f"{text[:place]}{added}{text[place:]}\n".encode()
    found = quick(data)

    assert found is None or same(found, full(data))


def test_every_text_of_the_histories_is_read_the_same():
    """4,900 texts of six repositories; nine of ten are read quickly."""
    quickly_read = 0
    texts = {text for path in data_path("replay").glob("*.jsonl.xz") for text in texts_of(path)}
    for data in texts:
        found = quick(data)
        quickly_read += found is not None

        assert found is None or same(found, full(data))
    assert quickly_read > 0.85 * len(texts)


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("a: 1\n" * 3, {"nodes": 8}),
        ("a: [1, 2, 3, 4]\n", {"nodes": 6}),
        ("---\na: 1\n" * 4, {"documents": 3}),
        ("a:\n b:\n  c: 1\n", {"depth": 2}),
        ("a:\n b: [[1]]\n", {"depth": 3}),
    ],
)
def test_what_exceeds_a_limit_is_left_to_the_full_reader(text, limits):
    assert quick(text.encode(), **limits) is None


def test_mistakes_are_left_to_the_full_reader_which_says_where():
    with pytest.raises(FindingsError) as refused:
        kubeyaml.documents(b"a: 1\nb: 2\na: 3\n", "x.yaml")

    assert [(each.code, each.line) for each in refused.value.findings] == [("yaml.duplicate-key", 3)]
