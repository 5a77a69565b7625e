"""Every stable code stands in the table for users, and nothing stands there that no program says any more."""

import ast
import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
TABLE = PROJECT / "services" / "ERRORS.md"
CODE = re.compile(r"[a-z]+(-[a-z]+)*\.[a-z0-9]+(-[a-z0-9]+)*")
ROW = re.compile(r"^\| `([a-z0-9.-]+)` \| (.+) \| (.+) \|$", re.MULTILINE)
FINDING_MAKERS = {"Finding", "finding", "_finding", "_refuse", "_refused", "Refusal", "_problem"}
NOT_SAID = {"towline.error", "towline.transient", "towline.permanent"}
"""Of base classes that nobody raises."""
EVENTS = {"facts.py", "fold.py", "presence.py", "desk.py", "ledger.py"}
"""Modules of the auditor that name events, which look like codes."""
FILES = re.compile(r".*\.(yaml|yml|json|html|js|css|lock|log|conf|pid|db|crt|secret|toml|token)|(root|release)\.key")


def sources():
    for folder in ("shared", "services"):
        for path in sorted((PROJECT / folder).rglob("*.py")):
            if "kubesim" not in path.parts:
                yield path, ast.parse(path.read_text())


def literals(node):
    found = (each.value for each in ast.walk(node) if isinstance(each, ast.Constant))
    return {each for each in found if isinstance(each, str) and CODE.fullmatch(each)}


def said(tree):
    """Return the codes that a module gives to errors and findings."""
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.keyword(arg="code", value=value):
                found |= literals(value)
            case ast.Assign(targets=[ast.Name(id="code")], value=value):
                found |= literals(value)
            case ast.ClassDef(bases=[ast.Name(id="StrEnum")], body=body):
                found |= {code for each in body if isinstance(each, ast.Assign) for code in literals(each.value)}
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[first, *_]) if (
                name in FINDING_MAKERS
            ):
                found |= literals(first)
    return found


def rows():
    return {code: (meaning, step) for code, meaning, step in ROW.findall(TABLE.read_text())}


def in_source():
    """Return the codes that are surely said, and everything that looks like one of the same areas."""
    sure, alike = set(), set()
    for path, tree in sources():
        sure |= said(tree)
        if not (path.name in EVENTS and path.parent.name == "auditor"):
            alike |= {each for each in literals(tree) if not FILES.fullmatch(each)}
    sure -= NOT_SAID
    areas = {each.partition(".")[0] for each in sure}
    return sure, {each for each in alike if each.partition(".")[0] in areas} - NOT_SAID


def test_every_code_that_a_program_says_is_explained():
    sure, alike = in_source()

    assert sorted((sure | alike) - set(rows())) == []


def test_every_code_that_is_explained_is_said():
    sure, alike = in_source()

    assert sorted(set(rows()) - sure - alike) == []


def test_every_code_has_a_meaning_and_a_next_step_and_stands_once_in_order():
    listed = [code for code, _, _ in ROW.findall(TABLE.read_text())]

    assert listed == sorted(set(listed))
    assert [code for code, (meaning, step) in rows().items() if not meaning.strip() or not step.strip()] == []
