"""Sums of concepts: their grammar, their lengths, and what a generator draws of them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthoma.core.errors import ConfigError
from synthoma.core.pictures import grey
from synthoma.generators.arithmetic import Place, Studio, Term, arithmetic_sheet, result_of, terms_of
from synthoma.generators.sampling import Sampler, generate_cohort
from tests.toys import halves, train_toy, write_cohort


def test_terms_are_numbers_or_classes() -> None:
    assert terms_of(" 12,15, 18 - 3,4 + 7 ", ()) == [Term(1, (12, 15, 18)), Term(-1, (3, 4)), Term(1, (7,))]
    assert terms_of("no-tumour - yes + 7", ("no-tumour", "yes")) == [
        Term(1, name="no-tumour"), Term(-1, name="yes"), Term(1, (7,)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "classes", "wrong"),
    [
        ("tumour + 7", (), "a model that was not told the classes"),
        ("tumor + 7", ("tumour",), "or a class \\(tumour\\)"),
        ("1,2-3", (), "spaces around"),
        ("", (), "numbers of images"),
        ("1 + ", (), "numbers of images"),
        ("- 1", (), "numbers of images"),
        ("1,²", (), "numbers of images"),
        ("tumour - healthy", ("tumour", "healthy"), "an image by number"),
        (" + ".join("123456789"), (), "at most 8 terms"),
        (",".join("123456789"), (), "at most 8 images"),
    ],
)
def test_what_is_no_sum_is_refused(text: str, classes: tuple[str, ...], wrong: str) -> None:
    with pytest.raises(ConfigError, match=wrong):
        terms_of(text, classes)


def test_a_result_is_as_long_as_the_images_named() -> None:
    none = np.zeros(0)
    codes = np.array([[3.0, 4.0, 0.0], [0.0, 5.0, 0.0], [0.0, 0.0, 5.0]])
    terms = [Term(1, (0, 1)), Term(-1, (2,))]
    means = [Place(codes[:2].mean(axis=0), none), Place(codes[2], none)]
    found = result_of(terms, means, np.linalg.norm(codes, axis=1)).code
    direction = np.array([1.5, 4.5, -5.0])
    assert found == pytest.approx(5 * direction / np.linalg.norm(direction))
    alone = result_of([Term(1, (0,))], [Place(codes[0], none)], np.array([5.0]))
    assert alone.code == pytest.approx(codes[0])
    with pytest.raises(ConfigError, match="cancel out"):
        result_of([Term(1, (0,)), Term(-1, (0,))], [Place(codes[0], none)] * 2, np.array([5.0, 5.0]))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A conditional model that has learned a little."""
    place = tmp_path_factory.mktemp("arithmetic")
    images, names = halves(40)
    cohort = write_cohort(place / "cohort", images, names)
    train_toy(cohort, place / "run", images=160, snapshots=1, conditional=True)
    return place / "run"


@pytest.mark.slow
def test_an_image_by_number_is_that_of_the_cohort_and_a_class_can_be_changed(run: Path, tmp_path: Path) -> None:
    sampler, studio = Sampler.open(run), Studio(Sampler.open(run), seed=5)
    for name in ("turns", "left"):
        (tmp_path / name).mkdir()
    turns = generate_cohort(sampler, tmp_path / "turns", 8, seed=5)  # left, right in turn
    left = generate_cohort(sampler, tmp_path / "left", 8, seed=5, label="left")
    shown = studio.pictures([studio.place(number) for number in range(8)])
    assert all(_near(shown[number], grey(np.asarray(turns.images[number, 0], np.float32))) for number in range(8))
    terms = terms_of("left - right + 3", ("left", "right"))  # 3 is a right one
    lengths = np.array([np.linalg.norm(studio.place(3).code)])
    (changed,) = studio.pictures([result_of(terms, [studio.mean(term) for term in terms], lengths)])
    assert _near(changed, grey(np.asarray(left.images[3, 0], np.float32)))
    assert not _near(changed, shown[3])


@pytest.mark.slow
def test_the_sheet_is_a_function_of_model_seed_and_sum(run: Path) -> None:
    sampler = Sampler.open(run)
    one, same, other = (arithmetic_sheet(sampler, seed, "1,3 - 2 + 6") for seed in (0, 0, 1))
    assert one == same != other
    wide, high = Image.open(io.BytesIO(one)).size
    assert high == 4 * 132  # three terms and the result
    assert wide == 9 * 132 + 330  # the result and eight neighbours


def _near(one: np.ndarray, other: np.ndarray) -> bool:
    return int(np.abs(one.astype(int) - other).max()) <= 2  # a cohort holds halves
