"""tools/house.py counts right: a house of seven small files whose figures were counted by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[1] / "tools" / "house.py"

MAP = """
| floor | room | what it holds | may import |
|---|---|---|---|
| 0 | `core` | what all stand on | |
| 1 | `shop` | what is sold | `core` |
| 2 | `commands` | the command line | all below |
"""

CORE = '''"""What all stand on."""

from pydantic import BaseModel

# A comment that has a line of its own.
LIMIT = 3  # and one that has not


class Base(BaseModel):
    """Base of all settings."""


def first(row: dict[str, int]) -> int:
    """Two lines

    that do not count, and one between them.
    """
    from house.shop.till import pay

    return pay(row["one"]) + row.get("two", 0) + row.get(LIMIT, 0)
'''

TILL = """from typing import Any, Literal

from house.shop import stock
from pydantic import BaseModel

Kind = Literal["a"]


class Till(BaseModel):
    def open(self, kind: "Literal['a']", found: Any) -> Any:
        def inside(x):
            return x

        if found and kind or inside(found):
            return [one for one in found if one]
        return None


def pay(found: list["Till"]) -> int:
    return len(found)
"""

SETTINGS = '''from house.core.base import Base


class PayConfig(Base):
    """What paying is told."""

    coins: int = 1
    notes: int = 2
'''

PAY = """from typing import Annotated

import typer

from ..core import base
from ..shop.till import pay as _pay

Force = Annotated[bool, typer.Option("--force", help="Pay again.")]


def pay(
    shop: Annotated[str, typer.Argument(help="Which.")],
    coins: Annotated[int, typer.Option(help="How many.")] = 1,
    notes: int = typer.Option(base.LIMIT, help="How "
                              "large."),
    other: Annotated[int, typer.Option(help=base.__doc__)] = 1,
    force: Force = False,
) -> None:
    _pay([])
"""

MAIN = """print("Usage\\n╭─ Commands ──╮\\n│ pay     Buy.  │\\n│         More. │\\n╰─╯")
"""


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A package with a cycle (core.base, shop.till, shop.stock) and an arrow up (core to shop)."""
    files = {
        "docs/architecture.md": MAP,
        "src/house/__init__.py": "",
        "src/house/__main__.py": MAIN,
        "src/house/core/base.py": CORE,
        "src/house/shop/till.py": TILL,
        "src/house/shop/stock.py": "import house.core.base\n",
        "src/house/shop/settings.py": SETTINGS,
        "src/house/commands/pay.py": PAY,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path / "src" / "house"


def run(*words: str | Path) -> str:
    """What the script prints."""
    return subprocess.run([sys.executable, SCRIPT, *words], capture_output=True, text=True, check=True).stdout


def measured(house: Path, *words: str) -> dict[str, Any]:
    """The figures as JSON."""
    return json.loads(run("--source", house, "--json", *words))  # type: ignore[no-any-return]


def test_sizes(house: Path) -> None:
    found = measured(house)
    assert found["lines"] == 0 + 1 + 20 + 20 + 1 + 8 + 19
    rooms = {room["room"]: (room["files"], room["lines"], room["functions"]) for room in found["rooms"]}
    assert rooms == {"core": (1, 20, 1), "shop": (3, 29, 3), "commands": (1, 19, 1), "top": (2, 1, 0)}
    # first 4 of 8 lines (4 are docstring), Till.open 7, inside 2, shop's pay 2, the command 9
    assert found["functions"] == {
        "count": 5, "median": 4, "p90": 9, "largest": {"name": "commands/pay.py: pay", "value": 9}, "too_large": [],
    }  # fmt: skip
    assert found["files"]["count"] == 7
    assert found["files"]["largest"] == {"name": "core/base.py", "value": 20}


def test_complexity(house: Path) -> None:
    found = measured(house)["complexity"]
    # 1, the function inside, if; nothing for the comprehension, for `and` and for `or`
    assert found["largest"] == {"name": "shop/till.py: Till.open", "value": 3}
    assert (found["count"], found["median"]) == (5, 1)


def test_loose_types_and_explanations(house: Path) -> None:
    found = measured(house)
    assert found["any"] == 2
    assert found["keys"] == 2  # not Literal["a"], not list["Till"], not .get(LIMIT)
    assert found["comment_share"] == round(1 / 69, 4)
    assert found["docstring_share"] == round((1 + 1 + 4 + 1) / 69, 4)


def test_arrows_and_cycles(house: Path) -> None:
    found = measured(house)
    assert found["arrows_against_map"] == ["core/base.py imports house.shop.till"]
    assert found["unmapped_rooms"] == []
    assert found["cycles"] == [["house.core.base", "house.shop.stock", "house.shop.till"]]


@pytest.mark.slow
def test_without_a_map_there_are_no_arrows(house: Path) -> None:
    (house.parents[1] / "docs" / "architecture.md").unlink()
    found = measured(house)
    assert (found["arrows_against_map"], found["unmapped_rooms"]) == (None, None)
    assert "no map" in run("--source", house)


def test_options_told_twice(house: Path) -> None:
    found = measured(house)
    assert found["options"] == 3  # coins, notes, force: an argument is no option, a help by reference not written twice
    assert found["told_twice"] == [
        "commands/pay.py: pay coins, also PayConfig",
        "commands/pay.py: pay notes, also PayConfig",
    ]


@pytest.mark.slow
def test_large_ones_are_named(house: Path) -> None:
    body = "\n".join(["def long():", *(f"    x{i} = {i}" for i in range(60))])
    ways = "\n".join(["def winding(x):", *(f"    if x == {i}:\n        return {i}" for i in range(10)), "    return x"])
    (house / "shop" / "long.py").write_text(f"{body}\n\n\n{ways}\n" + "\n" * 300)
    found = measured(house)
    assert found["functions"]["too_large"] == [{"name": "shop/long.py: long", "value": 61}]
    assert found["files"]["too_large"] == [{"name": "shop/long.py", "value": 61 + 2 + 22 + 300}]
    assert found["complexity"]["too_large"] == [{"name": "shop/long.py: winding", "value": 11}]
    page = run("--source", house)
    assert "   61  shop/long.py: long" in page
    assert "core/base.py imports house.shop.till" in page


@pytest.mark.slow
def test_speed(house: Path) -> None:
    found = measured(house, "--slow")["seconds"]
    assert list(found) == ["python alone", "import house", "house --help", "house pay --help"]
    assert all(0 < seconds < 60 for seconds in found.values())


def test_a_folder_without_python_is_refused(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--source", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "--source" in done.stderr
