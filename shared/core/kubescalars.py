"""Say what a YAML scalar means to kubectl, which follows neither YAML 1.1 nor 1.2.

`y` and `on` are booleans, `017` and `0o17` are 15, `1e3` is 1000, dates and `12:30` are strings. The rules were
measured with kubectl 1.37; integers beyond 64 bits become floats, as in everything that Kubernetes stores.
"""

from __future__ import annotations

import math
import re
import struct
from decimal import Decimal

Scalar = str | int | float | bool | None

INT64_MIN, INT64_MAX, UINT64_MAX = -(2**63), 2**63 - 1, 2**64 - 1
MAYBE_OTHER = frozenset(["", *"+-.0123456789yYnNtTfFoO~"])
"""What a plain scalar that is no string begins with; nearly all begin with something else."""
PREFIX = "tag:yaml.org,2002:"

_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
}
_NUMBER_START = frozenset("+-0123456789")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))")
# Where a point begins a number, `_` may stand between two digits only.
_BETWEEN_DIGITS = re.compile(r"(?<=[0-9])_(?=[0-9])")
# Longer digits are no number that anybody means, and Python refuses to convert them.
_DIGITS_LIMIT = 400


def resolved(text: str) -> Scalar:
    """Return what a plain scalar (without quotes and tag) means; not finite floats are returned as such."""
    if text[:1] not in MAYBE_OTHER:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in _NUMBER_START:
        return _number(text.replace("_", ""), text)
    if text[0] != ".":
        return text
    digits = _BETWEEN_DIGITS.sub("", text)
    return _float(digits, text) if _FLOAT.fullmatch(digits) else text


def as_json(value: Scalar) -> Scalar:
    """Return a scalar as its JSON form reads back: whole floats are integers, integers beyond 64 bits are floats."""
    if type(value) is int and value > INT64_MAX:
        return float(value)
    if not isinstance(value, float) or not value.is_integer():
        return value
    # The shortest digits, filled up with zeros: 1.2345678901234567e18 prints as 1234567890123456700.
    whole = int(Decimal(repr(value)))
    return whole if INT64_MIN <= whole <= INT64_MAX else value


def key_text(value: Scalar) -> str | None:
    """Return the string that a key becomes, or None for what cannot be a key."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if value <= INT64_MAX else None
    return _float_key(value) if isinstance(value, float) else None


def tagged(tag: str, text: str) -> Scalar:
    """Return what a scalar with an explicit tag means; private tags leave the text alone.

    Raises:
        ValueError: the text does not fit the tag.
    """
    kind = tag.removeprefix(PREFIX) if tag.startswith(PREFIX) else ""
    if kind not in {"null", "bool", "int", "float"}:
        return text
    value = resolved(text)
    if kind == "float" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    wanted = {"null": type(None), "bool": bool, "int": int, "float": float}[kind]
    if type(value) is not wanted:
        raise ValueError(f"{text!r} is no {kind}")
    return value


def _number(digits: str, text: str) -> Scalar:
    if len(digits) > _DIGITS_LIMIT:
        return text
    whole = _INTEGER.fullmatch(digits)
    if whole is not None:
        sign, hexadecimal, binary, octal, decimal = whole.groups()
        base = 16 if hexadecimal else 2 if binary else 8 if octal else 10
        value = int(hexadecimal or binary or octal or decimal, base) * (-1 if sign == "-" else 1)
        if INT64_MIN <= value <= (INT64_MAX if sign else UINT64_MAX):
            return value
    return _float(digits, text) if _FLOAT.fullmatch(digits) else text


def _float(digits: str, text: str) -> Scalar:
    value = float(digits)
    return text if value in {float("inf"), float("-inf")} else value


def _float_key(value: float) -> str:
    """Return `value` as kubectl writes a key: the shortest digits of a 32-bit float in the manner of Go's %g."""
    try:
        (short,) = struct.unpack("f", struct.pack("f", value))
    except OverflowError:
        short = math.copysign(math.inf, value)
    if not math.isfinite(short):
        return ".nan" if math.isnan(short) else ".inf" if short > 0 else "-.inf"
    if short == 0:
        return "-0" if math.copysign(1, short) < 0 else "0"
    text = next(text for text in (f"{short:.{digits}e}" for digits in range(9)) if _is_single(text, short))
    mantissa, _, exponent = text.partition("e")
    if -5 < int(exponent) < 6:  # where Go changes to an exponent
        return format(Decimal(text).normalize(), "f")
    return f"{mantissa}e{exponent}"


def _is_single(text: str, single: float) -> bool:
    return bool(struct.unpack("f", struct.pack("f", float(text)))[0] == single)
