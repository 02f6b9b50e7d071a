"""Every error that Synthoma raises on purpose.

    SynthomaError
    ├── InputError      a file or folder that cannot be used
    ├── CohortError     a cohort that is damaged, incomplete or of another version
    ├── ConfigError     a setting that does not exist or has a value out of range
    ├── OutputError     a disk that is full, read-only or broken: no input is to blame
    └── LeakError       something that must stay apart was about to meet

A message has three parts: what was expected, what came, and what to do about it.
"""

from __future__ import annotations

from contextvars import ContextVar

COMMAND_LINE: ContextVar[bool] = ContextVar("command_line", default=False)
"""Whether a command runs: errors then name its options, and else arguments in Python."""


class SynthomaError(Exception):
    """Base of all errors that are not the program's fault.

    Args:
        expected: what the program needed, as a noun phrase ("a grey or RGB image of at most 268 megapixels").
        came: what it met instead ("a PNG header that declares 90000x90000 pixels").
        todo: what the user can do ("re-export the file, or remove it from the folder").
    """

    def __init__(self, expected: str, came: str, todo: str) -> None:
        self.expected, self.came, self.todo = expected, came, todo
        super().__init__(expected, came, todo)

    def __str__(self) -> str:
        return f"expected {self.expected}; came {self.came}; {self.todo}"


class InputError(SynthomaError):
    """A file or folder that cannot be read or understood."""


class CohortError(SynthomaError):
    """A cohort folder that is damaged, incomplete, or written by an unknown version."""


class ConfigError(SynthomaError):
    """A setting that does not exist or whose value is out of range."""


class OutputError(SynthomaError):
    """A file that could not be written: the disk is full, read-only or broken, and no input is to blame.

    What is whole stays; ``todo`` says how to go on.
    """


class LeakError(SynthomaError):
    """A split or a training set that would let one group be on both sides."""
