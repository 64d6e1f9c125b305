"""The size of the regular expressions of a query, estimated before an engine compiles them.

RE2 and the parser's own engine take no exponential time to match, but both write repetitions out when they compile:
`x{0,1000}` a hundred times, in 1,000 characters, takes minutes.
"""

from __future__ import annotations

import re

from prometheus.answers import bad_data

LARGEST = 4000
"""Characters and classes of all strings of a query, repetitions written out: some 50 ms to compile, at most."""
_CLASS = 50
"""Weight of a class of Unicode, such as `\\w`, which is hundreds of ranges."""
_STRINGS = re.compile(r"""\#[^\n]*|"((?:\\.|[^"\\\n])*)"|'((?:\\.|[^'\\\n])*)'|`([^`]*)`""")
"""Comments, and strings, in all of which the parser reads escapes."""
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_PIECES = re.compile(
    r"""
      (?P<nothing>[*+?|] | \(\?[^:()<]*\))                                  # flags such as (?i) are no group
    | (?P<open>\((?:\?[^:()<]*: | \?P?<[^>]*>)?) | (?P<close>\))
    | \{\s*(?P<least>[0-9]*)\s*(?:,\s*(?P<most>[0-9]*)\s*)?\}
    | (?P<class>\\[pPwWdDsS] | \[\^?\]?(?:\\.|[^\]\\])*\]+)
    | \\. | .
    """,
    re.VERBOSE | re.DOTALL,
)


def refuse_large_patterns(query: str) -> None:
    """Raise Refused for a query whose patterns would take long to compile."""
    if "=~" not in query and "!~" not in query:
        return
    size = 0
    for found in _STRINGS.finditer(query):
        size += size_of(_ESCAPE.sub(_unescaped, found[1] or found[2] or found[3] or ""))
        if size > LARGEST:
            raise bad_data(
                f"the patterns are larger than {LARGEST} with their repetitions written out, where a class such as "
                rf"\w counts {_CLASS}; write + or * instead of {{n,m}}, or ask in several queries"
            )


def _unescaped(found: re.Match[str]) -> str:
    if found[1] in "xuU01234567":
        raise bad_data(f"a string with a pattern takes no escape {found[0]!r}; write the character itself")
    return found[1]


def size_of(pattern: str) -> int:
    """Return about how many characters and classes a pattern has with its repetitions written out."""
    sizes, last = [0], 0  # of each group that is open, and of what a repetition would repeat
    for piece in _PIECES.finditer(pattern):
        if piece["open"]:
            sizes.append(0)
            last = 0
        elif piece["close"]:
            last = sizes.pop() if len(sizes) > 1 else 0
            sizes[-1] += last
        elif count := piece["most"] or piece["least"]:
            times = max(1, int(count[:9]))
            sizes[-1] += last * (times - 1)
            last *= times
        elif not piece["nothing"]:
            last = _CLASS if piece["class"] else 1
            sizes[-1] += last
        if sizes[-1] > LARGEST:
            break
    return sum(sizes)
