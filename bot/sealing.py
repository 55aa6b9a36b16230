"""Encryption at rest: seals a secret for one row, so that no other row opens it.

AES-256-GCM. A sealed text is `v1.<key id>.<base64 of nonce and ciphertext>`; the row's identity is
the associated data. The first key seals; all keys open.
"""

import base64
import binascii
import hashlib
import json
import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bot.errors import BotError, ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VARIABLE = "BOT_ENCRYPTION_KEYS"
KEY_BYTES = 32
NONCE_BYTES = 12
HOW_TO_GENERATE = "generate one with `bot keys generate`"


class Unreadable(BotError):
    """A sealed text cannot be opened; its message says why and never holds the text."""


class Keyring:
    """The deployment's keys, newest first. Without keys, sealing and opening raise ConfigError."""

    def __init__(self, keys: Sequence[bytes] = ()) -> None:
        self._keys = {key_id(key): key for key in keys}

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the keys, newest first."""
        return tuple(self._keys)

    def seal(self, text: str, *row: str) -> str:
        """Encrypt a text for the row that `row` identifies. Raises ConfigError without a key."""
        newest = self._newest()
        nonce = os.urandom(NONCE_BYTES)
        sealed = _cipher(self._keys[newest]).encrypt(nonce, text.encode(), _identity(row))
        return f"v1.{newest}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, *row: str) -> str:
        """Decrypt what was sealed for the same row. Raises Unreadable, or ConfigError without
        keys."""
        from cryptography.exceptions import InvalidTag

        self._newest()
        id, data = _parse(sealed)
        if id not in self._keys:
            raise Unreadable(f"sealed with key {id}, which is not in {VARIABLE}")
        nonce, body = data[:NONCE_BYTES], data[NONCE_BYTES:]
        try:
            return _cipher(self._keys[id]).decrypt(nonce, body, _identity(row)).decode()
        except InvalidTag:
            raise Unreadable("altered, or copied from another row") from None

    def is_current(self, sealed: str) -> bool:
        """Whether a text was sealed with the newest key."""
        return sealed.startswith(f"v1.{self._newest()}.")

    def _newest(self) -> str:
        if not self._keys:
            raise ConfigError(VARIABLE, f"is not set, and secrets are stored; {HOW_TO_GENERATE}")
        return next(iter(self._keys))


def generate_key() -> str:
    """A new random key, as `BOT_ENCRYPTION_KEYS` takes it."""
    return base64.urlsafe_b64encode(os.urandom(KEY_BYTES)).decode().rstrip("=")


def parse_keys(text: str) -> tuple[bytes, ...]:
    """Keys separated by commas or spaces. Raises ValueError without quoting any of them."""
    keys = tuple(_parse_key(word, at) for at, word in enumerate(split_keys(text), 1))
    if len(set(keys)) < len(keys):
        raise ValueError("contains the same key twice")
    return keys


def split_keys(text: str) -> list[str]:
    """The single keys of the variable's value, as they were written."""
    return text.replace(",", " ").split()


def key_id(key: bytes) -> str:
    """The public name of a key, which reveals nothing of it."""
    return hashlib.sha256(b"threadbot key id\0" + key).hexdigest()[:8]


def _parse_key(word: str, at: int) -> bytes:
    try:
        key = _decode(word)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError(f"number {at} is not a key of {KEY_BYTES} bytes: {HOW_TO_GENERATE}")
    if len(set(key)) < 8:
        raise ValueError(f"number {at} is not random: {HOW_TO_GENERATE}")
    return key


def _parse(sealed: str) -> tuple[str, bytes]:
    found = re.fullmatch(r"v1\.([0-9a-f]{8})\.([A-Za-z0-9_=-]+)", sealed)
    try:
        data = _decode(found[2]) if found else b""
    except ValueError:
        data = b""
    if not found or len(data) <= NONCE_BYTES:
        raise Unreadable("not a sealed text")
    return found[1], data


def _decode(text: str) -> bytes:
    """Base64 in either alphabet, with or without padding. Raises ValueError."""
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None


def _identity(row: Sequence[str]) -> bytes:
    return json.dumps(row).encode()


def _cipher(key: bytes) -> "AESGCM":
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)
