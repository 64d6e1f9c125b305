"""The streams that a key has open in a worker."""

from __future__ import annotations

import pytest

from access.keys import Key
from access.places import AllTaken, Places


def key(name: str, max_streams: int | None, digest: bytes = b"") -> Key:
    return Key(name, digest, frozenset({"read"}), max_streams=max_streams)


def test_a_key_takes_as_many_places_as_it_may_and_again_what_it_gives_back() -> None:
    places = Places()
    first, _ = places.take(key("a", 2)), places.take(key("a", 2))
    with pytest.raises(AllTaken):
        places.take(key("a", 2))
    first()
    first()  # gives back nothing more
    places.take(key("a", 2))
    with pytest.raises(AllTaken):
        places.take(key("a", 2))


def test_places_count_by_the_name_whatever_the_token_and_the_limit_of_the_others() -> None:
    places = Places()
    places.take(key("a", None, b"old token"))
    places.take(key("b", None))
    with pytest.raises(AllTaken):
        places.take(key("a", 1, b"new token"))
    places.take(key("a", 2, b"new token"))


def test_a_key_may_have_no_streams_at_all() -> None:
    with pytest.raises(AllTaken):
        Places().take(key("a", 0))
