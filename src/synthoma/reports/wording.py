"""Figures as text: signs, digits, intervals; the same in every report."""

from __future__ import annotations

import re
from typing import Protocol

NONE = "–"
MINUS = "\N{MINUS SIGN}"


def number(value: float | None, digits: int = 3, *, signed: bool = False) -> str:
    """Significant digits, hundreds whole, millions as 1.2e6, with a true minus sign; a dash for None."""
    if value is None:
        return NONE
    sign = "+" if signed else ""
    if abs(value) >= 1e6:
        mantissa, exponent = f"{value:{sign}.2e}".split("e")
        text = f"{mantissa}e{int(exponent)}"
    elif abs(value) >= 100:
        text = f"{value:{sign},.0f}"
    elif signed:
        text = f"{value:+.{0 if isinstance(value, int) else 3 if abs(value) < 1 else 2}f}"
    else:
        text = f"{value:#.{digits}g}".rstrip(".") if value else "0"
    return text.replace("-", MINUS)


def chance(p: float | None) -> str:
    """A p-value; a dash for None."""
    if p is None:
        return NONE
    # Never 0.000: no finite number of patients shows that.
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def percent(share: float) -> str:
    """A share in percent, with a decimal where it is small or nearly all; "0 %" and "100 %" of none and all alone."""
    text = f"{100 * share:.{0 if 0.1 <= share <= 0.9 or share in (0, 1) else 1}f} %"
    # Rounded, one copy in ten thousand would read as none.
    return {"0.0 %": "under 0.1 %", "100.0 %": "over 99.9 %"}.get(text, text)


def span(low: float | None, high: float | None, *, signed: bool = False) -> str:
    """An interval; a dash where there is none."""
    if low is None or high is None:
        return NONE
    return f"{number(low, signed=signed)} to {number(high, signed=signed)}"


class WithInterval(Protocol):
    """A figure with the ends of its interval."""

    @property
    def value(self) -> float:
        """The figure."""

    @property
    def low(self) -> float:
        """Lower end."""

    @property
    def high(self) -> float:
        """Upper end."""


def gain(entry: WithInterval) -> str:
    """A difference with its interval."""
    return f"{number(entry.value, signed=True)} ({span(entry.low, entry.high, signed=True)})"


def plain(value: float) -> str:
    """A number that somebody chose: with the digits that it has."""
    return f"{value:g}".replace("-", MINUS)


def tidy(text: str) -> str:
    """Text with true minus and multiplication signs, and no line break before a per cent sign."""
    text = re.sub(r"(?<![\w-])-(?=\d)", MINUS, text)
    return re.sub(r"(?<=\d)x\b", "\N{MULTIPLICATION SIGN}", text).replace(" %", "\N{NO-BREAK SPACE}%")


def sentence(text: str) -> str:
    """Tidy, with a capital at its beginning and a full stop at its end."""
    return tidy(text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else "."))
