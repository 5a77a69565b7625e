"""Run `towline import` as people do, on repositories that a test writes down."""

import json

from shared.core.kubeyaml import documents
from tests.support.command import run

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {text: hello}\n"


def imported(tool, source, out, *more, code=0):
    """Return the report of an import."""
    return json.loads(run("import", tool, source, "--out", out, *more, "--report", "json", code=code).stdout)


def read(path):
    """Return what a YAML file of one document says."""
    return documents(path.read_bytes(), str(path))[0].value


def states(report):
    """Return the state of each app on each cluster."""
    return {(each["app"], each["cluster"]): each["state"] for each in report["apps"]}
