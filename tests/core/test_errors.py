from __future__ import annotations

import pickle

from synthoma.core.errors import InputError, SynthomaError


def test_message_says_what_was_expected_what_came_and_what_to_do() -> None:
    error = InputError("a PNG file", "a text", "remove it")
    assert str(error) == "expected a PNG file; came a text; remove it"
    assert isinstance(error, SynthomaError)


def test_errors_travel_between_processes() -> None:
    error = pickle.loads(pickle.dumps(InputError("a", "b", "c")))
    assert (type(error), error.expected, error.came, error.todo) == (InputError, "a", "b", "c")
