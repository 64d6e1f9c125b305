from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_log.patterns import compiled, exact_name, is_pattern, literal_prefix

texts = st.text("ab/*?[]!-", max_size=8)


@given(texts, texts)
def test_the_standard_library_says_the_same(pattern: str, name: str) -> None:
    assert (compiled(pattern).match(name) is not None) == fnmatchcase(name, pattern)
    assert not fnmatchcase(name, pattern) or name.startswith(literal_prefix(pattern))
    if not is_pattern(pattern):
        assert fnmatchcase(name, pattern) == (name == exact_name(pattern))


@pytest.mark.parametrize(
    ("text", "name"), [("web/a", "web/a"), ("web[*]", "web*"), ("what[?]", "what?"), ("a[[]1]", "a[1]"), ("a]", "a]")]
)
def test_a_character_in_brackets_is_itself(text: str, name: str) -> None:
    assert not is_pattern(text)
    assert exact_name(text) == name
    assert compiled(text).match(name)


@pytest.mark.parametrize("text", ["*", "a?", "a[b", "[ab]", "web[*]*", "[[]?"])
def test_what_may_match_several_is_a_pattern(text: str) -> None:
    assert is_pattern(text)
