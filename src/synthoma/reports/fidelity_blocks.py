"""Realistic, diverse, and whether the scores would have seen a fault: sentences and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from synthoma.evaluation.diverse.result import OVERLAPS
from synthoma.evaluation.realistic.result import JUDGES, ComparedNumber, Spread
from synthoma.evaluation.result import Evaluation
from synthoma.evaluation.score import Families, Score
from synthoma.reports.blocks import Block, family_name, score_name, thresholds_of
from synthoma.reports.plain_words import LESION, radiomics_words
from synthoma.reports.wording import NONE, chance, number, percent, plain, span

SHORT = {"kid": "KID", "sliced_wasserstein": "sliced W2"}

DISTANCES = ("sliced_wasserstein", "kid", "frechet", "frechet_infinity", "precision", "density")

DIVERSITY = {
    "similarity": "likeness of two images of the set (MS-SSIM)",
    "unequal_modes": "clusters of real images that synthetic ones fill too much or too little",
}

_APPEARANCE_TEXT = (
    "Numbers of single slices: mean ± standard deviation on both sides. The effect is the difference of the means in "
    "standard deviations of real slices; the ratio compares the two distributions with what real patients score."
)

_TUMOUR_TEXT = (
    "Of slices with a mask that shows tumour. Area counts as a share of the head; place runs from −1 to 1 over the box "
    "around the head."
)


def realistic(result: Evaluation) -> list[Block | None]:
    """Distances, what differs, how slices and tumours look, whether masks fit, grey values, classes."""
    return [
        _distances(result),
        _splits(result),
        _differs(result),
        _numbers(result.appearance, "appearance", "How slices look", {}, _APPEARANCE_TEXT),
        _numbers(result.tumours, "tumours", "How tumours lie and look", LESION, _TUMOUR_TEXT),
        _agreement(result),
        _greys(result),
        _classes(result),
        _of_others(result),
        _plugged(result),
    ]


def diverse(result: Evaluation) -> list[Block | None]:
    """How much of the real variety is reached, and whether synthetic images differ among themselves."""
    return [_variety(result), _twins(result), _diversity(result)]


def _distances(result: Evaluation) -> Block:
    compared, families = result.compared, result.fidelity.families
    text = [
        f"Distances between synthetic and held-out slices, {compared.count:,} on each side, as multiples of what "
        "real patients score against other real patients (their median is 1), as many of them as there are synthetic "
        "ones. Which patients are held out is chance: where the other real ones lie farther from these very patients "
        "than real ones do as a rule, that is the measure instead (the column “others to the same”). Inside the grey "
        "band a score cannot tell synthetic from real; no single score proves realism. The kernel distance has no "
        "multiple, because its real-against-real value may be 0 or below: it stands in the table."
    ]
    for name, judge in result.fidelity.distinguished.items():
        if judge.value is None:
            continue
        known = [
            ("real patients against others", judge.null_median),
            ("other real scans against the same", judge.others_median),
        ]
        beside = "".join(f"; {what}: {number(median)}" for what, median in known if median is not None)
        text.append(
            f"{JUDGES[name][0].upper() + JUDGES[name][1:]} tells synthetic from held-out slices with an AUC of "
            f"{number(judge.value)} (0.5 is guessing{beside}; p = {chance(judge.p)})."
        )
    return _scored("distances", "Distances to held-out scans", tuple(text), families, DISTANCES)


def _splits(result: Evaluation) -> Block | None:
    found = result.splits
    if found is None:
        return None
    title = "Would other held-out patients say the same?"
    if found.realistic is None or found.diverse is None:
        why = (
            f"Asked for {found.asked:,} other divisions; the generator did not learn from {found.drawn_among:,} "
            "patients or groups, too few to draw others to hold out."
        )
        return Block("splits", title, (why,))
    text = (
        f"Realism and diversity judged again over {len(found.each):,} divisions, each with {found.held_out:,} "
        f"patients or groups held out, drawn among the {found.drawn_among:,} that the generator did not learn from. "
        "Copies and usefulness stay on the cohort's own split.",
    )
    rows = tuple(
        (
            question, ", ".join(f"{state} {count}" for state, count in one.states.items()),
            number(one.median), span(one.low, one.high),
        )
        for question, one in (("realistic", found.realistic), ("diverse", found.diverse))
    )  # fmt: skip
    columns = ("", "answers", "ratio, median", "least to largest")
    return Block("splits", title, text, columns, rows, frozenset({0, 1}))


def _of_others(result: Evaluation) -> Block | None:
    """Scores that the field reports, beside what honest scans get."""
    fidelity = result.fidelity
    rows: list[tuple[str, ...]] = []
    if (radiomics := fidelity.frechet_radiomics) is not None:
        between = span(min(radiomics.null), max(radiomics.null)) if radiomics.null else NONE
        rows.append(("Fréchet radiomics distance", number(radiomics.value), between, "lower"))
    for family, sides in fidelity.authenticity.items():
        name = f"authenticity, {family_name(family)}"
        shares = (NONE if share is None else percent(share) for share in (sides.synthetic, sides.held_out))
        rows.append((name, *shares, "neither"))
    if (pairs := fidelity.pairs) is not None:
        figures = (("SSIM", pairs.ssim, pairs.ssim_others), ("PSNR in dB", pairs.psnr, pairs.psnr_others))
        rows += [
            (f"{name} to the slice that was repainted", number(ours), number(others), "neither")
            for name, ours, others in figures
        ]
    if not rows:
        return None
    text = (
        "Figures that other papers report, beside what honest scans get here; none has a say in an answer. The Fréchet "
        "radiomics distance is the logarithm of the squared distance, by the formula of FRDv1 on the radiomics of this "
        "page: with other features, values of other tools are others too. Authenticity is the share of slices that are "
        "not nearer to a training slice than other training slices are; honest scans score far from 100 %, and altered "
        "copies may score more than honest ones."
        + (" SSIM and PSNR stand beside those of other simulated slices." if pairs is not None else ""),
    )
    columns = ("score", "synthetic", "honest scans", "better")
    return Block("of-others", "Scores that others report", text, columns, tuple(rows), frozenset({0, 3}), folded=True)


def _plugged(result: Evaluation) -> Block | None:
    """Scores that other packages added."""
    if not result.fidelity.own:
        return None
    text = (
        "Scores that are plugged in, each beside what real scans score against one another. None has a say in a light."
    )
    rows = tuple((name, *_score(entry)) for name, entry in result.fidelity.own.items())
    columns = ("score", "value", "95 % interval", "real vs real", "others to the same", "ratio", "p", "N")
    return Block("plugged", "Scores of your own", (text,), columns, rows, frozenset({0}))


def _scored(key: str, title: str, text: tuple[str, ...], families: Families, names: Sequence[str]) -> Block:
    rows = [
        (family_name(family), score_name(name), *_score(scores[name]))
        for family, scores in families.items()
        for name in names
        if name in scores
    ]
    columns = ("features", "score", "value", "95 % interval", "real vs real", "others to the same", "ratio", "p", "N")
    return Block(key, title, text, columns, tuple(rows), frozenset({0, 1}), folded=True)


def _score(entry: Score) -> tuple[str, ...]:
    """Value, interval, null, what other real slices score against the same, ratio, p and N."""
    between = span(min(entry.null), max(entry.null)) if entry.null else NONE
    return (
        number(entry.value), span(entry.low, entry.high), between, number(entry.others_median), number(entry.ratio),
        chance(entry.p), f"{entry.n:,}",
    )  # fmt: skip


def _differs(result: Evaluation) -> Block | None:
    found = result.fidelity.what_differs
    if not found:
        return None
    rows = [
        (
            radiomics_words(one.feature), one.feature, number(one.effect, signed=True),
            number(one.others, signed=True), number(one.real), number(one.synthetic), chance(one.p),
        )
        for one in found
    ]  # fmt: skip
    text = (
        "Named features in which synthetic slices are farthest from held-out ones, in standard deviations of real "
        "slices: 0 is no difference, 1 is large. p takes into account that all features were looked at. Orange bars "
        f"are more than chance (p ≤ {plain(thresholds_of(result).alpha)})."
    )
    columns = ("what", "feature", "effect", "other real scans", "real", "synthetic", "p")
    return Block("differs", "What differs", (text,), columns, tuple(rows), frozenset({0, 1}), folded=True)


def _numbers(
    found: Mapping[str, ComparedNumber], key: str, title: str, names: Mapping[str, str], text: str
) -> Block | None:
    if not found:
        return None
    rows = [
        (
            names.get(name, name), _mean(entry.real), _mean(entry.synthetic),
            number(entry.effect, signed=True), number(entry.ratio), chance(entry.p),
        )
        for name, entry in found.items()
    ]  # fmt: skip
    return Block(key, title, (text,), ("", "real", "synthetic", "effect", "ratio", "p"), tuple(rows))


def _mean(entry: Spread) -> str:
    return f"{number(entry.mean)} ± {number(entry.deviation)}"


def _agreement(result: Evaluation) -> Block | None:
    found = result.agreement
    if found is None:
        return None
    rows = [
        (name, number(side.value), span(side.low, side.high), f"{side.n:,}")
        for side, name in ((found.real, "held-out real slices"), (found.synthetic, "synthetic slices"))
    ]
    gap = found.gap or 0.0
    text = (
        "A detector that learned from real training scans only outlines slices that it never saw. Where it agrees with "
        "real masks but not with synthetic ones, the generator's masks do not lie on its tumours. Here synthetic masks "
        f"agree {'less' if gap > 0 else 'more'}, by {number(abs(gap))} Dice."
    )
    if found.rejected and len(found.rejected) == found.synthetic.n:
        text += " Not even the pairs on which it agrees best agree as real ones do; --keep leaves all of them out."
    elif found.rejected:
        text += (
            f" Without the worst {len(found.rejected):,} of {found.synthetic.n:,} synthetic pairs "
            f"({percent(found.rejected_share or 0.0)}) the others would agree as real ones do; --keep leaves them out."
        )
    columns = ("", "Dice with the detector", "95 % interval", "slices")
    return Block("agreement", "Do masks lie on tumours?", (text,), columns, tuple(rows))


def _greys(result: Evaluation) -> Block | None:
    found = result.intensities
    if found is None:
        return None
    named = (("synthetic and held-out scans", found.synthetic), ("training and held-out scans", found.null))
    rows = [(title, number(one.wasserstein_1), number(one.kolmogorov_smirnov)) for title, one in named]
    warning = (
        "What this graph cannot show: where in the picture the grey values lie. Pixels shuffled at random, or one "
        "image repeated a thousand times, have a perfect histogram."
    )
    columns = ("", "Wasserstein-1", "Kolmogorov–Smirnov")
    return Block("greys", "Grey values", (), columns, tuple(rows), warning=warning)


def _classes(result: Evaluation) -> Block | None:
    rows: list[tuple[str, ...]] = []
    for name, inside in result.classes.items():
        sizes = f"{inside.held_out:,} / {inside.synthetic:,}"
        for family, scores in inside.families.items():
            for score, entry in scores.items():
                value, _, between, others, ratio, p, _ = _score(entry)
                rows.append((name, sizes, family_name(family), score_name(score), value, between, others, ratio, p))
    if not rows:
        return None
    text = ("The main scores within each class, against real slices of the same class.",)
    columns = (
        "class", "real / synthetic", "features", "score", "value", "real vs real", "others to the same", "ratio", "p",
    )  # fmt: skip
    return Block("classes", "Class by class", text, columns, tuple(rows), frozenset({0, 2, 3}), folded=True)


def _variety(result: Evaluation) -> Block:
    text = (
        "Recall is the share of real slices that lie among the synthetic ones, coverage the share that have a "
        "synthetic slice near them; both beside what other real patients reach. A generator that repeats itself has "
        "low values.",
    )
    title = "How much of the real variety is reached"
    return _scored("variety", title, text, result.fidelity.families, OVERLAPS)


def _twins(result: Evaluation) -> Block | None:
    found = result.fidelity.twins
    if found is None:
        return None
    limits = thresholds_of(result)
    rows: tuple[tuple[str, str, str], ...] = (
        ("synthetic slices, across cases", percent(found.share), f"{found.n:,}"),
        ("real slices, across patients", percent(found.real_share), f"{found.real_n:,}"),
    )
    if found.within is not None and found.share > 0:
        of_one = ("synthetic slices, with one of their own simulated patient", percent(found.within), f"{found.n:,}")
        rows = (rows[0], of_one, rows[1])
    text: tuple[str, ...] = (
        f"Slices with a near-identical one beside them: correlation above {plain(found.alike)} at {found.side} "
        "pixels, also left for right. Real slices are compared with those of other patients, synthetic ones with all "
        "that are offered as other images, whatever they were made from; slices of one synthetic volume are not "
        "compared. A share beyond that of real slices is FAIR from "
        f"{percent(limits.twins_share)} on, POOR from {percent(limits.many_twins)} on.",
    )
    if found.spare:
        text = (*text, f"Without {len(found.spare):,} of them no two would be twins; --keep leaves these out.")
    columns = ("", "have a twin", "slices")
    return Block("twins", "Are there twins?", text, columns, rows)


def _diversity(result: Evaluation) -> Block | None:
    found = result.fidelity.diversity
    rows = [(DIVERSITY[key], *_score(found[key])) for key in DIVERSITY if key in found]
    if not rows:
        return None
    text = ("High values are a collapse: images that are all alike, or kinds of images that are missing.",)
    columns = ("", "value", "real vs real", "others to the same", "ratio", "p", "N")
    # Without the interval, which these scores do not have.
    kept = tuple((name, value, between, *rest) for name, value, _, between, *rest in rows)
    return Block("diversity", "Do synthetic images differ among themselves?", text, columns, kept)
