"""The encoding of a text file. Pure.

UTF-8 and byte order marks are certain. Western text is recognized by its isolated high bytes, and
Chinese, Japanese and Korean text by how common its characters are: charset-normalizer, which
detects all other encodings, is unreliable on short files.
"""

import codecs
import re
import unicodedata

SAMPLE = 64_000
"""The number of bytes used for detection."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BINARY = (
    *(b"PK\x03\x04", b"\x89PNG", b"%PDF-", b"\xff\xd8\xff", b"\x1f\x8b", b"7z\xbc\xaf"),
    *(b"\x7fELF", b"\xfd7zXZ", b"\xd0\xcf\x11\xe0"),
)
"""The first bytes of files of other kinds, whatever their names are."""
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_BINARY_SHARE = 0.05
"""The share of control characters above which data is not text."""
_WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
_LOW = re.compile(rb"[\x01-\x1f]")
_LOW_SHARE = 0.25
"""The share of zero bytes, or of other low bytes, which is exceeded in UTF-16 of any script."""
_UNWRITTEN = frozenset({"Cc", "Cn", "Cs"})
"""Categories of characters that no text contains."""
_LAYOUT = "\t\n\x0c\r\x1b\ufeff"
_HIGH = re.compile(rb"[\x80-\xff]")
_LONE = re.compile(rb"(?<![\x80-\xff])(?:[\x80-\xff]|[\xdf-\xff]{2})(?![\x80-\xff])")
"""One high byte, or two that may be lowercase letters, as in `Größe`."""
_WESTERN = frozenset("ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞßŠŒŽŸàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿšœž")
_SIGNS = frozenset("€‚„…‘’“”•–—™«»°§©®·´¡¿£\xa0²³½")
_LEVEL_ONE = {"gb18030": (0xB0, 0xD7), "big5": (0xA4, 0xC6), "cp932": (0x88, 0x97)}
"""Lead bytes of the common ideographs."""
_EAST_ASIAN = ("cp949", "cp932", "gb18030", "big5", "euc_jp")
"""Korean comes first: the bytes of its common syllables are also common Chinese characters."""
CERTAIN = 0.9


def is_text(data: bytes) -> bool:
    """Whether data is text in some encoding. An archive may be named `notes.txt`."""
    if data.startswith(_BINARY):
        return False
    if any(data.startswith(mark) for mark, _ in _MARKS) or _wide(data[:SAMPLE]):
        return True
    sample = data[:SAMPLE]
    if _is_utf_8_with_zeros(sample):
        sample = sample.replace(b"\0", b"")
    return len(_CONTROL.findall(sample)) <= len(sample) * _BINARY_SHARE


def decode(data: bytes) -> tuple[str, bool]:
    """The text, and whether its encoding is certain enough."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace"), True
    if wide := _wide(data[:SAMPLE]):
        return data.decode(wide, errors="replace"), True
    try:
        return data.decode(), True
    except UnicodeDecodeError:
        pass
    encoding, certain = _guess(data[:SAMPLE])
    text = data.decode(encoding, errors="replace")
    return text, certain and "\ufffd" not in text


def _guess(data: bytes) -> tuple[str, bool]:
    if _is_western(data):
        return "cp1252", True
    encoding = max(_EAST_ASIAN, key=lambda each: _commonness(data, each))
    if _commonness(data, encoding) >= CERTAIN:
        return encoding, True
    if _is_damaged_utf_8(data):
        return "utf-8", False
    from charset_normalizer import from_bytes  # few files need it

    found = from_bytes(data).best()
    if found is None:
        return "cp1252", False
    return found.encoding, found.chaos < 0.1 and found.coherence > 0.5


def _wide(data: bytes) -> str:
    """UTF-16 or UTF-32 without a byte order mark; "" for others, which contain few zero bytes.

    In the wrong byte order letters may look like foreign letters, but spaces and digits do not.
    """
    if b"\0" not in data or _is_utf_8_with_zeros(data):
        return ""
    plain = {encoding: _plain_characters(data, encoding) for encoding in _WIDE}
    best = max(plain, key=lambda encoding: plain[encoding])
    return best if plain[best] > 0 else ""


def _is_utf_8_with_zeros(data: bytes) -> bool:
    """Whether data are UTF-8 in which zero bytes separate names, or are a few wrong characters."""
    most = len(data) * _LOW_SHARE
    if data.count(0) > most or len(_LOW.findall(data)) > most:
        return False
    return _beginning(data, "utf-8") is not None


def _plain_characters(data: bytes, encoding: str) -> float:
    """The share of ASCII characters of a text; 0 if it is no text in this encoding."""
    text = _beginning(data, encoding)
    if not text:
        return 0.0
    is_strange = any(unicodedata.category(c) in _UNWRITTEN and c not in _LAYOUT for c in set(text))
    return 0.0 if is_strange else sum(c.isascii() for c in text) / len(text)


def _beginning(data: bytes, encoding: str) -> str | None:
    """The text of data that may end within a character; None if they have another encoding."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(data)
    except UnicodeDecodeError:
        return None


def _is_damaged_utf_8(data: bytes) -> bool:
    """Whether most, but not all, of the non-ASCII characters are UTF-8."""
    text = data.decode(errors="replace")
    damaged = text.count("\ufffd")
    foreign = sum(not c.isascii() for c in text) - damaged
    return foreign >= damaged


def _is_western(data: bytes) -> bool:
    high = len(_HIGH.findall(data))
    if sum(map(len, _LONE.findall(data))) < high * 0.6:
        return False
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        return False
    return all(c in _WESTERN or c in _SIGNS for c in text if c > "\x7f") and not _INSIDE.search(
        text
    )


_INSIDE = re.compile(r"\w[£§©®¡¿³]\w|[£¿¡]\w[a-z]")
"""Symbols inside words are letters of another alphabet, misread."""


def _commonness(data: bytes, encoding: str) -> float:
    """The share of a language's common characters among the non-ASCII ones."""
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if len(data) < SAMPLE or error.start < SAMPLE - 8:
            return 0.0
        text = data[: error.start].decode(encoding)
    foreign = [char for char in text if char > "\x7f"]
    common = sum(_is_common(char, encoding) for char in foreign)
    return common / len(foreign) if foreign else 0.0


def _is_common(char: str, encoding: str) -> bool:
    if "\u3000" <= char <= "\u3002" or "\uff01" <= char <= "\uff5e" or char in "「」『』“”…—":
        return True
    if encoding == "cp949":
        return "가" <= char <= "힣" and _lead(char, "euc_kr") > 0
    if encoding in ("cp932", "euc_jp") and "ぁ" <= char <= "ヿ":
        return True
    first, last = _LEVEL_ONE["cp932" if encoding == "euc_jp" else encoding]
    return first <= _lead(char, "cp932" if encoding == "euc_jp" else encoding) <= last


def _lead(char: str, encoding: str) -> int:
    try:
        encoded = char.encode(encoding)
    except UnicodeEncodeError:
        return 0
    return encoded[0] if len(encoded) == 2 else 0
