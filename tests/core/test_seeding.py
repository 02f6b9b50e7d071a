from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthoma.core.seeding import stream, stream_key


def test_key_is_the_hash_that_it_claims_to_be() -> None:
    expected = int.from_bytes(hashlib.sha256(b"7\x1fphantom.tumour\x1f3").digest()[:16], "big")
    assert stream_key(7, "phantom.tumour", 3) == expected


def test_a_stream_does_not_depend_on_others() -> None:
    alone = stream(1, "a", 5).random(4).tolist()
    stream(1, "a", 4).random(100)
    stream(1, "b", 5).random(100)
    assert stream(1, "a", 5).random(4).tolist() == alone


@pytest.mark.slow
@given(st.tuples(st.integers(), st.text(max_size=8), st.lists(st.integers(), max_size=3)), st.data())
def test_different_names_give_different_streams(first: tuple[int, str, list[int]], data: st.DataObject) -> None:
    second = data.draw(st.tuples(st.integers(), st.text(max_size=8), st.lists(st.integers(), max_size=3)))
    same = (first[0], first[1], first[2]) == (second[0], second[1], second[2])
    if "\x1f" not in first[1] + second[1]:
        assert (stream_key(first[0], first[1], *first[2]) == stream_key(second[0], second[1], *second[2])) == same
