"""From filled-in files to a verdict."""

from __future__ import annotations

import csv
import itertools
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from scipy import stats

import synthoma
from synthoma.core.errors import InputError
from synthoma.evaluation.readers.result import Figure, Pooled, read_readers
from synthoma.evaluation.readers.verdict import verdict
from synthoma.metrics.signal_detection import detected
from tests.evaluation.readers.conftest import truth_of, write_answers

OTHER = {"real": "synthetic", "synthetic": "real", "left": "right", "right": "left"}


def right(item: Mapping[str, str]) -> str:
    """The true answer."""
    return item["truth"]


def wrong_in(count: int, kind: str) -> Callable[[Mapping[str, str]], str]:
    """An answerer who is wrong in the first so many items of a kind that are no repeats, and right else."""
    asked = itertools.count()

    def answer(item: Mapping[str, str]) -> str:
        misled = item["truth"] == kind and item["repeats"] is None and next(asked) < count
        return OTHER[item["truth"]] if misled else item["truth"]

    return answer


def test_counts_of_a_reader_are_those_of_the_file(blinded: Path, tmp_path: Path) -> None:
    """12 of 16 real ones found, and 16 of 16 synthetic ones; repeats do not count twice."""
    file = write_answers(blinded, tmp_path / "answers-A.csv", wrong_in(4, "real"))
    found = synthoma.turing_score(blinded, file, tmp_path / "result")
    (one,) = found.readers
    assert (one.real_as_real.right, one.real_as_real.count) == (12, 16)
    assert (one.synthetic_as_synthetic.right, one.synthetic_as_synthetic.count) == (16, 16)
    assert (one.accuracy.right, one.accuracy.count, one.missing) == (28, 32, 0)
    assert one.p == pytest.approx(stats.binomtest(28, 32).pvalue)
    wanted = detected(12, 16, 0, 16)
    assert (one.d.value, one.d.low, one.d.high) == (wanted.d.value, wanted.d.low, wanted.d.high)
    assert one.c.value == wanted.c.value
    assert one.c.value is not None
    assert one.c.value > 0  # leans to synthetic
    assert (found.pooled.d, found.pooled.about) == (one.d, "these readers")
    assert found.verdict.word == "TOLD APART"
    assert "readers told them apart: d' " in found.verdict.text
    assert read_readers(tmp_path / "result") == found
    assert [item.truth for item in found.mistaken] == ["real"] * 4


def test_pairs_count_by_the_side_of_the_real_one(paired: Path, tmp_path: Path) -> None:
    """Always left: half are right, d' is 0 and the bias is all there is."""

    def mark(side: str) -> Callable[[Mapping[str, str]], int]:
        return lambda item: 5 if item["truth"] == side else 1

    file = write_answers(
        paired, tmp_path / "answers-A.csv", lambda item: "left", quality_left=mark("left"), quality_right=mark("right")
    )
    found = synthoma.turing_score(paired, file, tmp_path / "result")
    (one,) = found.readers
    assert (one.accuracy.right, one.accuracy.count) == (6, 12)
    assert one.d.value == pytest.approx(0, abs=1e-12)
    assert one.c.value is not None
    assert one.c.value < -1
    assert any("same answer to everything" in text for text in found.remarks)
    assert one.quality is not None
    assert (one.quality.real, one.quality.synthetic, one.quality.superiority) == (5, 1, 1)
    # A repeat has changed sides: who says left again has said something else.
    assert one.repeats is not None
    assert one.repeats.same.right == 0
    sure = write_answers(paired, tmp_path / "answers-B.csv", right)
    (two,) = synthoma.turing_score(paired, sure, tmp_path / "sure").readers
    assert (two.accuracy.right, two.repeats and two.repeats.same.right) == (12, 3)


def test_what_is_missing_is_counted_and_not_taken_for_wrong(blinded: Path, tmp_path: Path) -> None:
    skipped = itertools.count()

    def answer(item: Mapping[str, str]) -> str:
        return "" if item["repeats"] is None and next(skipped) < 5 else item["truth"]

    found = synthoma.turing_score(blinded, write_answers(blinded, tmp_path / "answers-A.csv", answer), tmp_path / "r")
    (one,) = found.readers
    assert (one.answered, one.missing, one.accuracy.right, one.accuracy.count) == (27, 5, 27, 27)
    assert any("A left out 5 of 32" in text for text in found.remarks)


@pytest.mark.slow
def test_several_readers(blinded: Path, tmp_path: Path) -> None:
    files = [
        write_answers(
            blinded, tmp_path / f"answers-{name}.csv", wrong_in(count, kind),
            quality=lambda item: 4 if item["truth"] == "real" else 2,
            confidence=lambda item: 5,
            remark=lambda item: "Too smooth, =1+1" if item["truth"] == "synthetic" else "fine",
        )
        for name, count, kind in (("A", 4, "real"), ("B", 8, "synthetic"), ("C", 2, "real"))
    ]  # fmt: skip
    found = synthoma.turing_score(blinded, files, tmp_path / "result")
    assert [one.reader for one in found.readers] == ["A", "B", "C"]
    values = [one.d.value or 0 for one in found.readers]
    assert found.pooled.d.value == pytest.approx(sum(values) / 3)
    assert found.pooled.about == "other readers"
    assert found.pooled.freedom is not None
    assert found.pooled.freedom >= 2
    assert found.pooled.kappa is not None
    assert (found.pooled.kappa.kind, found.pooled.kappa.items) == ("Fleiss", 32)
    assert found.pooled.quality is not None
    assert found.pooled.quality.superiority == 1
    assert found.pooled.quality.p == pytest.approx(stats.mannwhitneyu([4] * 16, [2] * 16).pvalue)
    assert [(one.level, one.share.right, one.share.count) for one in found.pooled.confidence] == [(5, 82, 96)]
    named = {one.word: one.remarks for one in found.words}
    called = sum(1 for one in truth_of(blinded).values() if one["truth"] == "synthetic") * 3 - 8
    assert named == {"smooth": called}
    two = synthoma.turing_score(blinded, files[:2], tmp_path / "two")
    assert two.pooled.kappa is not None
    assert (two.pooled.kappa.kind, two.pooled.about) == ("Cohen", "these readers")
    assert any("two readers" in text for text in two.remarks)
    assert not any("two readers" in text or "one reader" in text for text in found.remarks)
    worst = max(found.mistaken, key=lambda one: one.wrong)
    assert (worst.truth, worst.wrong, worst.answers) == ("real", 2, 3)


def test_the_page_says_it_in_words_and_obeys_no_remark(blinded: Path, tmp_path: Path) -> None:
    file = write_answers(
        blinded, tmp_path / "answers-<b>bold.csv", wrong_in(3, "synthetic"),
        remark=lambda item: "<script>alert(1)</script> =HYPERLINK(1)",
    )  # fmt: skip
    synthoma.turing_score(blinded, file, tmp_path / "result")
    page = (tmp_path / "result" / "report.html").read_text()
    assert "Readers told them apart: d&#39; " in page
    assert "&lt;b&gt;bold" in page
    assert "<b>bold" not in page
    assert "<script>alert" not in page
    assert page.count('<figure><img src="data:image/png') == 3
    with (tmp_path / "result" / "answers.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 40
    assert all(not row["remark"].startswith("=") for row in rows)


def test_not_told_apart_is_no_evidence_of_likeness(blinded: Path, tmp_path: Path) -> None:
    misled = wrong_in(8, "real"), wrong_in(8, "synthetic")

    def answer(item: Mapping[str, str]) -> str:
        return misled[item["truth"] != "real"](item)

    found = synthoma.turing_score(blinded, write_answers(blinded, tmp_path / "answers-A.csv", answer), tmp_path / "r")
    assert found.readers[0].d.value == pytest.approx(0, abs=1e-12)
    assert found.verdict.word == "CANNOT TELL"
    assert "no evidence that they look alike" in found.verdict.text
    page = (tmp_path / "r" / "report.html").read_text()
    assert "indistinguishable" not in page
    assert "would have been seen in 80 %" in page


@pytest.mark.parametrize(
    ("d", "low", "high", "word", "said"),
    [
        (1.2, 0.8, 1.6, "TOLD APART", "readers told them apart: d' 1.20 [0.80, 1.60]"),
        (0.2, 0.1, 0.3, "TOLD APART, HARDLY", "less than the 0.5 that would matter"),
        (0.1, -0.3, 0.45, "NOT TOLD APART", "a d' of 0.5, the least that would matter, is ruled out"),
        (0.1, -0.3, 0.55, "CANNOT TELL", "no evidence that they look alike: d' 0.10 [-0.30, 0.55]; with this number a "
         "d' of 0.60 would have been seen in 80 %"),
        (0.0, -0.6, 0.4, "CANNOT TELL", "no evidence"),
        (-0.8, -1.2, -0.2, "TAKEN THE WRONG WAY ROUND", "took synthetic pictures for real ones"),
    ],
)  # fmt: skip
def test_the_word_follows_from_interval_and_limit(d: float, low: float, high: float, word: str, said: str) -> None:
    none = Figure(value=None, low=None, high=None)
    pooled = Pooled(
        readers=3, about="other readers", cases=100, accuracy=none, real_as_real=none, synthetic_as_synthetic=none,
        d=Figure(value=d, low=low, high=high), c=none, p=None, freedom=None, smallest_seen=0.6, kappa=None,
        quality=None, confidence=(),
    )  # fmt: skip
    found = verdict(pooled, 0.5)
    assert found.word == word
    assert said in found.text


def test_zero_repeats(cohorts: tuple[Path, Path], tmp_path: Path) -> None:
    synthoma.turing_make(*cohorts, tmp_path / "set", number=6, repeats=0, pixels=32)
    file = write_answers(tmp_path / "set", tmp_path / "answers-A.csv", right)
    found = synthoma.turing_score(tmp_path / "set", file, tmp_path / "result")
    assert found.readers[0].repeats is None
    assert any("nothing was shown twice" in text for text in found.remarks)


def test_a_key_that_is_kept_elsewhere_and_one_that_is_not_its_own(blinded: Path, paired: Path, tmp_path: Path) -> None:
    file = write_answers(blinded, tmp_path / "answers-A.csv", right)
    shutil.copytree(blinded, tmp_path / "set")
    (tmp_path / "set" / "key.json").rename(tmp_path / "safe.json")
    with pytest.raises(InputError, match="say where it is kept with key"):
        synthoma.turing_score(tmp_path / "set", file, tmp_path / "result")
    found = synthoma.turing_score(tmp_path / "set", file, tmp_path / "result", key=tmp_path / "safe.json")
    assert found.readers[0].accuracy.value == 1
    with pytest.raises(InputError, match="the key of another one"):
        synthoma.turing_score(tmp_path / "set", file, tmp_path / "other", key=paired)
    content = json.loads((tmp_path / "safe.json").read_text())
    content["items"][0]["truth"] = OTHER[content["items"][0]["truth"]]
    (tmp_path / "safe.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="another checksum"):
        synthoma.turing_score(tmp_path / "set", file, tmp_path / "other", key=tmp_path / "safe.json")
    with pytest.raises(InputError, match="a set of `synthoma turing make`"):
        synthoma.turing_score(tmp_path, file, tmp_path / "other")


def test_who_answered_one_kind_alone_is_refused(blinded: Path, tmp_path: Path) -> None:
    file = write_answers(blinded, tmp_path / "answers-A.csv", lambda item: "real" if item["truth"] == "real" else "")
    with pytest.raises(InputError, match="16 and 0 of A; let A answer more"):
        synthoma.turing_score(blinded, file, tmp_path / "result")


@pytest.mark.slow
def test_agreement_with_oneself_is_one_of_answers(blinded: Path, paired: Path, tmp_path: Path) -> None:
    """Who says "real" to everything agrees by habit alone; who is always right says both, and the same twice."""
    twice = {item["truth"] for item in truth_of(blinded).values() if item["repeats"] is not None}
    assert twice == {"real", "synthetic"}
    said: dict[str, Callable[[Mapping[str, str]], str]] = {"habit": lambda item: "real", "knows": right}
    for name, answer in said.items():
        file = write_answers(blinded, tmp_path / f"answers-{name}.csv", answer)
        repeats = synthoma.turing_score(blinded, file, tmp_path / name).readers[0].repeats
        assert repeats is not None
        assert (repeats.same.value, repeats.kappa) == (1, None if name == "habit" else 1)
    # A repeated pair has changed sides: always left is left at first and right again, told on the sides of the first.
    left = write_answers(paired, tmp_path / "answers-left.csv", lambda item: "left")
    repeats = synthoma.turing_score(paired, left, tmp_path / "left").readers[0].repeats
    assert repeats is not None
    assert (repeats.same.value, repeats.kappa) == (0, 0)


def test_leaning_alone_is_not_more_than_guessing(blinded: Path, tmp_path: Path) -> None:
    """All 16 real pictures and 4 of the synthetic ones called real: 16 of 20 right, and nothing told apart."""
    skipped = itertools.count()

    def answer(item: Mapping[str, str]) -> str:
        out = item["truth"] == "synthetic" and item["repeats"] is None and next(skipped) < 12
        return "" if out else "real"

    file = write_answers(blinded, tmp_path / "answers-A.csv", answer)
    (one,) = synthoma.turing_score(blinded, file, tmp_path / "result").readers
    assert (one.accuracy.right, one.accuracy.count) == (16, 20)
    assert stats.binomtest(16, 20).pvalue < 0.05
    assert one.p == pytest.approx(stats.binomtest(16, 20, 0.8).pvalue)
    assert one.p > 0.9


@pytest.mark.slow
def test_of_one_reader_p_goes_with_the_interval(cohorts: tuple[Path, Path], tmp_path: Path) -> None:
    """7 of 20 real and 1 of 20 synthetic ones called real: the interval leaves out 0, where a jackknife has p 0.053."""
    synthoma.turing_make(*cohorts, tmp_path / "set", number=20, repeats=0, pixels=64)
    misled = wrong_in(13, "real"), wrong_in(1, "synthetic")
    file = write_answers(
        tmp_path / "set", tmp_path / "answers-A.csv", lambda item: misled[item["truth"] == "synthetic"](item)
    )
    pooled = synthoma.turing_score(tmp_path / "set", file, tmp_path / "result").pooled
    wanted = detected(7, 20, 1, 20).d
    assert (pooled.d.low, pooled.d.high) == (wanted.low, wanted.high)
    assert wanted.low > 0
    error = (wanted.high - wanted.low) / (2 * stats.norm.ppf(0.975))
    assert pooled.p == pytest.approx(2 * stats.norm.sf(wanted.value / error))
    assert pooled.p is not None
    assert pooled.p < 0.05
