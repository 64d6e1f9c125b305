"""The key file: what it may say, and what each mistake in it is told."""

from __future__ import annotations

import hashlib
from traceback import format_exception

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.keys import BadKeys, Key, Keys, Patterns, Rate, hash_of, new_token, parse_keys
from times import SECOND, parse_timestamp

TOKEN = "tm_" + "Ab3_-" * 8 + "xyz"
HASH = hash_of(TOKEN)


def entry(**fields: str) -> str:
    """A key as it stands in a file; the fields are TOML, and an empty one is left out."""
    found = {"name": '"ingest"', "hash": f'"{HASH}"', "can": '["write"]'} | fields
    return "\n".join(["[[key]]", *(f"{name} = {value}" for name, value in found.items() if value)])


def parse(text: str) -> Key:
    [key] = parse_keys(text.encode())
    return key


def test_a_key_with_everything() -> None:
    key = parse(
        entry(
            can='["write", "read"]',
            series='["web/*", "default"]',
            rate='"1000/s"',
            burst="5000",
            expires="2027-01-01",
            max_streams="10",
            max_series="100",
        )
    )
    assert (key.name, key.can, key.rate) == ("ingest", frozenset({"write", "read"}), Rate(1000.0, 5000))
    assert key.digest == hashlib.sha256(TOKEN.encode()).digest()
    assert key.expires == parse_timestamp("2027-01-01T00:00:00Z")
    assert (key.max_streams, key.max_series) == (10, 100)
    assert [key.sees(name) for name in ("web/a", "web/a/b", "default", "web", "xweb/a", "DEFAULT")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip


def test_a_key_with_the_least() -> None:
    key = parse(entry())
    assert (key.series, key.rate, key.expires, key.max_streams, key.max_series) == (None,) * 5
    assert key.sees("anything at all")


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("1000/s", Rate(1000.0, 1000)),
        ("90/m", Rate(1.5, 2)),
        ("10/h", Rate(10 / 3600, 1)),
    ],
)
def test_without_a_burst_it_is_one_seconds_worth(text: str, rate: Rate) -> None:
    assert parse(entry(rate=f'"{text}"')).rate == rate


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2027-01-01T12:00:00Z", "2027-01-01T12:00:00Z"),
        ("2027-01-01T12:00:00+02:00", "2027-01-01T10:00:00Z"),
        ("2027-01-01 12:00:00", "2027-01-01T12:00:00Z"),
        ("2027-01-01", "2027-01-01T00:00:00Z"),
    ],
)
def test_expires_is_a_moment_in_utc(text: str, moment: str) -> None:
    assert parse(entry(expires=text)).expires == parse_timestamp(moment)


def test_a_token_finds_its_key_until_that_expires() -> None:
    ends = 10 * SECOND
    key = Key("ingest", hashlib.sha256(TOKEN.encode()).digest(), frozenset({"read"}), expires=ends)
    keys = Keys([key])
    assert keys.find(TOKEN.encode(), ends - 1) is key
    assert keys.find(TOKEN.encode(), ends) is None
    assert keys.find(new_token().encode(), 0) is None
    assert keys.find(key.digest, 0) is None
    assert keys.find(HASH.encode(), 0) is None
    assert keys.find(b"", 0) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it has no key"),
        ("key = []", "it has no key"),
        ('key = "x"', "it has no key"),
        ("[key]\nname = 'x'", "it has no key"),
        ("[[keys]]", "'keys' means nothing here"),
        (entry() + "\n[other]", "'other' means nothing here"),
        ("[[key", "it is not TOML"),
        ("x = " + "[" * 5000, "it is not TOML"),
        (entry(name=""), "key 1: name must be"),
        (entry(name="1"), "key 1: name must be"),
        (entry(name='"two words"'), "key 1: name must be"),
        (entry(name='"a\\nb"'), "key 1: name must be"),
        (entry(name=f'"{TOKEN}"'), "key 1: its name looks like a token"),
        (entry(name=f'"me:{TOKEN}"'), "key 1: its name looks like a token"),
        (f"{TOKEN} = 1", "a long name means nothing here"),
        (f"{TOKEN[:12]} = 1", "a long name means nothing here"),
        (entry(**{TOKEN: "1"}), "key 1 (ingest): a long name is no field"),
        (f"[{TOKEN}]\n[{TOKEN}]", "it is not TOML (at line 2, column"),
        (entry(token='"x"'), "key 1 (ingest): 'token' is no field; there are name, hash"),
        (entry(hash=""), "key 1 (ingest): hash must be"),
        (entry(hash='"md5:00"'), "key 1 (ingest): hash must be"),
        (entry(hash=f'"{HASH.upper()}"'), "key 1 (ingest): hash must be"),
        (entry(hash=f'"{HASH}\\n"'), "key 1 (ingest): hash must be"),
        (entry(hash=f'"{TOKEN}"'), "key 1 (ingest): hash holds the token itself"),
        (entry(can=""), "key 1 (ingest): can must be a list of some of write, read, delete, metrics"),
        (entry(can='"write"'), "key 1 (ingest): can must be"),
        (entry(can="[]"), "key 1 (ingest): can must be"),
        (entry(can='["admin"]'), "key 1 (ingest): can must be"),
        (entry(can="[[1]]"), "key 1 (ingest): can must be"),
        (entry(series='"web/*"'), "key 1 (ingest): series must be a list of patterns"),
        (entry(series="[]"), "key 1 (ingest): series must be"),
        (entry(series='[""]'), "key 1 (ingest): series must be"),
        (entry(series="[1]"), "key 1 (ingest): series must be"),
        (entry(series=str(["x"] * 101)), "key 1 (ingest): series has 101 patterns"),
        (entry(rate="1000"), "key 1 (ingest): rate must be"),
        (entry(rate='"0/s"'), "key 1 (ingest): rate must be"),
        (entry(rate='"10/d"'), "key 1 (ingest): rate must be"),
        (entry(rate='"10/s"', can='["read"]'), "key 1 (ingest): rate is for events that are written"),
        (entry(burst="5"), "key 1 (ingest): burst says nothing without a rate"),
        (entry(rate='"10/s"', burst="0"), "key 1 (ingest): burst must be"),
        (entry(rate='"10/s"', burst="true"), "key 1 (ingest): burst must be"),
        (entry(rate='"10/s"', burst="1.5"), "key 1 (ingest): burst must be"),
        *(
            (entry(**{field: text}), f"key 1 (ingest): {field} must be")
            for field in ("max_streams", "max_series")
            for text in ("-1", "true", '"1"', "1.0", "1000001")
        ),
        (entry(expires='"2027-01-01"'), "key 1 (ingest): expires must be"),
        (entry(expires="12:00:00"), "key 1 (ingest): expires must be"),
        (entry() + "\n" + entry(hash=f'"{hash_of("x")}"'), "key 2 (ingest): key 1 has the same name"),
        (entry() + "\n" + entry(name='"other"'), "key 2 (other): key 1 has the same token"),
    ],
)
def test_each_fault_is_one_clear_line_without_a_secret(text: str, message: str) -> None:
    with pytest.raises(BadKeys) as fault:
        parse_keys(text.encode())
    told = str(fault.value)
    assert message in told
    assert "\n" not in told
    assert TOKEN[:20] not in told
    assert HASH[7:] not in told


@given(st.data())
def test_a_token_in_the_wrong_place_is_never_quoted(data: st.DataObject) -> None:
    text = entry(series='["web/*"]', rate='"10/s"', expires="2027-01-01")
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        text = (
            text[:at]
            + data.draw(st.sampled_from([TOKEN, f'"{TOKEN}"', f"\n{TOKEN} = 1\n", f"[{TOKEN}]", '"', "\n"]))
            + text[at:]
        )
    try:
        parse_keys(text.encode())
    except BadKeys as fault:
        told = "".join(format_exception(fault))
        assert not any(TOKEN[start : start + 8] in told for start in range(3, len(TOKEN) - 8))


def test_a_file_that_is_not_text() -> None:
    with pytest.raises(BadKeys, match="it is not UTF-8 at byte 3"):
        parse_keys(b"abc\xff")


def test_too_many_keys() -> None:
    with pytest.raises(BadKeys, match="it has 10001 keys, and 10000 are the most"):
        parse_keys(b"[[key]]\n" * 10_001)


def test_tokens_are_random_and_url_safe() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(token) == 46 and token.startswith("tm_") for token in tokens)
    assert all(character.isalnum() or character in "_-" for token in tokens for character in token)


@given(st.lists(st.text("ab*?[]!/", min_size=1, max_size=6), min_size=1, max_size=4), st.text("ab*[]!/\n", max_size=6))
def test_patterns_mean_what_fnmatchcase_says(patterns: list[str], name: str) -> None:
    from fnmatch import fnmatchcase

    assert (name in Patterns.of(patterns)) == any(fnmatchcase(name, pattern) for pattern in patterns)
