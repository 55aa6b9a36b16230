"""Addresses of Redis: one server, Sentinels, a cluster."""

import pytest

from bot.errors import ConfigError
from bot.settings import Settings, load
from bot.settings.addresses import Address, parse_address, parse_addresses

SECRET = "pass-word"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "redis+sentinel://a,b:26380,[::1]/orders",
            Address(
                "sentinel",
                False,
                (("a", 26379), ("b", 26380), ("::1", 26379)),
                primary="orders",
            ),
        ),
        (
            "rediss+sentinel://me:p%40ss@a:1,b:2/my%20orders/3?sentinel_password=s%26s"
            "&sentinel_username=watch&sentinel_tls=no",
            Address(
                "sentinel",
                True,
                (("a", 1), ("b", 2)),
                db=3,
                username="me",
                password="p@ss",
                primary="my orders",
                sentinel_username="watch",
                sentinel_password="s&s",
            ),
        ),
        (
            "rediss+sentinel://a/orders/",
            Address("sentinel", True, (("a", 26379),), primary="orders", sentinel_tls=True),
        ),
        (
            "redis+cluster://:pass@a,b:7001",
            Address("cluster", False, (("a", 6379), ("b", 7001)), password="pass"),
        ),
        ("rediss+cluster://a/0", Address("cluster", True, (("a", 6379),), sentinel_tls=True)),
    ],
)
def test_an_address_is_read(url: str, expected: Address) -> None:
    assert parse_address(url) == expected


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "must begin with redis://, rediss://"),
        ("http://a", "must begin with"),
        ("redis+sentinel:/a/orders", "must begin with"),
        ("redis+sentinel://a,b", "lacks the primary's name"),
        ("redis+sentinel://a,b/", "lacks the primary's name"),
        ("redis+sentinel:///orders", "host or port"),
        ("redis+sentinel://a,,b/orders", "host or port"),
        ("redis+sentinel://a:port/orders", "host or port"),
        ("redis+sentinel://a:0/orders", "host or port"),
        ("redis+sentinel://a:65536/orders", "host or port"),
        ("redis+sentinel://::1/orders", "host or port"),
        ("redis+sentinel://a b/orders", "host or port"),
        ("redis+sentinel://a/orders/one", "number of a database"),
        ("redis+sentinel://a/orders/1/2", "number of a database"),
        ("redis+sentinel://a/orders?password=x", "unknown options"),
        ("redis+sentinel://a/orders?sentinel_tls=maybe", "must be yes or no"),
        (f"redis+sentinel://:{SECRET}#x@a/orders", "write %23"),
        ("redis+cluster://", "host or port"),
        ("redis+cluster://a/1", "only database 0"),
        ("redis+cluster://a?x=1", "unknown options"),
        ("redis://a:port", "host or port"),
        ("redis://a:1,b:2", "host or port"),
        ("redis://a,b", "several hosts"),
    ],
)
def test_a_malformed_address_is_refused_with_its_reason(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_address(url)
    with pytest.raises(ConfigError, match="REDIS_URL"):
        load(None, redis_url=url, slack_bot_token="xoxb-1", slack_app_token="xapp-1")


@pytest.mark.parametrize(
    "rest", ["a:port/orders", "a", "a/orders?b=1", "a/orders/x", "a/x?sentinel_tls=x"]
)
def test_no_error_contains_a_password(rest: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(None, redis_url=f"redis+sentinel://user:{SECRET}@{rest}")
    assert SECRET not in str(refused.value)


def test_passwords_in_the_address_are_secrets() -> None:
    url = "redis+sentinel://me:server-secret@a/orders?sentinel_password=sentinel-secret"
    settings = load(
        None,
        redis_url=url,
        bot_engine="echo",
        slack_bot_token="xoxb-1",
        slack_app_token="xapp-1",
    )
    assert {"server-secret", "sentinel-secret"} <= set(settings.secrets)
    assert "secret" not in repr(parse_address(url))
    for written in ("redis://:p%40s@a", "redis+cluster://:p%40s@a", "redis://a?password=p%40s"):
        assert parse_address(written).secrets == ("p%40s", "p@s")
    assert "pass" not in repr(parse_address("redis://:pass@a"))


@pytest.mark.parametrize(
    "url",
    [
        "redis://a:1,redis://b:2",
        "redis://a:1 redis://b:2",
        " redis://a:1 ,\n  redis://b:2 ",
        "redis://:pass,word@a:1,redis://:pass@b:2",
        "redis+sentinel://a:1,c:1/one redis+sentinel://b:2,c:1/one",
        "redis+sentinel://a:1/one redis+sentinel://a:1/two",
        "unix:///one.sock,unix:///two.sock",
    ],
)
def test_a_list_of_servers_is_read(url: str) -> None:
    first, second = parse_addresses(url)
    assert first.name in ("a:1", "a:1,c:1", "/one.sock")
    assert second.name in ("b:2", "b:2,c:1", "/two.sock", "a:1")
    assert load_list(url, 2).bot_shards == 2


@pytest.mark.parametrize("url", ["unix:///ä b/redis.sock", "unix:///%C3%A4%20b/redis.sock"])
def test_the_path_of_a_socket_may_contain_spaces(url: str) -> None:
    [address] = parse_addresses(url)
    assert address.name == "/ä b/redis.sock"
    assert len(parse_addresses(f"{url} unix:///two.sock")) == 2


def test_a_comma_in_a_password_separates_nothing() -> None:
    assert len(parse_addresses("redis://:pass,word@a")) == 1


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis://a,redis://b:6379/1,redis://:other@A:6379/2", "twice: addresses 1 and 3"),
        ("unix:///a.sock unix:///a.sock?db=1", "twice"),
        ("redis+sentinel://a,b/x redis+sentinel://b,a/x", "twice"),
        ("redis://a,rediss://b", "mixes schemes"),
        ("redis://a unix:///b", "mixes schemes"),
        ("redis://a redis+sentinel://b/x", "mixes schemes"),
        ("redis+cluster://a redis+cluster://b", "lists a cluster"),
        (f"redis://a,redis://:{SECRET}@b:port", "address 2 of 2 has a host or port"),
        (f"redis://a,{SECRET}", "several hosts"),
        ("redis://a redis://b redis://c", "names 3 servers"),
    ],
)
def test_a_wrong_list_is_refused_with_its_reason(url: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as refused:
        load_list(url, 2)
    assert SECRET not in str(refused.value)


def test_all_passwords_of_a_list_are_secrets() -> None:
    url = "redis://:first-secret@a,redis://:second-secret@b"
    assert {"first-secret", "second-secret"} <= set(load_list(url, 2).secrets)


def load_list(url: str, shards: int) -> Settings:
    return load(
        None,
        redis_url=url,
        bot_shards=shards,
        bot_engine="echo",
        slack_bot_token="xoxb-1",
        slack_app_token="xapp-1",
    )
