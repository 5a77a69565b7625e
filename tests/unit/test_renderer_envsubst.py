"""`${name}` and its operators, as Flux fills them in; what stands in the tables was answered by Flux's own code."""

import json

import pytest

from services.renderer.envsubst import SubstitutionError, expanded, names_in
from tests.support.data import data_path

VARIABLES = {
    "a": "abcABC123",
    "path": "/home/bozo/ideas",
    "empty": "",
    "uml": "äöü",
    "one": "1",
}


def test_every_case_of_flux_is_filled_in_as_there():
    for line in data_path("envsubst_flux.jsonl").read_text().splitlines():
        case = json.loads(line)
        given, expected = case["input"], case["expected"]
        try:
            found, error = expanded(given["template"], given["vars"], strict=given["strict"]), False
        except SubstitutionError:
            found, error = "", True

        assert (found, error) == (expected["output"], expected["error"] is not None), case


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$a $ $$ $${a} ${a}$", "$a $ $ ${a} abcABC123$"),
        ("${none}|${empty}|${none:-x y}|${empty:=z}|${none=}", "||x y|z|"),
        ("${none:+w}|${a:+w}|${none:?w}", "w|abcABC123|w"),
        ("${none:=1${one}${a^^}2}", "11ABCABC1232"),
        ("${#a} ${#none} ${#uml}", "9 0 6"),
        ("${a:3} ${a:-3} ${a:3:2} ${a:1:-1} ${a: -3}", "ABC123 abcABC123 AB bcABC12 abcABC123"),
        ("${a:99}|${a:2:99}|${a:x}|${a:0:0}|${uml:0:2}", "|cABC123|abcABC123||ä"),
        ("${path#*/} ${path##*/} ${path%/*} ${path%%/*}", "home/bozo/ideas ideas /home/bozo "),
        (
            "${a#[a-c]b} ${a#[^x]} ${a%[1-3]?} ${a%?2*} ${a#[} ${a#\\a}",
            "cABC123 bcABC123 abcABC123 abcABC abcABC123 bcABC123",
        ),
        (
            "${path/o/0} ${path//o/0} ${path/#\\/home/~} ${path/%ideas/x}",
            "/h0me/bozo/ideas /h0me/b0z0/ideas ~/bozo/ideas /home/bozo/x",
        ),
        ("${path//o/} ${path/#\\/home/}", "/hme/bz/ideas /home/bozo/ideas"),
        ("${uml^} ${uml^^} ${a,} ${a^} ${a,^}", "Äöü ÄÖÜ abcABC123 AbcABC123 abcABC123"),
        ("${a/${one}/${one}${one}x}", None),
        ("${}", None),
        ("${a", None),
        ("${a-b}", None),
        ("${a:}", None),
        ("${a^^^}", None),
        ("${a/b}", None),
        ("${a.b}", None),
    ],
)
def test_operators(text, expected):
    if expected is None:
        with pytest.raises(SubstitutionError, match="is no expression"):
            expanded(text, VARIABLES)
    else:
        assert expanded(text, VARIABLES) == expected


def test_strict_wants_what_is_read_to_be_set_and_lets_defaults_be():
    assert expanded("${none:=x}${empty}", VARIABLES, strict=True) == "x"
    with pytest.raises(SubstitutionError, match="none is not set"):
        expanded("${#none}", VARIABLES, strict=True)


def test_a_part_that_cuts_a_character_is_refused():
    with pytest.raises(SubstitutionError, match="cuts a character"):
        expanded("${uml:1}", VARIABLES)


def test_patterns_cost_no_more_than_their_length():
    text = "a" * 400

    assert expanded("${x%" + "*a" * 50 + "b}", {"x": text}) == text


def test_names_are_found_wherever_they_may_count():
    assert names_in("${a} ${#b_1} $c $${d} ${e:=${f}}") == {"a", "b_1", "d", "e", "f"}
