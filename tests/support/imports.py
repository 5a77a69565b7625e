"""Run `towline import` as people do, on repositories that a test writes down."""

import json
import subprocess
import sys
from pathlib import Path

from shared.core.kubeyaml import documents

PROJECT = Path(__file__).resolve().parents[2]
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {text: hello}\n"


def written(folder, files):
    """Write files of a repository, and return its folder."""
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return folder


def run(tool, source, out, *more):
    """Run the command, and return what became of it."""
    words = [sys.executable, "-m", "services.cli", "import", tool, str(source), "--out", str(out), *more]
    return subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=False)


def imported(tool, source, out, *more, code=0):
    """Return the report of an import."""
    done = run(tool, source, out, *more, "--report", "json")
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def read(path):
    """Return what a YAML file of one document says."""
    return documents(path.read_bytes(), str(path))[0].value


def states(report):
    """Return the state of each app on each cluster."""
    return {(each["app"], each["cluster"]): each["state"] for each in report["apps"]}
