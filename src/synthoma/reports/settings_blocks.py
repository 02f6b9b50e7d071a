"""Thresholds, settings, words and provenance of an evaluation, as tables."""

from __future__ import annotations

from synthoma.core.config import Config
from synthoma.evaluation.result import Evaluation, SyntheticSource
from synthoma.evaluation.settings import Thresholds
from synthoma.reports.blocks import Block, thresholds_of
from synthoma.reports.wording import NONE, plain


def settings(result: Evaluation) -> list[Block | None]:
    """Thresholds, the words, all settings, provenance."""
    config = result.provenance.config
    thresholds = thresholds_of(result)
    of_thresholds = _described(thresholds)
    of_config = _described(config) + _described(config.utility, "utility.")
    fixed = (
        "They were fixed before anything was measured. `synthoma evaluate --print-config` writes them as a file, "
        "`--config FILE` reads one.",
    )
    head = ("setting", "value", "meaning")
    return [
        Block("thresholds", "Thresholds", fixed, head, of_thresholds, frozenset({0, 2})),
        Block("words", "What the words mean", (), ("word", "meaning"), _words(thresholds), frozenset({0, 1})),
        Block("config", "Settings", (), head, of_config, frozenset({0, 2}), folded=True),
        Block("provenance", "Provenance", (), ("", ""), tuple(provenance_rows(result)), frozenset({0, 1}), folded=True),
    ]


def _described(config: Config, prefix: str = "") -> tuple[tuple[str, ...], ...]:
    """Name, value and meaning of each setting that was written, without those that are settings themselves."""
    fields = type(config).model_fields
    values = [(name, getattr(config, name)) for name in fields if name in config.model_fields_set]
    return tuple(
        (f"`{prefix}{name}`", _value(value), fields[name].description or "")
        for name, value in values
        if not isinstance(value, Config)
    )


def _value(value: object) -> str:
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(_value, value)) if isinstance(value, list | tuple) else str(value)


def _words(thresholds: Thresholds) -> tuple[tuple[str, str], ...]:
    of = {name: plain(value) for name, value in thresholds}
    return (
        ("HELPS", "detectors learn more with it than with duplicated real scans and than with plain ones; no other "
         "answer is bad"),
        ("NO EVIDENCE", "it was tested and did not help, or it is not realistic, not diverse or not private"),
        ("CANNOT TELL", "not tested, or too few patients to see an effect of the size that matters"),
        ("HARMS", "detectors learn worse with it"),
        ("realistic", f"GOOD up to {of['realistic_ratio']} times the real-against-real distance or where chance gives "
         f"as much, POOR from {of['unrealistic_ratio']} times or if masks agree less by more than "
         f"{of['agreement_gap']} Dice"),
        ("diverse", f"GOOD from {of['diverse_share']} of the real variety or where chance gives as little, POOR up to "
         f"{of['poor_share']}"),
        ("private", f"POOR if copies were found, GOOD if their share is at most {of['copies_share']} (95 %), else "
         "FAIR"),
        ("useful", f"GOOD is HELPS, FAIR is NO EVIDENCE, POOR is HARMS; NO EVIDENCE is said only if a gain of "
         f"{of['least_effect']} would have been found"),
    )  # fmt: skip


def provenance_rows(result: Evaluation) -> list[tuple[str, str]]:
    """Where the cohorts came from, and what scored them: hashes, seeds, versions."""
    provenance = result.provenance
    made = provenance.synthetic
    rows: list[tuple[str, object]] = [
        ("schema", result.version),
        ("real cohort", provenance.real.origin),
        ("real images.npy, SHA-256", provenance.real.images_sha256),
        ("synthetic cohort", made.origin),
        ("synthetic images.npy, SHA-256", made.images_sha256),
        ("made by", made.source),
        ("model, SHA-256", made.model_sha256),
        ("seed of the images", made.seed),
        ("truncation", made.truncation),
        ("share that its discriminator kept", made.kept_share),
        ("learned from", learned_from(made)),
        *((f"features “{name}”", version) for name, version in provenance.extractors.items()),
        *((name, version) for name, version in provenance.software.items()),
    ]
    return [(name, str(value)) for name, value in rows if value not in (None, "")]


def learned_from(made: SyntheticSource) -> str:
    """How much the generator learned from; empty where its cohort does not say."""
    trained = made.trained_on
    if trained is None:
        return ""
    counted = [f"{trained.slices:,} slices"] if trained.slices is not None else []
    if trained.groups:
        counted.append(f"{trained.groups:,} patients or groups")
    return " of ".join(counted)
