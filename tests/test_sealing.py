"""Sealed texts: bound to their row, to a key, and to every bit."""

import base64

import pytest

from bot.errors import ConfigError
from bot.sealing import Keyring, Unreadable, generate_key, key_id, parse_keys

OLD, NEW = parse_keys(f"{generate_key()} {generate_key()}")


def test_a_text_comes_back_in_its_own_row_only() -> None:
    ring = Keyring([NEW])
    sealed = ring.seal("xoxb-sécret", "installation", "T1")
    assert "xoxb" not in sealed
    assert ring.open(sealed, "installation", "T1") == "xoxb-sécret"
    for row in (("installation", "T2"), ("ai_key", "T1"), ("installationT1",), ("installation",)):
        with pytest.raises(Unreadable, match="another row"):
            ring.open(sealed, *row)


def test_the_same_text_is_sealed_differently_each_time() -> None:
    ring = Keyring([NEW])
    assert ring.seal("a", "row") != ring.seal("a", "row")


def test_each_changed_bit_is_noticed() -> None:
    ring = Keyring([NEW])
    head, id, body = ring.seal("a", "row").split(".")
    data = base64.urlsafe_b64decode(body)
    for at in range(len(data) * 8):
        changed = bytearray(data)
        changed[at // 8] ^= 1 << at % 8
        forged = ".".join((head, id, base64.urlsafe_b64encode(changed).decode()))
        with pytest.raises(Unreadable, match="altered"):
            ring.open(forged, "row")


@pytest.mark.parametrize(
    "text", ["", "xoxb-1", "v1", "v1..", "v2.00000000.AAAA", "v1.00000000.A", "v1.00000000.AAAA"]
)
def test_what_was_never_sealed_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(Unreadable, match=r"^not a sealed text$"):
        Keyring([NEW]).open(text, "row")


def test_the_first_key_seals_and_all_keys_open() -> None:
    sealed = Keyring([OLD]).seal("a", "row")
    both = Keyring([NEW, OLD])
    assert both.open(sealed, "row") == "a"
    assert not both.is_current(sealed)
    assert both.is_current(both.seal("a", "row"))
    with pytest.raises(Unreadable, match=f"key {key_id(OLD)}, which is not in BOT_ENCRYPTION_KEYS"):
        Keyring([NEW]).open(sealed, "row")


def test_without_keys_the_error_says_how_to_get_one() -> None:
    with pytest.raises(ConfigError, match="bot keys generate"):
        Keyring().seal("a", "row")
    with pytest.raises(ConfigError, match="BOT_ENCRYPTION_KEYS"):
        Keyring().open(Keyring([NEW]).seal("a", "row"), "row")


KEY = generate_key()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("short", "number 1 is not a key of 32 bytes"),
        (f"{KEY},secret-words!", "number 2 is not a key of 32 bytes"),
        ("A" * 43, "number 1 is not random"),
        (f"{KEY} {KEY}=", "the same key twice"),
    ],
    ids=["short", "a word", "not random", "twice"],  # the key is random: pytest-xdist needs names
)
def test_a_wrong_key_is_refused_without_quoting_it(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        parse_keys(text)
    assert not any(word in str(caught.value) for word in text.replace(",", " ").split())


def test_keys_may_come_in_either_alphabet_of_base64() -> None:
    standard = base64.b64encode(NEW).decode()
    urlsafe = base64.urlsafe_b64encode(NEW).decode().rstrip("=")
    assert parse_keys(standard) == parse_keys(urlsafe) == (NEW,)
