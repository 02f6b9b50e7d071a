"""Values of forms, each checked, as options of commands: none can become another option."""

from __future__ import annotations

import re
from collections.abc import Mapping

from synthoma.core.untrusted import check_names
from synthoma.studio.refusal import RefusedError

Form = Mapping[str, str]

SLICES = ("all", "tumour")
MODALITIES = ("flair", "t1", "t1c", "t2")
PLAIN = "image"
DESIGNS = ("single", "pairs")
LOBES = ("frontal", "temporal", "parietal", "occipital", "deep", "posterior fossa")
SIDES = ("left", "right")
GRADES = ("mixed", "low", "high")
FILES = ("png", "nifti", "dicom")
FIRST_LOOK = 12
"""Slices that are drawn to look at before many are."""
MOST_ROWS = 150
"""Cases that a form corrects one by one."""
PRESETS = ("quick", "standard", "full")
MODELS = (
    "auto", "phantom-gan", "wgan-gp", "dcgan", "relativistic", "flow", "unet-25d", "cnn",
)  # fmt: skip
"""Models that the form offers; the command line has them all."""


CONVENTION = re.compile(r"[A-Za-z0-9][\w=,. -]{0,200}")
"""What may stand for a convention; `prepare` says whether there is one of that name."""
SUM = re.compile(r"[\w,+ .()-]{1,200}")
"""What may stand for a sum of images or classes."""


def understanding(form: Form) -> list[str]:
    """How masks are read, and how many patients are held out."""
    words = list[str]()
    if convention := form.get("convention", "").strip():
        if not CONVENTION.fullmatch(convention):
            raise not_so("convention", "a name such as brats-2023, or 1=oedema,2=core,3=enhancing,")
        words.append(f"--convention={convention}")
    if form.get("merge"):
        words.append("--merge=whole-tumour")
    return [*words, *held(form)]


def held(form: Form) -> list[str]:
    """How many patients are held out; nothing where the form does not say."""
    if form.get("test"):
        test, validation = (real_of(form, name, 0, 90) / 100 for name in ("test", "validation"))
        if test + validation >= 1:
            raise not_so("test and validation", "less than 100 % together")
        return [f"--split={1 - test - validation:.4g},{validation:.4g},{test:.4g}"]
    return []


def dials_of(form: Form, place: str = "") -> list[str]:
    """The dials of a tumour as options; what is left to chance is left out.

    Args:
        form: ``ml`` where ``size_wanted``, ``contrast``, ``oedema`` where ``oedema_wanted``, ``grade``, and so on.
        place: in place of the form's lobe and side.
    """
    words = [f"--grade={choice_of(form, 'grade', GRADES)}"]
    if form.get("size_wanted"):
        words.append(f"--size-ml={real_of(form, 'ml', 0.5, 200):g}")
    words.append(f"--contrast={real_of(form, 'contrast', 0.1, 2.5):g}")
    for name, high in (("oedema", 0.95), ("enhancing", 1.0)):
        if form.get(f"{name}_wanted"):
            words.append(f"--{name}={real_of(form, name, 0, high):g}")
    named = " ".join(filter(None, (choice_of(form, "side", ("", *SIDES)), choice_of(form, "lobe", ("", *LOBES)))))
    if place or named:
        words.append(f"--place={place or named}")
    return words


def drawn(form: Form) -> list[str]:
    """What images are to be like, and what is written beside them."""
    words = []
    if label := form.get("label", ""):
        check_names([label], "classes", "the form")
        words.append(f"--class={label}")
    if form.get("truncation") and (truncation := real_of(form, "truncation", 0.05, 1)) < 1:
        words.append(f"--truncation={truncation:g}")
    if form.get("keep") and (keep := real_of(form, "keep", 0.05, 1)) < 1:
        words.append(f"--reject-discriminator={keep:g}")
    if form.get("size_wanted"):
        words.append(f"--tumour-ml={real_of(form, 'ml', 0.5, 200):g}")
    for name, choices in (("lobe", LOBES), ("side", SIDES)):
        if value := choice_of(form, name, ("", *choices)):
            words.append(f"--tumour-{name}={value}")
    if form.get("interpolation"):
        words.append("--interpolation")
    if arithmetic := form.get("arithmetic", "").strip():
        if not SUM.fullmatch(arithmetic):
            raise not_so("arithmetic", "a sum such as 12,15,18 - 3,4 + 7")
        words.append(f"--arithmetic={arithmetic}")
    if files := choice_of(form, "files", ("", *FILES)):
        words.append(f"--export={files}")
    return words


def common(form: Form) -> list[str]:
    """Settings of every cohort."""
    size = whole_of(form, "size", 16, 512)
    words = [
        f"--size={size}",
        f"--slices={choice_of(form, 'slices', SLICES)}",
        f"--every={whole_of(form, 'every', 1, 99)}",
    ]
    wanted = [name for name in MODALITIES if form.get(f"modality_{name}")]
    return [*words, f"--modalities={','.join(wanted)}"] if wanted else words


def budget(form: Form) -> list[str]:
    """Minutes or images, exactly one of them."""
    if form.get("images"):
        return [f"--images={whole_of(form, 'images', 1, 10**9)}"]
    return [f"--minutes={real_of(form, 'minutes', 0.1, 525_600):g}"]


def whole_of(form: Form, name: str, low: int, high: int) -> int:
    """A field that is a whole number in a range.

    Raises:
        RefusedError: anything else.
    """
    text = form.get(name, "").strip()
    if not (text.isascii() and text.isdigit() and len(text) < 12 and low <= int(text) <= high):
        raise not_so(name, f"a whole number from {low:,} to {high:,}")
    return int(text)


def real_of(form: Form, name: str, low: float, high: float) -> float:
    """A field that is a number in a range.

    Raises:
        RefusedError: anything else.
    """
    try:
        value = float(form.get(name, ""))
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise not_so(name, f"a number from {low:g} to {high:g}")
    return value


def choice_of(form: Form, name: str, choices: tuple[str, ...]) -> str:
    """A field that is one of some words; the first where the form does not have it.

    Raises:
        RefusedError: anything else.
    """
    value = form.get(name, choices[0])
    if value not in choices:
        raise not_so(name, f"one of {', '.join(filter(None, choices))}")
    return value


def not_so(name: str, wanted: str) -> RefusedError:
    """What a wrong field is refused with."""
    return RefusedError(422, f"{wanted} for {name}", "something else", "correct it in the form")
