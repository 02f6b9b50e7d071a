"""The whole way with a real archive: stored, fetched or sent, found, stored back, and read again from there."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

import synthoma
from synthoma.commands.app import main
from synthoma.core.errors import ConfigError, InputError
from synthoma.detection.detect import detect
from synthoma.detection.settings import DetectConfig
from synthoma.hospital.web import Archive
from synthoma.phantom import PhantomConfig, simulate
from synthoma.training.bundle import shipped_model
from tests.detection.test_detect import bright_box
from tests.detection.test_dicom_seg import complete
from tests.hospital.conftest import Orthanc, Running, until
from tests.scans.writers import OBLIQUE, write_dicom

pytestmark = pytest.mark.heavy
STUDIES = 20


@pytest.fixture(scope="module")
def images() -> list[tuple[np.ndarray, object]]:
    """Two coarse simulated patients, as scanners store them."""
    config = PhantomConfig(slice_mm=6.0, pixel_mm=2.5, modalities=("flair",))
    patients = [simulate(seed=77, index=index, config=config).study for index in (2, 3)]
    return [
        ((one.images["flair"] * (1000 / one.images["flair"].max())).astype(np.int16), one.geometry) for one in patients
    ]


def stored(orthanc: Orthanc, folder: Path, image: np.ndarray, geometry: object, number: int = 0) -> Dataset:
    """Write a study, store it in the archive, and return a header of it."""

    def named(dataset: Dataset, index: int) -> None:
        complete(dataset, index)
        dataset.PatientID, dataset.PatientName = f"PAT{number}", f"Zzyzx^Number{number}"

    files = write_dicom(folder, image, geometry, change=named)  # type: ignore[arg-type]
    for file in files:
        orthanc.ask("/instances", file.read_bytes())
    return pydicom.dcmread(files[0], stop_before_pixels=True)


def in_archive(orthanc: Orthanc, study: str, modality: str) -> list[Dataset]:
    """The instances of a kind that the archive holds of a study, read from it."""
    wanted = {"Level": "Instance", "Query": {"StudyInstanceUID": study, "Modality": modality}}
    return [
        pydicom.dcmread(io.BytesIO(orthanc.ask(f"/instances/{one}/file"))) for one in orthanc.ask("/tools/find", wanted)
    ]


def check_results(orthanc: Orthanc, head: Dataset) -> None:
    """The archive holds one segmentation and one report of a study, which refer to its images and to each other."""
    study = str(head.StudyInstanceUID)
    sources = {one.SOPInstanceUID for one in in_archive(orthanc, study, "MR")}
    [seg], [report] = in_archive(orthanc, study, "SEG"), in_archive(orthanc, study, "SR")
    referenced = {
        one.ReferencedSOPInstanceUID
        for series in seg.ReferencedSeriesSequence
        for one in series.ReferencedInstanceSequence
    }
    assert referenced <= sources
    assert referenced
    assert (seg.PatientID, report.PatientID) == (head.PatientID, head.PatientID)
    assert seg.FrameOfReferenceUID == head.FrameOfReferenceUID
    assert seg.pixel_array.any()
    said = {str(one.value) for one in report.iterall() if one.keyword == "ReferencedSOPInstanceUID"}
    assert seg.SOPInstanceUID in said
    volumes = [float(one.value) for one in report.iterall() if one.keyword == "NumericValue"]
    spacing = seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    voxel = float(np.prod([*map(float, spacing.PixelSpacing), float(spacing.SpacingBetweenSlices)])) / 1000
    assert volumes[0] == pytest.approx(seg.pixel_array.sum() * voxel, rel=0.01)


def test_twenty_studies_are_sent_by_the_archive_and_come_back_with_results(
    orthanc: Orthanc, start: Callable[..., Running], images: list[tuple[np.ndarray, object]], tmp_path: Path
) -> None:
    def look(scans: Path, found: Path, most_s: float) -> str:  # in this process, which has loaded everything
        options = DetectConfig(overlay=False, dicom_sr=True, jobs=1)
        [row] = detect(scans, shipped_model(), found, options=options, force=True)
        return "" if row["dicom_seg"] else "nothing was found"

    node = start(look=look, send_to=f"ORTHANC@127.0.0.1:{orthanc.dicom}", allow=("ORTHANC",), quiet_s=1)
    modality = {"AET": "SYNTHOMA", "Host": "127.0.0.1", "Port": node.port}
    import json
    import urllib.request

    address = f"http://127.0.0.1:{orthanc.http}/modalities/synthoma"
    urllib.request.urlopen(urllib.request.Request(address, json.dumps(modality).encode(), method="PUT")).close()
    heads = [stored(orthanc, tmp_path / str(number), *images[number % 2], number) for number in range(STUDIES)]
    for head in heads:
        [study] = orthanc.ask("/tools/find", {"Level": "Study", "Query": {"StudyInstanceUID": head.StudyInstanceUID}})
        said = orthanc.ask("/modalities/synthoma/store", [study])
        assert said["FailedInstancesCount"] == 0
    until(lambda: node.states() == ["sent"] * STUDIES, 240)
    for head in heads:
        check_results(orthanc, head)
    # The archive may send a study again, results and all: those are left aside.
    orthanc.ask("/modalities/synthoma/store", [study])
    until(lambda: [one["event"] for one in node.audit()].count("left aside") == 2)


def test_a_study_is_fetched_by_its_address_and_results_are_stored_back(
    orthanc: Orthanc,
    images: list[tuple[np.ndarray, object]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("dicomweb_client")
    head = stored(orthanc, tmp_path / "in", *images[0], 99)
    study = str(head.StudyInstanceUID)
    monkeypatch.setattr(
        "sys.argv", ["synthoma", "detect", orthanc.web, "--study", study, "-o", str(tmp_path / "found"), "--send-back"]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert "sent back: 2 DICOM files" in capsys.readouterr().out
    check_results(orthanc, head)
    local = synthoma.detect(tmp_path / "in", tmp_path / "local", overlay=False)
    fetched = synthoma.detect(orthanc.web, tmp_path / "again", study=(study,), overlay=False)
    assert np.array_equal(local.mask(local.cases[0]), fetched.mask(fetched.cases[0]))
    assert not fetched.scans


def test_what_the_archive_does_not_have(orthanc: Orthanc, tmp_path: Path) -> None:
    pytest.importorskip("dicomweb_client")
    archive = Archive.parse(orthanc.web)
    with pytest.raises(InputError, match="MR images of this study"):
        archive.fetch("1.2.3.4", tmp_path)

    def computed(dataset: Dataset, index: int) -> None:
        dataset.Modality, dataset.SOPClassUID = "CT", "1.2.840.10008.5.1.4.1.1.2"
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID

    files = write_dicom(tmp_path / "ct", bright_box((6, 32, 32)), OBLIQUE, change=computed)
    for file in files:
        orthanc.ask("/instances", file.read_bytes())
    with pytest.raises(InputError, match="MR images of this study"):
        archive.fetch(str(pydicom.dcmread(files[0]).StudyInstanceUID), tmp_path)
    with pytest.raises(InputError, match="HTTP status 404"):
        Archive.parse(orthanc.web.replace("dicom-web", "nowhere")).fetch("1.2.3.4", tmp_path)


def test_archives_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dicomweb_client")
    with pytest.raises(InputError, match=r"a DICOMweb server at http://127\.0\.0\.1:9"):
        Archive.parse("dicomweb+http://127.0.0.1:9/x").fetch("1.2.3", tmp_path)
    with pytest.raises(ConfigError, match="without a password"):
        Archive.parse("dicomweb+https://me:secret@host/x")
    with pytest.raises(ConfigError, match="the UID of a study"):
        Archive.parse("dicomweb+https://host/x").fetch("1.2/../3", tmp_path)
    with pytest.raises(ConfigError, match="an archive"):
        synthoma.detect(tmp_path, tmp_path / "out", study=("1.2.3",))
    with pytest.raises(ConfigError, match="study"):
        synthoma.detect("dicomweb+http://127.0.0.1:9/x", tmp_path / "out")
    monkeypatch.setenv("SYNTHOMA_DICOMWEB_USER", "nobody-known")
    with pytest.raises(ConfigError, match="a password for nobody-known"):
        Archive.parse("dicomweb+http://127.0.0.1:9/x").fetch("1.2.3", tmp_path)
