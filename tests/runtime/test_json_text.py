"""The one reader of JSON: a value, or one typed line."""

import pytest

from runtime.errors import InputError
from runtime.json_text import MOST_QUOTED, parse_json, quoted, read_json


class OwnError(InputError):
    pass


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deep"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested too deep"),
        (b'{"a": NaN}', "NaN is no number"),
        (b"[-Infinity]", "-Infinity is no number"),
        (b"\xff\xfe{}", "not UTF-8 at byte 0"),
        (b"1" * 5000, "not valid JSON"),
    ],
)
def test_a_bad_file_is_one_typed_line_that_names_it(tmp_path, content, says):
    path = tmp_path / "given.json"
    path.write_bytes(content)
    with pytest.raises(OwnError) as caught:
        read_json(path, OwnError)
    message = str(caught.value)
    assert message.startswith(str(path)) and says in message
    assert "\n" not in message and len(message) < len(str(path)) + 2 * MOST_QUOTED


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(OwnError, match="no such config file"):
        read_json(tmp_path / "none.json", OwnError, "config file")


def test_good_json_is_read_with_and_without_a_byte_order_mark(tmp_path):
    path = tmp_path / "given.json"
    for text in ('{"a": [1, 2.5, null]}', '\ufeff{"a": [1, 2.5, null]}'):
        path.write_text(text, encoding="utf-8")
        assert read_json(path) == {"a": [1, 2.5, None]}
    assert parse_json('"é"', "here") == "é"


def test_what_is_quoted_stays_short():
    for value in ("x" * 10_000, list(range(10_000)), 10**5000, {"a": {"b": "c" * 999}}):
        assert len(quoted(value)) <= MOST_QUOTED
