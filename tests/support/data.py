"""The real inputs beside the project: case sets and replay series of real repositories."""

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


def data_path(name: str) -> Path:
    """Return the path of one input; skip the test when it is not on this machine."""
    folder = Path(os.environ.get("TOWLINE_TEST_DATA") or PROJECT.parent / "shared" / "data")
    path = folder / name
    if not path.exists():
        pytest.skip(f"needs {name} in {folder} (name another folder with TOWLINE_TEST_DATA)")
    return path


def replayed(series: str, folder: Path, upto: int | None = None) -> Path:
    """Write the first `upto` commits of a series into a bare repository in `folder`, once, and return its path."""
    out = folder / f"{series}-{upto or 'all'}.git"
    if not out.exists():
        spec = importlib.util.spec_from_file_location("replay_to_git", data_path("replay_to_git.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.replay(str(data_path(f"replay/{series}.jsonl.xz")), str(out), upto)
    return out


@pytest.fixture(scope="session")
def replay(tmp_path_factory) -> Callable[..., Path]:
    """A function: name of a series, number of commits (all by default) → path of a bare repository, made once a session."""
    folder = tmp_path_factory.mktemp("replay")
    return lambda series, upto=None: replayed(series, folder, upto)
