"""YAML as kubectl reads it, within limits, with places (S5)."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.renderer.finish import Piece, _flattened, finished
from shared.core.kubeyaml import LIMITS, Limits, documents
from shared.errors import FindingsError
from tests.support.data import data_path


def values(text: str, limits: Limits = LIMITS):
    return [document.value for document in documents(text.encode(), "a.yaml", limits=limits)]


def one_finding(text: str | bytes, limits: Limits = LIMITS):
    with pytest.raises(FindingsError) as raised:
        documents(text if isinstance(text, bytes) else text.encode(), "a.yaml", limits=limits)
    (finding,) = raised.value.findings
    return finding


SCALARS = {
    "y": True, "NO": False, "on": True, "~": None, "": None, "017": 15, "0o17": 15, "09": 9, "1_000": 1000,
    "1e3": 1000, "1.0": 1, "-0.0": 0, "1.10": 1.1, "0x1F": 31, "0b11": 3, "12:30": "12:30", "2026-01-02": "2026-01-02",
    "=": "=", "<<": "<<", "NaN": "NaN", "1e400": "1e400", "0o8": "0o8", "9223372036854775807": 2**63 - 1,
    ".5_0": 0.5, "._5": "._5", ".5__0": ".5__0", ".5_e3": ".5_e3", ".1_2e1_0": 1200000000,
    "9223372036854775808": float(2**63), "!!str 5": "5", "!!float 1": 1, "!!binary aGk=": "hi", "!x 5": "5", '"5"': "5",
}  # fmt: skip


@pytest.mark.parametrize(("text", "wanted"), SCALARS.items(), ids=SCALARS)
def test_scalars_are_what_kubectl_makes_of_them(text, wanted):
    (value,) = values(f"v: {text}\n")

    assert value == {"v": wanted}
    assert type(value["v"]) is type(wanted)


KEYS = {"yes": "true", "1e3": "1000", "1e6": "1e+06", "0x1F": "31", "1.10": "1.1", "2020-01-01": "2020-01-01"}


@pytest.mark.parametrize(("text", "wanted"), KEYS.items(), ids=KEYS)
def test_keys_become_the_strings_that_kubectl_makes_of_them(text, wanted):
    assert values(f"{text}: v\n") == [{wanted: "v"}]


def edge_cases():
    try:
        lines = data_path("yaml_edge_kubectl.jsonl").read_text().split("\n")
    except pytest.skip.Exception:
        return []
    return [json.loads(line) for line in lines if line]


def wide_integers_as_floats(value):
    if isinstance(value, dict):
        return {key: wide_integers_as_floats(part) for key, part in value.items()}
    if isinstance(value, list):
        return [wide_integers_as_floats(part) for part in value]
    return float(value) if isinstance(value, int) and abs(value) > 2**63 else value


@pytest.mark.parametrize("case", edge_cases(), ids=lambda case: case["case"])
def test_texts_are_read_as_kubectl_reads_them(case):
    text = case["input"]
    if isinstance(text, dict):
        text = "a: " + "[" * 20_000 + "]" * 20_000
    wanted = case["expected"]["objects"]
    try:
        found = [Piece(value) for value in values(text)]
        objects = [piece.manifest for piece in _flattened(each for each in found if isinstance(each.manifest, dict))]
        if case["expected"]["error"] and all(isinstance(each.manifest, dict) for each in found):
            finished(found, "default")
    except FindingsError:
        assert case["expected"]["error"]
    else:
        assert objects == wide_integers_as_floats(wanted)
        assert not case["expected"]["error"] or "scalar doc" in case["case"]


BAD = {
    "duplicate key": ("a: 1\nb:\n  c: 1\n  c: 2\n", "yaml.duplicate-key", 4, 3),
    "duplicate key on one line": ("a: 1\nb: {c: 1, c: 2}\n", "yaml.duplicate-key", 2, 11),
    "duplicate key in quotes": ("a: 1\n'a': 2\n", "yaml.duplicate-key", 2, 1),
    "two types that become one key": ("true: 1\n'true': 2\n", "yaml.duplicate-key", 2, 1),
    "tab": ("a:\n\tb: 1\n", "yaml.syntax", 2, 1),
    "template": ("a: 1\nb: {{ x }}\n", "yaml.bad-key", 2, 5),
    "cycle": ("a: &a [*a]\n", "yaml.cycle", 1, 8),
    "unknown alias": ("a: *x\n", "yaml.syntax", 1, 4),
    "alias of another document": ("a: &x 1\n---\nb: *x\n", "yaml.syntax", 3, 4),
    "merge of a number": ("a:\n  <<: 5\n", "yaml.bad-merge", 2, 7),
    "infinity": ("a: .inf\n", "yaml.no-json", 1, 4),
    "tag that does not fit": ("a: !!int x\n", "yaml.bad-tag", 1, 4),
    "null key": ("a: {null: 1}\n", "yaml.bad-key", 1, 5),
    "control character": ("a: 1\nb: x\x07\n", "yaml.syntax", 2, 5),
    "50,000 brackets": ("a: " + "[" * 50_000, "yaml.too-deep", 1, 103),
    "conflict markers": ("a: 1\n<<<<<<< HEAD\nb: 2\n", "yaml.syntax", 3, 1),
}


@pytest.mark.parametrize(("text", "code", "line", "column"), BAD.values(), ids=BAD)
def test_mistakes_are_named_with_line_and_column(text, code, line, column):
    finding = one_finding(text)

    assert (finding.file, finding.code, finding.line, finding.column) == ("a.yaml", code, line, column)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("a:\n\tb: 1\n", "indent with spaces"),
        ("a: x\nb: {{x}} y\n", "in quotes"),
        ("a: 1\n<<<<<<< HEAD\nb: 2\n", "merge conflict"),
    ],
)
def test_common_mistakes_get_a_hint(text, hint):
    assert hint in one_finding(text).hint


def test_all_duplicate_keys_are_named_at_once():
    with pytest.raises(FindingsError) as raised:
        values("a: 1\na: 2\nb: {c: 1, c: 2}\n")

    assert [(finding.line, finding.column) for finding in raised.value.findings] == [(2, 1), (3, 11)]


def test_aliases_that_expand_to_millions_are_refused():
    levels = "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))

    assert one_finding("a: &a [x,x,x,x,x,x,x,x,x]\n" + levels).code == "yaml.too-large"


def test_limits_of_bytes_documents_and_nodes_hold():
    assert one_finding("a: 12345678\n", Limits(file_bytes=5)).code == "yaml.too-large"
    assert one_finding("a: 1\n---\n" * 4, Limits(documents=3)).code == "yaml.too-many"
    assert one_finding("[a, b, c, d, e]\n", Limits(nodes=3)).code == "yaml.too-large"


def test_a_pointer_of_git_lfs_is_no_yaml():
    assert one_finding("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 2\n").code == "yaml.lfs-pointer"


def test_bytes_that_are_no_text_are_refused_with_their_place():
    finding = one_finding(b"a: 1\nb: \xff\xfe\n")

    assert (finding.code, finding.line, finding.column) == ("yaml.syntax", 2, 4)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_encodings_with_a_byte_order_mark_are_read(encoding):
    (document,) = documents("a: hé\n".encode(encoding), "a.yaml")

    assert document.value == {"a": "hé"}


def test_json_is_read_with_surrogate_pairs():
    assert values('{"a": "\\ud83d\\ude00", "b": "\\\\ud83d"}') == [{"a": "😀", "b": "\\ud83d"}]


def test_merges_come_in_the_order_of_the_keys():
    assert values("{<<: {k: 2, z: 3}, k: 1}") == [{"k": 1, "z": 3}]
    assert values("{k: 1, <<: {k: 2, z: 3}}") == [{"k": 2, "z": 3}]
    assert values("{<<: [{a: 1}, {a: 2, b: 3}]}") == [{"a": 1, "b": 3}]


def test_a_value_behind_two_aliases_is_two_values():
    (value,) = values("a: &x {b: [1]}\nc: *x\n")
    value["a"]["b"].append(2)

    assert value["c"] == {"b": [1]}


def test_empty_documents_are_left_out_and_counted():
    first, second = documents(b"---\na: 1\n---\n---\n# nothing\n---\nb: 2\n", "a.yaml")

    assert (first.at(), second.at()) == ((2, 1), (7, 1))


def test_places_are_found_by_path():
    (document,) = documents(b"a:\n  - x: 1\n  - q: {z: 2}\nb: &b {c: 1}\nd: *b\ntrue: 1\n", "a.yaml")

    assert document.at(("a",)) == (1, 1)
    assert document.at(("a", 1, "q", "z")) == (3, 9)
    assert document.at(("a", 0, "nothing", "there")) == (2, 5)
    assert document.at(("d", "c")) == (4, 8)
    assert document.at(("true",)) == (6, 1)
    assert str(document.finding("x.y", "is wrong", ("a", 1))) == "a.yaml:3:5: is wrong [x.y]"


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text(st.characters(min_codepoint=32, codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab_0-.yn", min_size=1), inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_json_reads_as_itself(value):
    text = json.dumps({"v": value}, ensure_ascii=True)

    assert values(text) == [{"v": value}]


@given(st.binary(max_size=200))
def test_any_bytes_give_values_or_findings(data):
    with suppress(FindingsError):
        documents(data, "a.yaml", limits=Limits(nodes=1000))
