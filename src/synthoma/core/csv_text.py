"""Text of CSV files as spreadsheets leave them: how letters are stored, and what parts the cells.

Commas, semicolons or tabs; UTF-8 with or without a mark, UTF-16, or Windows' own.
"""

from __future__ import annotations

from synthoma.core.errors import InputError

_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
WINDOWS = "cp1252"
"""Windows' own letters, which take nearly any bytes."""


def csv_text_of(data: bytes, what: str) -> tuple[str, str]:
    """Text of a CSV file, and how its letters were stored.

    Args:
        data: the file's bytes.
        what: the file's content as a noun ("a table"), for errors.

    Raises:
        InputError: a spreadsheet's own format, or no text.
    """
    if data.startswith((_ZIP, _OLE)):
        raise InputError(f"{what} as a CSV file", "a spreadsheet", "save it as CSV in the spreadsheet program")
    marked = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    # Windows' own comes last. A zero byte betrays UTF-16 without a mark, or no text at all.
    for encoding in ("utf-16",) if marked else ("utf-8-sig", WINDOWS):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text, encoding
    raise InputError(f"{what} as a CSV file", "no text", "save it as CSV in UTF-8")


def separator_of(text: str) -> tuple[str, str]:
    """The sign that parts the cells of the first line, and the text; Excel's own line that names it becomes empty."""
    first, _, rest = text.partition("\n")
    if first.lower().startswith("sep=") and len(first.strip()) == 5:
        # An empty line in its place: numbers of lines in errors stay those of the file.
        return first.strip()[4], f"\n{rest}"
    return max(",;\t", key=first.count), text
