"""A table of hostile JSON values, and every place of a JSON document that one of them can be put into."""

import copy
import json

VALUES = (
    '"x"', '""', '"1"', "null", "true", "[]", "[1]", "{}", '{"a": 1}', "NaN", "Infinity", "-Infinity",
    "1e400", "1" + 400 * "0", "-1" + 400 * "0", "9" * 5000, "1e300", "-1e300", "9.9e29", "-9.9e29", "1e-320",
    "-1", "0", "0.5", "2147483648", "9007199254740993", '"\\ud800"', '"\\u001b[2J\\u0007"',
    '"\\nganvas: all is well"', 20 * "[" + 20 * "]", 20_000 * "[" + 20_000 * "]",
    '"0001-01-01T00:00:00+23:59"', '"9999-12-31T23:59:59-23:59"',
)  # fmt: skip
"""As JSON texts: some of them are no numbers or text that Python or UTF-8 could hold."""


def label(text):
    """A value's text, short enough for a test's name."""
    return text if len(text) <= 30 else f"{text[:10]}...{len(text)}"


def paths(document, path=()):
    """The keys that lead to each value in a JSON document, the document itself first."""
    yield path
    if isinstance(document, dict):
        for key, value in document.items():
            yield from paths(value, (*path, key))
    elif isinstance(document, list):
        for i, value in enumerate(document[:2]):
            yield from paths(value, (*path, i))


def replaced(document, path, text):
    """The document as JSON text with `text` where `path` leads."""
    if not path:
        return text
    document = copy.deepcopy(document)
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = "<here>"
    return json.dumps(document).replace('"<here>"', text)


def leaves_replaced(document, text, keep=()):
    """The document as JSON text with `text` for each value that holds no others, except of keys in `keep`."""

    def all_of(value):
        if isinstance(value, dict) and value:
            return {key: entry if key in keep else all_of(entry) for key, entry in value.items()}
        return [all_of(entry) for entry in value] if isinstance(value, list) and value else "<here>"

    return json.dumps(all_of(document)).replace('"<here>"', text)
