"""JSON from a server is parsed in bounded memory, however its characters and values are spread."""

import json
from contextlib import suppress

import pytest

from bot.engines import size
from bot.engines.parsing import parse
from bot.engines.size import MIB, PARSED_BYTES, parsed_size, size_of
from bot.engines.transport import ResponseTooLarge

EMOJI = "😀".encode()
ESCAPED = b"\\ud83d\\ude00"
TEXT = b"x" * MIB


def listed(*values: bytes) -> bytes:
    return b"[" + b",".join(values) + b"]"


SHAPES = {
    "ascii": b'"' + TEXT + b'"',
    "one emoji": b'"' + TEXT + EMOJI + b'"',
    "one escaped emoji": b'"' + ESCAPED + TEXT + b'"',
    "one Chinese character": b'"' + TEXT + "中".encode() + b'"',
    "quotes and backslashes": b'"' + b'\\"\\\\' * 100_000 + EMOJI + b'"',
    "emoji": b'"' + EMOJI * 100_000 + b'"',
    "latin": b'"' + "é".encode() * 100_000 + b'"',
    "short strings": listed(*[b'"' + EMOJI + b'"'] * 50_000),
    "wide keys": b"{" + b",".join(b'"%d%s":1' % (n, EMOJI) for n in range(50_000)) + b"}",
    "objects": listed(*[b'{"":0}'] * 50_000),
    "lists": listed(*[b"[]"] * 50_000),
    "numbers": listed(*[b"1.5"] * 50_000),
    "an image and an emoji": listed(b'"' + TEXT + b'"', b'"' + EMOJI + b'"'),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_value_takes_at_most_the_size_that_was_estimated(
    shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(size, "PARSED_BYTES", 0)  # so that every string is counted by itself
    data = SHAPES[shape]
    assert size_of(json.loads(data)) <= parsed_size(data)


def test_a_wide_character_counts_for_its_own_string_only() -> None:
    image, text = b'"' + b"x" * (9 * MIB) + b'"', b'"' + EMOJI + b'"'
    assert parse(bytearray(listed(image, text)))[1] == EMOJI.decode()
    for wide in (EMOJI, ESCAPED):
        with pytest.raises(ResponseTooLarge):
            parse(bytearray(b'"' + b"x" * (9 * MIB) + wide + b'"'))


def test_a_body_is_not_kept_by_the_error() -> None:
    for body in (b"[" * PARSED_BYTES, b'"' + TEXT, b'{"a": 1}'):
        data = bytearray(body)
        with suppress(ValueError, ResponseTooLarge):
            parse(data)
        assert not data


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":"\\ud83d"}',
        b'\xef\xbb\xbf{"a":1}',
        '{"a":1}'.encode("utf-16"),
        b'{"a":' * 300 + b"1" + b"}" * 300,
        b'{"a":NaN,"b":1e999,"a":-0}',
        b' {"a":"\\u0000"}\n',
    ],
)
def test_small_json_is_read_as_python_reads_it(data: bytes) -> None:
    assert repr(parse(data)) == repr(json.loads(data))


def test_incomplete_characters_are_replaced() -> None:
    assert parse(b'{"a":"\xf0\x9f"}') == {"a": "\ufffd"}


IMAGE = b'"%b"' % (b"x" * size.SMALL_BYTES)
"""Makes a text a long one."""


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (b"a \\ud83d", "a \ufffd"),
        (b"\\ud83d\\ud83d\\ude00\\ude00", "\ufffd😀\ufffd"),
        (b"\\\\\\uDE00 \\n", "\\\ufffd \n"),
        ("中".encode() + b"\\ud83d", "中\ufffd"),
        (b"a\xf0\x9f b \xff", "a b "),
    ],
    ids=["high", "pairs", "low behind a backslash", "wide", "no UTF-8"],
)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["", "marked"])
def test_a_long_text_with_incomplete_characters_is_read(
    text: bytes, read: str, mark: bytes
) -> None:
    parsed = parse(bytearray(mark + listed(b'"%b"' % text, IMAGE)))
    assert parsed == [read, "x" * size.SMALL_BYTES]


@pytest.mark.parametrize("data", [b"", b"{} x", b'"\x01"', b"<html>", b"[1,]", b"'a'"])
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(data)
