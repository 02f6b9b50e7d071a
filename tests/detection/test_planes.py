"""Three planes of a volume: where votes land, what they count, and which scans are looked at so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from synthoma.cohorts.squares import Framing, frame, to_squares
from synthoma.core.types import Float32, Plane
from synthoma.detection import planes
from synthoma.detection.description import describe
from synthoma.detection.detector import Detector
from synthoma.detection.findings import dice
from synthoma.detection.inside import learned_from_gliomas
from synthoma.detection.planes import joined, other_planes, vote
from synthoma.detection.scan import look
from synthoma.detection.settings import DetectConfig
from synthoma.phantom import PhantomConfig
from synthoma.phantom.patient import phantom_case
from synthoma.scans.case import Case, Direction, Geometry, Study
from synthoma.training.bundle import shipped_model
from tests.detection.conftest import WriteModel

SIDE = 88
UPRIGHT = Geometry((1.0, 1.0, 1.0))
TURNED = {
    "upright": UPRIGHT.direction,
    "upside down": (1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, -1.0),
    "sagittal": (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    "coronal": (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, -1.0, 0.0),
}
STORED = (2, 0, 1)
PHANTOM = {"cohort": {"origin": "phantom"}}


def boxed() -> Study:
    """A dark volume with a bright box, off the middle and of another length along each axis."""
    image = np.zeros((SIDE, SIDE, SIDE), np.uint8)
    image[20:31, 40:59, 11:36] = 255
    return Study({"flair": image}, UPRIGHT)


def case_of(study: Study) -> Case:
    return Case("a", "a", ("flair",), lambda: study)


def model(write_model: WriteModel, **changes: object) -> Detector:
    """One that knows simulated gliomas, and takes these volumes as they are."""
    return Detector.open(write_model(size=SIDE, provenance=PHANTOM, **changes))


def framed(study: Study, detector: Detector) -> Framing:
    return frame(study, detector.modalities, size=detector.shape.size, plane=detector.plane, rule=detector.rule)


@pytest.mark.usefixtures("thresholding")
class TestVotes:
    """With a network that thresholds, each vote is known exactly."""

    @pytest.mark.parametrize("direction", TURNED.values(), ids=TURNED)
    @pytest.mark.parametrize("plane", ["coronal", "sagittal"])
    def test_they_lie_on_the_voxels_that_were_seen(
        self, plane: Plane, direction: Direction, write_model: WriteModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(planes, "EVERY_MM", 1.0)
        detector, study = model(write_model), replace(boxed(), geometry=replace(UPRIGHT, direction=direction))
        framing = framed(study, detector)
        found = vote(study, framing, plane, detector)
        np.testing.assert_array_equal(found, (to_squares(framing) > 0.5).astype(np.float32))

    def test_slices_that_are_left_out_are_made_from_both_sides(self, write_model: WriteModel) -> None:
        detector, study = model(write_model), boxed()
        framing = framed(study, detector)
        found = vote(study, framing, "coronal", detector)
        # The box reaches from row 40 to 58, and the even ones were looked at: half of it lies at 39 and at 59.
        expected = (to_squares(framing) > 0.5).astype(np.float32)
        expected[20:31, 0, [39, 59], 11:36] = 0.5
        np.testing.assert_array_equal(found, expected)

    def test_the_own_plane_counts_as_much_as_both_others(
        self, write_model: WriteModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        says = {"coronal": 0.4, "sagittal": 0.2}
        monkeypatch.setattr(planes, "vote", lambda study, framing, plane, detector: np.float32(says[plane]))
        detector, study = model(write_model), boxed()
        maps = np.full((SIDE, 1, SIDE, SIDE), 0.8, np.float32)
        seen = joined(maps, study, framed(study, detector), detector)
        np.testing.assert_allclose(seen.maps, 0.8 / 2 + 0.4 / 4 + 0.2 / 4, rtol=1e-6)
        assert seen.planes == ("axial", "coronal", "sagittal")
        assert (maps == np.float32(0.8)).all(), "whoever asked still has what the model's own plane says"

    def test_what_one_plane_alone_sees_stays_under_one_half(
        self, write_model: WriteModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        detector, study = model(write_model), boxed()
        framing = framed(study, detector)
        own = (to_squares(framing) > 0.5).astype(np.float32)
        monkeypatch.setattr(planes, "vote", lambda *_: np.zeros_like(own))
        assert joined(own, study, framing, detector).maps.max() == planes.OWN

    def test_a_scan_says_in_which_planes_it_was_looked_at(self, write_model: WriteModel) -> None:
        detector = model(write_model)
        seen = [look(case_of(boxed()), detector, DetectConfig(planes=asked)) for asked in (True, False)]
        assert [one.planes for one in seen] == [("axial", "coronal", "sagittal"), ("axial",)]
        assert describe(seen[0]).planes == ("axial", "coronal", "sagittal")
        for one in seen:
            np.testing.assert_array_equal(one.mask, boxed().images["flair"] > 100)

    def test_what_three_planes_say_is_judged_by_what_three_planes_say_of_others(self, write_model: WriteModel) -> None:
        counted = {"slope": 1.0, "limit": 0.5, "ill": 30, "found": 30, "healthy": 30, "alarms": 0}
        known = {"scan": {"flair": {**counted, "offset": -20.0}}, "planes": {"flair": {**counted, "offset": 0.0}}}
        detector = model(write_model, calibration=known)
        three, one = (look(case_of(boxed()), detector, DetectConfig(planes=asked)) for asked in (True, False))
        assert (three.has_tumour, one.has_tumour) == (True, False), "20 lower than the network's own logit of 16"
        del known["planes"]
        older = model(write_model, calibration=known)
        assert not look(case_of(boxed()), older, DetectConfig()).has_tumour


def test_the_other_planes_are_looked_at_two_mm_apart(write_model: WriteModel, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, float | None]] = []

    def probabilities(self: Detector, pixels: Float32, step_mm: float | None = None, *, flip: bool = False) -> Float32:
        asked.append((len(pixels), step_mm))
        assert not flip
        return np.zeros((len(pixels), 1, *pixels.shape[2:]), np.float32)

    monkeypatch.setattr(Detector, "probabilities", probabilities)
    detector = model(write_model)
    for spacing in (1.0, 1.4):
        study = replace(boxed(), geometry=Geometry((spacing,) * 3))
        vote(study, framed(study, detector), "sagittal", detector)
    # 0, 2, ... 86, and the last one, number 87; at 1.4 mm every slice is the nearest to two millimetres.
    assert asked == [(45, 2.0), (88, 1.4)]


@pytest.mark.parametrize(
    ("spacing", "shape", "joins"),
    [
        ((1.0, 1.0, 1.0), (SIDE, SIDE, SIDE), True),
        ((2.0, 2.0, 2.0), (48, 48, 48), True),
        ((1.0, 1.0, 1.5), (60, SIDE, SIDE), True),
        ((1.0, 1.0, 1.6), (60, SIDE, SIDE), False),
        ((0.5, 0.5, 1.0), (90, 180, 180), False),
        ((2.1, 2.1, 2.1), (48, 48, 48), False),
        ((0.9, 0.9, 5.0), (24, SIDE, SIDE), False),
        ((1.0, 1.0, 1.0), (40, SIDE, SIDE), False),
        ((1.0, 1.0, 1.0), (SIDE, SIDE, 40), False),
    ],
)
@pytest.mark.parametrize("direction", TURNED.values(), ids=TURNED)
def test_only_volumes_of_small_even_voxels_are_seen_in_three_planes(
    spacing: tuple[float, float, float],
    shape: tuple[int, int, int],
    joins: bool,
    direction: Direction,
    write_model: WriteModel,
) -> None:
    detector = model(write_model)
    study = Study({"flair": np.ones(shape, np.uint8)}, Geometry(spacing, direction=direction))
    assert bool(other_planes(framed(study, detector), detector)) == joins


def test_pictures_and_other_models_keep_to_one_plane(write_model: WriteModel) -> None:
    detector = model(write_model)
    assert other_planes(framed(boxed(), detector), detector) == ("coronal", "sagittal")
    unknown = replace(boxed(), geometry=None)
    assert other_planes(framed(unknown, detector), detector) == ()
    thin = replace(boxed(), geometry=replace(UPRIGHT, thick=False))
    assert other_planes(framed(thin, detector), detector) == ()
    real = Detector.open(write_model(size=SIDE, name="real", provenance={"cohort": {"origin": "real"}}))
    assert other_planes(framed(boxed(), real), real) == ()


@pytest.mark.parametrize(
    "more",
    [{"with": [{"origin": "real"}]}, {"with": [{"origin": "synthetic"}]}, {"trained_on": {"inherited": ["Ann"]}}],
)
def test_a_model_that_learned_from_real_scans_beside_simulated_ones_keeps_to_one_plane(
    more: dict[str, object], write_model: WriteModel
) -> None:
    detector = Detector.open(write_model(size=SIDE, provenance={**PHANTOM, **more}))
    assert not learned_from_gliomas(detector)
    assert other_planes(framed(boxed(), detector), detector) == ()
    more_simulated = Detector.open(write_model(size=SIDE, provenance={**PHANTOM, "with": [{"origin": "phantom"}]}))
    assert other_planes(framed(boxed(), more_simulated), more_simulated) == ("coronal", "sagittal")


def test_a_model_of_coronal_slices_is_asked_about_the_two_others(write_model: WriteModel) -> None:
    detector = model(write_model, prepare={"crop": False, "normalise": "unit", "plane": "coronal"})
    assert other_planes(framed(boxed(), detector), detector) == ("axial", "sagittal")
    # 90 mm from the bottom to the top in 60 slices: which axis has which length is not mixed up.
    higher = Study({"flair": np.ones((60, SIDE, SIDE), np.uint8)}, Geometry((1.0, 1.0, 1.5)))
    assert other_planes(framed(higher, detector), detector) == ("axial", "sagittal")


@pytest.mark.usefixtures("thresholding")
def test_a_tumour_is_found_alike_however_its_volume_is_stored(write_model: WriteModel) -> None:
    detector, study = model(write_model, threshold=[0.6]), boxed()
    # Stored sagittally: (z, y, x) of the array run to the left, up and back.
    turned = Study(
        {"flair": np.ascontiguousarray(study.images["flair"].transpose(STORED))},
        Geometry((1.0, 1.0, 1.0), direction=TURNED["sagittal"]),
    )
    seen = [look(case_of(one), detector, DetectConfig()) for one in (study, turned)]
    assert [one.planes for one in seen] == [("axial", "coronal", "sagittal")] * 2
    assert seen[0].mask.sum() == 11 * 19 * 25
    np.testing.assert_array_equal(seen[0].probabilities[0].transpose(STORED), seen[1].probabilities[0])


@pytest.mark.heavy
def test_the_model_of_the_package_outlines_a_simulated_tumour_from_three_planes() -> None:
    case = phantom_case(3, 1, PhantomConfig(slice_mm=2.0, pixel_mm=2.0, volume_ml=60.0, volume_spread=0.0))
    study, detector = case.load(), Detector.open(shipped_model())
    assert study.geometry is not None
    assert study.mask is not None
    truth = study.mask > 0
    spacing, flair = study.geometry.spacing, Study({"flair": study.images["flair"]}, study.geometry)
    turned = Study(
        {"flair": np.ascontiguousarray(flair.images["flair"].transpose(STORED))},
        Geometry((spacing[1], spacing[2], spacing[0]), direction=TURNED["sagittal"]),
    )
    three, stored, one = (
        look(case_of(scan), detector, DetectConfig(planes=planes))
        for scan, planes in ((flair, True), (turned, True), (flair, False))
    )
    np.testing.assert_array_equal(three.mask.transpose(STORED), stored.mask)
    assert dice(three.mask, truth) > 0.6
    assert not np.array_equal(three.mask, one.mask)
