"""`python -m access new|list|check`: make a key, show the keys of a file, say whether a file is good."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from access.keys import SCOPES, BadKeys, Key, hash_of, new_token, parse_keys
from settings import PREFIX
from times import format_timestamp, wall_clock
from watched.file import BadFile, read

_FAULT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, or 2 after a line that says what is wrong."""
    options = _parser().parse_args(arguments)
    try:
        print(options.answer(options))
    except BadFile as fault:
        print(f"access: {fault}", file=sys.stderr)
        return _FAULT
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m access", description="Access keys of Tidemark.")
    commands = parser.add_subparsers(required=True, metavar="new|list|check")
    new = commands.add_parser("new", help="make a key: prints its token, this once, and the entry for the file")
    new.set_defaults(answer=_new)
    new.add_argument("--name", required=True, help="what the key is called in logs and lists")
    new.add_argument("--can", required=True, nargs="+", action="extend", help=f"some of {' '.join(SCOPES)}")
    new.add_argument("--series", nargs="+", action="extend", help="shell patterns such as 'web/*'; without: all series")
    new.add_argument("--rate", help="most events it may write: 1000/s, 50/m, 10/h")
    new.add_argument("--burst", type=int, help="how many of them at once; without: one second's worth")
    new.add_argument("--max-streams", type=int, help="most streams it may have open in a worker")
    new.add_argument("--max-series", type=int, help="most living series it may have begun")
    new.add_argument("--expires", help="a date or time (UTC), such as 2027-01-01")
    for name, answer, text in (("list", _list, "show the keys"), ("check", _check, "say whether the file is good")):
        command = commands.add_parser(name, help=text)
        command.set_defaults(answer=answer)
        command.add_argument("file", nargs="?", type=Path, help=f"the key file; without: {PREFIX}KEYS")
    return parser


def _new(options: argparse.Namespace) -> str:
    token = new_token()
    entry = _entry(options, hash_of(token))
    parse_keys(entry.encode(errors="surrogatepass"))  # what is printed here is good there
    return f"{token}\n\nThat is the token; nobody can show it again. For the key file:\n\n{entry}"


def _entry(options: argparse.Namespace, hashed: str) -> str:
    can = [scope for text in options.can for scope in text.split(",")]
    lines = ["[[key]]", f"name = {_toml(options.name)}", f"hash = {_toml(hashed)}", f"can = {_toml_list(can)}"]
    if options.series:
        lines.append(f"series = {_toml_list(options.series)}")
    if options.rate is not None:
        lines.append(f"rate = {_toml(options.rate)}")
    bare = {name: getattr(options, name) for name in ("burst", "max_streams", "max_series", "expires")}
    lines += [f"{name} = {value}" for name, value in bare.items() if value is not None]
    return "\n".join(lines)


def _toml(text: str) -> str:
    """Return the text as TOML has it, in ASCII, which every terminal can print. JSON will not do: it writes what is
    beyond 16 bits as two surrogates, which TOML refuses."""
    return f'"{"".join(map(_escaped, text))}"'


def _toml_list(texts: Sequence[str]) -> str:
    return f"[{', '.join(map(_toml, texts))}]"


def _escaped(character: str) -> str:
    code = ord(character)
    if character in '"\\':
        return f"\\{character}"
    if " " <= character <= "~":
        return character
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _list(options: argparse.Namespace) -> str:
    keys = parse_keys(read(_file(options)))
    return "\n".join(_line(key, wall_clock()) for key in keys)


def _line(key: Key, now: int) -> str:
    parts = [f"{key.name}: may {' '.join(scope for scope in SCOPES if scope in key.can)}"]
    parts.append(f"series {key.series or '*'}")
    if key.rate is not None:
        parts.append(f"rate {key.rate.per_second:g}/s, burst {key.rate.burst}")
    if key.max_streams is not None:
        parts.append(f"at most {key.max_streams} streams in a worker")
    if key.max_series is not None:
        parts.append(f"at most {key.max_series} series of its own")
    if key.expires is not None:
        parts.append(f"{'expired' if key.expires <= now else 'expires'} {format_timestamp(key.expires)}")
    return "; ".join(parts)


def _check(options: argparse.Namespace) -> str:
    keys = parse_keys(read(_file(options)))
    return f"good: {len(keys)} key{'s' if len(keys) != 1 else ''}"


def _file(options: argparse.Namespace) -> Path:
    name = options.file or os.environ.get(PREFIX + "KEYS")
    if not name:
        raise BadKeys(f"which file? name it, or set {PREFIX}KEYS")
    return Path(name)


if __name__ == "__main__":
    sys.exit(main())
