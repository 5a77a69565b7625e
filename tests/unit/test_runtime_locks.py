"""What two processes could quarrel about: the lock of a data folder, and secrets made once."""

import os
import stat
import subprocess
import sys

import pytest

from shared.runtime.lock import AlreadyRunningError, hold_lock
from shared.runtime.secrets import SecretFileError, content_secret, write_once

HOLDER = """
import sys
from pathlib import Path
from shared.runtime.lock import hold_lock
with hold_lock(Path(sys.argv[1]), "hub"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_told_who_holds_the_lock(tmp_path):
    path = tmp_path / "hub.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"held\n"

        with pytest.raises(AlreadyRunningError, match=str(holder.pid)), hold_lock(path, "hub"):
            pass
        holder.kill()
        holder.wait()

        with hold_lock(path, "hub"):
            assert path.read_text() == f"{os.getpid()}\n"


def test_the_content_secret_is_made_once_and_stays(tmp_path):
    secret = content_secret(tmp_path / "keys")
    path = tmp_path / "keys" / "content.secret"

    assert len(secret) == 32
    assert content_secret(tmp_path / "keys") == secret
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["content.secret"]


def test_of_two_who_make_a_secret_the_first_wins(tmp_path):
    write_once(tmp_path / "s", "first")
    write_once(tmp_path / "s", "second")

    assert (tmp_path / "s").read_text() == "first\n"


def test_a_damaged_secret_is_refused_not_replaced(tmp_path):
    path = tmp_path / "content.secret"
    path.write_text("abc")

    with pytest.raises(SecretFileError, match="backup"):
        content_secret(tmp_path)
    assert path.read_text() == "abc"
