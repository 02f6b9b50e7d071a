"""Documentation is true: its commands exist, its Python runs, its links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from synthoma.commands.app import COMMANDS, command_of

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands(text: str) -> list[list[str]]:
    """Lines in code blocks that begin with synthoma."""
    blocks = re.findall(r"```bash\n(.*?)```", text, flags=re.S) + re.findall(r"(?:^    .*\n)+", text, flags=re.M)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("synthoma ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_exist(page: Path) -> None:
    for words in commands(page.read_text(encoding="utf-8")):
        command = command_of(words[1])
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        used = {word.split("=")[0] for word in words[2:] if word.startswith("-")}
        assert used <= known, f"{' '.join(words)}: {sorted(used - known)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.slow
def test_phantom_page_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "phantom.md").read_text(encoding="utf-8"), flags=re.S)
    exec(compile(code, "phantom.md", "exec"), {})
    assert "(" in capsys.readouterr().out


def test_readme_names_every_command() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(f"synthoma {name}" in text for name in COMMANDS)


def test_settings_of_the_phantom_page_are_those_of_the_code() -> None:
    from synthoma.phantom import PhantomConfig

    text = (ROOT / "docs" / "phantom.md").read_text(encoding="utf-8")
    table = text[text.index("## Settings") :]
    assert set(re.findall(r"^\| `(\w+)` \|", table, flags=re.M)) == set(PhantomConfig.model_fields)


def test_no_traces_of_a_machine() -> None:
    """No absolute path of anybody's computer in tracked text."""
    pattern = re.compile(r"(?<![\w./~-])/(?:home|Users|root|work|tmp)/\w")
    folders = ("src", "tests", "benchmarks", "docs")
    files = [
        path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".md", ".html")
    ]
    found = [path for path in files if path != Path(__file__) and pattern.search(path.read_text(encoding="utf-8"))]
    assert found == []


def test_thresholds_of_the_evaluate_page_are_those_of_the_code() -> None:
    from synthoma.evaluation.settings import Thresholds

    text = (ROOT / "docs" / "evaluate.md").read_text(encoding="utf-8")
    section = text[text.index("## Thresholds in a file") : text.index("## Reading the report")]
    table = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", section, flags=re.M))
    assert {name: float(value) for name, value in table.items()} == Thresholds().model_dump()


def test_the_front_page_is_read_in_three_minutes() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)  # addresses of links are not read
    assert len([word for word in text.split() if re.search(r"\w", word)]) <= 700
