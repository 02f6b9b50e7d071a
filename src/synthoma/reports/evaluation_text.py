"""An evaluation as Markdown: the same sentences and tables as on its page, without pictures."""

from __future__ import annotations

from collections.abc import Sequence

from synthoma._version import __version__
from synthoma.evaluation.result import Evaluation
from synthoma.reports.blocks import Block
from synthoma.reports.evaluation_content import QUESTIONS, compared_sentence, figure, sections
from synthoma.reports.wording import NONE, sentence


def evaluation_markdown(result: Evaluation, name: str = "a synthetic cohort") -> str:
    """The whole evaluation as Markdown text.

    Args:
        result: the evaluation.
        name: of the synthetic cohort.
    """
    parts = [
        f"# Evaluation of {escaped(name)}",
        verdict_line(result),
        lights_table(result),
        escaped(compared_sentence(result)),
    ]
    for section in sections(result):
        parts.append(f"## {escaped(section.title)}")
        for block in section.blocks:
            parts += block_lines(block)
    parts.append(f"*Written by Synthoma {__version__}. Research software: not a medical device, not for diagnosis.*")
    return "\n\n".join(parts) + "\n"


def verdict_line(result: Evaluation) -> str:
    """The word and its reason."""
    return f"**{result.verdict.word}**: {escaped(sentence(result.verdict.because))}"


def lights_table(result: Evaluation) -> str:
    """The four questions with their answers."""
    rows = [
        (QUESTIONS[light.question], light.state, figure(light, result)[0] or NONE,
         sentence(light.text))
        for light in result.lights
    ]  # fmt: skip
    return table(("", "answer", "figure", "what was found"), rows, frozenset({0, 1, 3}))


def splits_lines(result: Evaluation) -> list[str]:
    """What other divisions of the patients said, a line each question; none where they were not asked for."""
    found = result.splits
    if found is None:
        return []
    if found.realistic is None or found.diverse is None:
        return [f"splits     none drawn: {found.drawn_among} unseen groups are too few"]
    lines = []
    for question, one in (("realistic", found.realistic), ("diverse", found.diverse)):
        states = ", ".join(f"{state} {count}" for state, count in one.states.items())
        far = f", {one.low:.2f}x to {one.high:.2f}x" if one.low is not None and one.high is not None else ""
        lines.append(f"{question:<10} over {len(found.each)} other divisions of the patients: {states}{far}")
    return lines


def block_lines(block: Block) -> list[str]:
    """A block as paragraphs of Markdown."""
    lines = [f"### {escaped(block.title)}"] if block.title else []
    lines += [escaped(text) for text in block.text]
    if block.items:
        lines.append("\n".join(f"- {escaped(item)}" for item in block.items))
    if block.warning:
        lines.append(f"> {escaped(block.warning)}")
    if block.rows:
        over = [f"{name}: " for name, count in block.groups for _ in range(count)]
        columns = (
            [above + name for above, name in zip(["", *over], block.columns, strict=True)] if over else block.columns
        )
        lines.append(table(columns, block.rows, block.words))
    return lines


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], words: frozenset[int]) -> str:
    """A Markdown table; columns of words are aligned to the left, figures to the right."""
    ruler = ["---" if number in words else "---:" for number in range(len(columns))]
    lines = [[escaped(cell) for cell in row] for row in (columns, *rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (lines[0], ruler, *lines[1:]))


def escaped(text: str) -> str:
    """Text that cannot become a column, a line or markup. What stands between backticks stays code."""
    flat = " ".join(text.split())
    return flat.replace("<", "&lt;").replace("|", "\\|").replace("[", "\\[").replace("*", "\\*")
