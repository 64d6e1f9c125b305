from __future__ import annotations

from string import ascii_lowercase

import pytest

from settings import PREFIX, VARIABLES, BadSetting, Settings, read_address, read_settings, unknown_settings
from times import HOUR, MINUTE, SECOND


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_without_an_environment_all_are_the_defaults() -> None:
    assert read_settings() == Settings()
    assert list(VARIABLES)[:2] == ["TIDEMARK_WINDOW", "TIDEMARK_RETENTION"]


def test_every_setting_is_explained() -> None:
    assert all(field.metadata["meaning"] for field in VARIABLES.values())


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("RETENTION", "2h", 2 * HOUR),
        ("KEEP_LAST", "0", 0),
        ("MAX_FUTURE", "0.5s", SECOND // 2),
        ("MAX_FUTURE", "500ms", SECOND // 2),
        ("MAX_FUTURE", "0", 0),
        ("MAX_FUTURE", "0s", 0),
        ("MAX_BODY", "1", 1),
        ("MAX_BODY", "512K", 512 * 1024),
        ("MAX_BODIES", "64M", 64 * 1024**2),
        ("MAX_BODIES", "1G", 1024**3),
        ("LOG_MAX_BYTES", "65536", 65536),
        ("LOG_MAX_BYTES", "10G", 10 * 1024**3),
        ("PERCENTILE_BYTES", "0", 0),
        ("PERCENTILE_BYTES", "256M", 2**28),
        ("MAX_BATCH", "1", 1),
        ("MAX_SERIES", "1000000", 10**6),
        ("LOG_URL", "memory:", "memory:"),
        ("LOG_URL", "file:/var/lib/tidemark", "file:/var/lib/tidemark"),
        ("SYNC", "always", "always"),
        ("CORS_ORIGINS", "https://a.example, https://b.example,", ("https://a.example", "https://b.example")),
        ("CORS_ORIGINS", "*", ("*",)),
        ("CORS_ORIGINS", "http://localhost:3000", ("http://localhost:3000",)),
        ("CORS_ORIGINS", f"https://{ascii_lowercase}.example", (f"https://{ascii_lowercase}.example",)),
        ("CORS_ORIGINS", "HTTP://Localhost:3000", ("http://localhost:3000",)),
        ("CORS_ORIGINS", "http://[::1]:3000", ("http://[::1]:3000",)),
        ("LOG_LEVEL", "debug", "DEBUG"),
        ("KEEP_LAST", "", 1000),
    ],
)
def test_settings_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: object
) -> None:
    monkeypatch.setenv(PREFIX + name, text)
    assert getattr(read_settings(), name.lower()) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("WINDOW", "an hour"),
        ("WINDOW", "0"),
        ("RETENTION", "-1h"),
        ("KEEP_LAST", "-1"),
        ("KEEP_LAST", "many"),
        ("KEEP_LAST", "100000001"),
        ("MAX_FUTURE", "500 ms"),
        ("MAX_BATCH", "0"),
        ("MAX_BODY", "0"),
        ("MAX_BODY", "x"),
        ("MAX_BODY", "2G"),
        ("MAX_BODIES", "64m"),
        ("MAX_BODIES", "1.5M"),
        ("KEEP_LAST", "٣"),
        ("CORS_ORIGINS", "example.com"),
        ("CORS_ORIGINS", "https://a.example/"),
        ("CORS_ORIGINS", "http://a b"),
        ("CORS_ORIGINS", "https://*.example"),
        ("CORS_ORIGINS", "http://a\\b"),
        ("MAX_SERIES", "1e3"),
        ("LOG_URL", "http://somewhere"),
        ("LOG_URL", "redis://one,two"),
        ("LOG_URL", "file:"),
        ("LOG_URL", "/var/lib/tidemark"),
        ("LOG_MAX_BYTES", "1MB"),
        ("PERCENTILE_BYTES", "256MB"),
        ("PERCENTILE_BYTES", "-1"),
        ("SYNC", "sometimes"),
        ("LOG_LEVEL", "LOUD"),
    ],
)
def test_a_bad_setting_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.setenv(PREFIX + name, text)
    with pytest.raises(BadSetting) as fault:
        read_settings()
    message = str(fault.value)
    assert message.startswith(f"{PREFIX}{name}={text!r}: ")
    assert "\n" not in message
    assert len(message) > len(f"{PREFIX}{name}={text!r}: ") + 5


def test_a_retention_below_the_default_window_shortens_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_RETENTION", "10m")
    assert (read_settings().window, read_settings().retention) == (10 * MINUTE, 10 * MINUTE)


def test_a_window_above_the_default_retention_lengthens_the_retention(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_WINDOW", "3h")
    assert (read_settings().window, read_settings().retention) == (3 * HOUR, 3 * HOUR)


def test_a_longer_retention_leaves_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_RETENTION", "24h")
    assert (read_settings().window, read_settings().retention) == (HOUR, 24 * HOUR)


def test_a_shorter_window_leaves_the_retention(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_WINDOW", "1m")
    assert (read_settings().window, read_settings().retention) == (MINUTE, HOUR)


def test_naming_both_with_the_window_longer_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_WINDOW", "2h")
    monkeypatch.setenv("TIDEMARK_RETENTION", "1h")
    with pytest.raises(BadSetting, match=r"TIDEMARK_WINDOW \(2h\) is longer than TIDEMARK_RETENTION \(1h\)"):
        read_settings()


def test_numbers_say_their_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_MAX_BATCH", "many")
    with pytest.raises(BadSetting, match="write a whole number from 1 to 1000000"):
        read_settings()


@pytest.mark.parametrize("port", ["http", "65536", "-1"])
def test_a_port_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("PORT", port)
    with pytest.raises(BadSetting, match=f"PORT='{port}'"):
        read_address()


def test_names_that_are_no_settings_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_WINDWO", "1m")
    assert unknown_settings() == ["TIDEMARK_WINDWO"]


def test_a_large_body_makes_room_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}MAX_BODY", "100M")
    assert read_settings().max_bodies == 100 * 1024**2
    monkeypatch.setenv(f"{PREFIX}MAX_BODIES", "99M")
    with pytest.raises(BadSetting, match="MAX_BODIES"):
        read_settings()
