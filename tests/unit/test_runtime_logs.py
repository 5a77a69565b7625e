"""Logs: one line for one event, and no secret in it, whoever wrote the text."""

import io
import json
import logging
import sys

import pytest
import structlog

from shared.bus.identities import BusKeys, new_user_seed
from shared.bus.values import Credentials
from shared.runtime.logs import configure_logging, get_logger


@pytest.fixture
def lines(monkeypatch):
    """A function that returns what was logged so far, parsed: one mapping a line."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    root = logging.getLogger()
    before = root.handlers[:], root.level
    configure_logging("json", "debug")
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    structlog.reset_defaults()
    root.handlers[:], level = before
    root.setLevel(level)


def test_a_commit_message_cannot_forge_a_line(lines):
    """S20"""
    evil = 'fix\n{"level":"error","event":"forged"}\r\x1b[2J\u202eevil\u2028end'

    get_logger().info("revision_observed", subject=evil, **{"key\nforged": {"nested": [evil]}})
    logging.getLogger("library").warning("%s", evil)

    first, second = lines()
    assert first["event"] == "revision_observed"
    for text in (first["subject"], first["key\\u000aforged"]["nested"][0], second["event"]):
        assert text.isprintable()
        assert text.startswith("fix\\u000a{")


def test_console_form_keeps_one_line_too(monkeypatch):
    """S20"""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logging("console", "info")
    get_logger().info("observed", subject="a\nb\x1b[31m")
    structlog.reset_defaults()
    logging.getLogger().handlers.clear()

    assert stream.getvalue().count("\n") == 1
    assert "\x1b[31m" not in stream.getvalue()


def test_secrets_are_removed_by_name_and_by_look(lines, tmp_path):
    """I9, S13"""
    seed, public = new_user_seed()
    jwt = BusKeys.load_or_make(tmp_path).program_credentials("poller").jwt
    pem = "-----BEGIN PRIVATE KEY-----\nMIIEv\n-----END PRIVATE KEY-----"
    log = get_logger()

    log.info("one", token="hunter2-a", nested={"bus_password": "hunter2-b", "list": [{"secret": "hunter2-c"}]})
    log.info("two", url="https://bob:hunter2-d@git.example/x", text=f"with {seed} and {jwt}", key=pem)
    log.info("three", header="Authorization: Bearer hunter2-e", credentials=Credentials(jwt, seed, "_INBOX_x"))
    log.info("four", data=b"hunter2-f", public=public)
    try:
        int(f"cannot use {seed}")
    except ValueError:
        log.exception("five")

    written = json.dumps(lines())
    for secret in ("hunter2", seed, jwt, "MIIEv"):
        assert secret not in written
    assert public in written
    assert "git.example/x" in written


def test_a_long_value_is_cut_and_says_so(lines):
    get_logger().info("big", text="x" * 100_000)

    assert "100000 characters" in lines()[0]["text"]
    assert len(lines()[0]["text"]) < 5000


def deep(levels):
    if levels:
        deep(levels - 1)
    raise ValueError("what went wrong")


def test_a_long_traceback_keeps_its_end_which_says_what_went_wrong(lines):
    """Groups in groups make tracebacks of many thousand characters, and the reason stands last."""
    try:
        deep(500)
    except ValueError as error:
        groups = error
        for number in range(9):
            groups = ExceptionGroup(f"group {number}", [groups])
        get_logger().critical("crashed", exc_info=groups)

    assert "group 8" in lines()[0]["exception"]
    assert "what went wrong" in lines()[0]["exception"]
    assert len(lines()[0]["exception"]) < 5000
