"""The education page, out of the documentation that is packed with Synthoma, or that lies in a checkout."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from markupsafe import Markup

_PACKED = Path(__file__).parent / "learn"
_CHECKOUT = Path(__file__).parents[3] / "docs"


def _folder() -> Path | None:
    return next((folder for folder in (_PACKED, _CHECKOUT) if (folder / "learn.md").is_file()), None)


@cache
def lesson() -> Markup | None:
    """The page as HTML; None where it is not there. Its links to other pages of the documentation become plain text."""
    folder = _folder()
    if folder is None:
        return None
    from markdown_it import MarkdownIt

    text = (folder / "learn.md").read_text(encoding="utf-8")
    text = re.sub(r"(?<!!)\[([^\]]+)\]\((?!http|#)[^)]+\)", r"\1", text)
    html = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    html = re.sub(r'src="pictures/([\w.-]+)"', r'src="/learn/\1"', html).replace("<pre>", '<pre tabindex="0">')
    return Markup(
        html.replace("<table>", '<div class="scroll" tabindex="0"><table>').replace("</table>", "</table></div>")
    )


def picture(name: str) -> bytes | None:
    """A picture of the page; None where there is none of that name."""
    folder = _folder()
    if folder is None or not re.fullmatch(r"[\w-]+\.(png|svg)", name):
        return None
    path = folder / "pictures" / name
    return path.read_bytes() if path.is_file() else None
