"""Cards of a synthetic cohort and of the model behind it.

The cards are those of the Hugging Face Hub (Mitchell et al. 2019, "Model cards for model reporting"): front matter that
machines read, then sections for people.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from synthoma._version import __version__
from synthoma.cohorts.cohort import Cohort
from synthoma.cohorts.meta import CohortMeta
from synthoma.evaluation.diverse.result import OVERLAPS
from synthoma.evaluation.result import Evaluation
from synthoma.reports.bias import bias_note
from synthoma.reports.blocks import Block
from synthoma.reports.evaluation_content import compared_sentence, sections
from synthoma.reports.evaluation_text import block_lines, escaped, lights_table, table, verdict_line
from synthoma.reports.settings_blocks import learned_from, provenance_rows
from synthoma.reports.utility_blocks import decisive, worth_sentence
from synthoma.reports.wording import gain, sentence

NAME = "synthetic-brain-mri"
NOT_MEASURED = "not measured"
NOT_CLINICAL = (
    "Not for clinical use. These images show no person. Neither they nor what is trained on them may guide a diagnosis "
    "or a treatment."
)
LICENCE = (
    "The licence is the owner's to choose, within what the licence and the consent of the scans behind these images "
    "allow."
)


def dataset_card(result: Evaluation, synthetic: CohortMeta, *, real: Cohort | None = None, name: str = NAME) -> str:
    """The card of the synthetic cohort, as Markdown.

    Args:
        result: the evaluation.
        synthetic: what the synthetic cohort says of itself.
        real: the cohort that was learned from; without it the card does not say who was.
        name: of the cohort.
    """
    front = {
        "pretty_name": name,
        "license": "unknown",
        "task_categories": _tasks(synthetic),
        "size_categories": [_size(synthetic.slices)],
        "tags": ["medical", "mri", "brain", "tumour", "synthetic", "not-for-clinical-use"],
    }
    parts = [
        _front_matter(front),
        f"# {escaped(name)}",
        f"**{NOT_CLINICAL}**",
        "## What it is",
        escaped(what_it_is(synthetic)),
        "## How it was made",
        escaped(how_it_was_made(result)),
        _facts(result),
        *_bias(real),
        "## What was measured",
        escaped(compared_sentence(result)),
        verdict_line(result),
        lights_table(result),
        *_findings(result),
        "## Scorecard",
        "The seven headings of the scorecard for synthetic medical data of the FDA's researchers (Zamzmi et al. 2025), "
        "filled from what was measured here.",
        table(("heading", "what it asks", "what was measured"), scorecard(result, synthetic), frozenset({0, 1, 2})),
        "## Privacy",
        *block_lines(block_of(result, "copies")),
        "## Limits",
        *block_lines(block_of(result, "limits")),
        "## Licence",
        LICENCE,
    ]
    return "\n\n".join(parts) + "\n"


def scorecard(result: Evaluation, synthetic: CohortMeta) -> list[tuple[str, str, str]]:
    """The seven headings of Zamzmi et al. (2025), "Scorecard for synthetic medical data evaluation", as measured.

    Args:
        result: the evaluation.
        synthetic: what the synthetic cohort says of itself.

    Returns:
        Heading, question and answer, "not measured" where it was not.
    """
    lights = {light.question: f"{light.state}: {light.text}" for light in result.lights}
    reached = [
        f"{score} {scores[score].value:.2f} ({family})"
        for family, scores in result.fidelity.families.items()
        for score in OVERLAPS
        if scores[score].value is not None
    ]
    labels = ", ".join(synthetic.labels.values()) or "none"
    have = (
        f"sequences {', '.join(synthetic.modalities)}; classes {', '.join(synthetic.classes)}; masks: "
        f"{labels}; {synthetic.slices:,} slices"
    )
    named = f"named features in which it differs are in the report, of {result.compared.count:,} slices a side"
    limits, spread = _constraints(result), _consistency(result)
    return [
        ("Congruence", "is it distributed as real data are?", lights["realistic"]),
        ("Coverage", "does it reach the variety of real data?", f"{lights['diverse']}; {', '.join(reached)}"),
        ("Constraint", "does it keep to anatomy and physics?", "; ".join(limits) or NOT_MEASURED),
        ("Completeness", "does it hold all that a task needs?", have),
        ("Compliance", "does it respect privacy and rules?", f"{lights['private']}; law and consent: {NOT_MEASURED}"),
        (
            "Comprehension",
            "can one see how it was made and where it fails?",
            f"made and measured as said here; {named}",
        ),
        ("Consistency", "does the answer hold for parts and repeats?", spread),
    ]


def _constraints(result: Evaluation) -> list[str]:
    """What was measured of anatomy: whether masks fit, and how tumours lie and look."""
    limits = []
    if (agreement := result.agreement) is not None:
        limits.append(
            f"masks: Dice {agreement.synthetic.value:.2f} with a detector of real scans "
            f"({agreement.real.value:.2f} of real masks)"
        )
    return limits + [
        f"{name} of tumours {entry.ratio:.1f} times what other patients score"
        for name, entry in result.tumours.items()
        if entry.ratio is not None
    ]


def _consistency(result: Evaluation) -> str:
    """What other divisions of the patients, or single classes, say."""
    splits = result.splits
    if splits is not None and splits.realistic is not None and splits.diverse is not None:
        return f"over {len(splits.each)} other divisions of the patients: " + "; ".join(
            f"{question} {', '.join(f'{state} {count}' for state, count in one.states.items())}"
            for question, one in (("realistic", splits.realistic), ("diverse", splits.diverse))
        )
    if result.classes:
        return f"scores within each class are in the report, of {', '.join(result.classes)}"
    return NOT_MEASURED


def model_card(result: Evaluation, synthetic: CohortMeta, *, real: Cohort | None = None) -> str | None:
    """The card of the generator that made the cohort, as Markdown; None where the cohort names no model.

    Args:
        result: the evaluation.
        synthetic: what the synthetic cohort says of itself.
        real: the cohort that was learned from; without it the card does not say who was.
    """
    made = result.provenance.synthetic
    if not made.model_sha256:
        return None
    name = str(made.source or "a generator").removeprefix("generated by ")
    front = {
        "license": "unknown",
        "pipeline_tag": "unconditional-image-generation",
        "tags": ["medical", "mri", "brain", "generative", "not-for-clinical-use"],
    }
    trained = learned_from(made)
    parts = [
        _front_matter(front),
        f"# {escaped(name)}",
        f"**{NOT_CLINICAL}**",
        "## What it is",
        escaped(
            f"A generator of {synthetic.size} px slices ({', '.join(synthetic.modalities)})"
            + (" with masks" if synthetic.labels else "")
            + (f", trained on {trained}" if trained else "")
            + f". SHA-256 of its file: {made.model_sha256}."
        ),
        "## What it is for",
        "Research on detectors of brain tumours: filling up training sets, and rehearsing methods where scans cannot "
        "be shared.",
        *_bias(real),
        "## What was measured",
        "One cohort that it made was evaluated; another seed gives another cohort, and these figures are of this one.",
        escaped(compared_sentence(result)),
        verdict_line(result),
        lights_table(result),
        *_findings(result),
        "## Privacy",
        "A model may hold more of its training scans than the samples that were looked at show. Sharing the model is "
        "another decision than sharing the cohort.",
        *block_lines(block_of(result, "copies")),
        "## Limits",
        *block_lines(block_of(result, "limits")),
        "## Licence",
        LICENCE,
    ]
    return "\n\n".join(parts) + "\n"


def what_it_is(meta: CohortMeta) -> str:
    """What a cohort holds, in a sentence, from what it says of itself."""
    masks = ", ".join(meta.labels.values())
    return (
        f"{meta.slices:,} {meta.origin} {meta.plane} slices of brain MRI "
        f"({', '.join(meta.modalities)}), {meta.size} x {meta.size} px, of the classes "
        f"{', '.join(meta.classes)}; " + (f"with masks ({masks})." if masks else "without masks.")
    )


def how_it_was_made(result: Evaluation) -> str:
    """By what the synthetic cohort was generated, and from how much, in a sentence or two."""
    made = result.provenance.synthetic
    source = made.source or "a tool that does not say"
    trained = learned_from(made)
    learned = f" The generator learned from {trained}; it was evaluated on others." if trained else ""
    return f"{sentence(str(source))}{learned} Described by Synthoma {__version__}."


def _bias(real: Cohort | None) -> list[str]:
    """Who was learned from, and whom that may serve badly."""
    if real is None:
        return []
    rows, warnings = bias_note(real)
    told = [
        "## Whom it may serve badly",
        "Counted in the training split of the real cohort. A model knows what it has seen, and what it draws has the "
        "same gaps; synthetic images add no patients of a kind that was missing.",
        table(("of whom", "patients or groups"), rows, frozenset({0, 1})),
    ]
    return told + (["\n".join(f"- {escaped(text)}" for text in warnings)] if warnings else [])


def _facts(result: Evaluation) -> str:
    return table(("", ""), provenance_rows(result), frozenset({0, 1}))


def _findings(result: Evaluation) -> list[str]:
    """The headline of usefulness, where it was tested."""
    best, utility = decisive(result.utility), result.utility
    if best is None or utility is None:
        return ["Whether it helps a detector was not tested."]
    found = (
        f"{sentence(utility.endpoint)[:-1]} of the best mixture of real and synthetic scans against real scans "
        f"duplicated to the same count: {gain(best)}, over {utility.held_out_patients:,} patients."
    )
    worth = [worth_sentence(utility.worth)] if utility.worth is not None else []
    return [escaped(text) for text in (found, *worth)]


def block_of(result: Evaluation, key: str) -> Block:
    """The block of the report that has this key."""
    return next(block for section in sections(result) for block in section.blocks if block.key == key)


def _tasks(meta: CohortMeta) -> list[str]:
    tasks = ["image-segmentation"] if meta.labels else []
    return [*tasks, "image-classification"] if len(meta.classes) > 1 else tasks or ["unconditional-image-generation"]


def _size(count: int) -> str:
    """The Hub's word for a number of rows."""
    edges = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")]
    return next((word for edge, word in edges if count < edge), "n>1M")


def _front_matter(values: Mapping[str, str | Sequence[str]]) -> str:
    """YAML of texts and lists of texts; JSON's quotes are YAML's."""
    lines = []
    for key, value in values.items():
        if isinstance(value, str):
            lines.append(f"{key}: {json.dumps(value, ensure_ascii=False)}")
        else:
            lines += [f"{key}:", *(f"- {json.dumps(item, ensure_ascii=False)}" for item in value)]
    return "\n".join(["---", *lines, "---"])
