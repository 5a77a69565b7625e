"""The texts in the histories of real repositories."""

import json
import lzma


def texts_of(path):
    """Yield the contents of the YAML files of a history, as bytes, as often as they stand there."""
    with lzma.open(path, "rt") as lines:
        for line in lines:
            todo = [json.loads(line)]
            while todo:
                each = todo.pop()
                if isinstance(each, str) and "\n" in each and ": " in each:
                    yield each.encode()
                elif isinstance(each, dict | list):
                    todo += each.values() if isinstance(each, dict) else each
