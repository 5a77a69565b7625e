"""How fast manifests are read: MB/s and the ratio to PyYAML's C loader, in one run: `python -m tests.bench.render.yaml_speed`.

The texts are the YAML files of the histories beside the project that both readers take.
"""

import time

import yaml

from shared.core import kubeyaml
from shared.core.kubelines import quickly
from shared.errors import FindingsError
from tests.bench.table import show
from tests.support.data import data_path
from tests.support.histories import texts_of

ROUNDS = 3


def measure():
    """Print the figures."""
    texts = [each for each in sorted(_texts()) if _both_read(each)]
    size = sum(map(len, texts)) / 1e6
    times = {name: min(_cpu_s(read, texts) for _ in range(ROUNDS)) for name, read in READERS.items()}
    lines = sum(len(each) for each in texts if quickly(each, kubeyaml.LIMITS.nodes, kubeyaml._one_line) is not None)
    show(
        [
            {
                "reader": name,
                "files": len(texts),
                "MB": size,
                "MB/s": size / cpu_s,
                "ratio": times["CSafeLoader"] / cpu_s,
                "read by lines": lines / 1e6 / size if name == "kubeyaml" else "",
            }
            for name, cpu_s in times.items()
        ]
    )


READERS = {
    "CSafeLoader": lambda data: list(yaml.load_all(data, yaml.CSafeLoader)),
    "kubeyaml": lambda data: kubeyaml.documents(data, "x"),
    "full reader alone": lambda data: list(kubeyaml._Builder(data, "x", kubeyaml.LIMITS).documents()),
}


def _texts():
    return {text for path in data_path("replay").glob("*.jsonl.xz") for text in texts_of(path)}


def _both_read(data):
    try:
        for read in READERS.values():
            read(data)
    except (yaml.YAMLError, FindingsError, ValueError):
        return False
    return True


def _cpu_s(read, texts):
    begun = time.process_time()
    for each in texts:
        read(each)
    return time.process_time() - begun


if __name__ == "__main__":
    measure()
