"""Writers of every layout and format from synthetic arrays, with what reading them back has to give."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import SimpleITK as sitk
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage, generate_uid

from synthoma.core.types import Array
from synthoma.scans.case import Geometry

_TILT, _TURN = np.deg2rad(12.0), np.deg2rad(20.0)
_AXES = np.array([[np.cos(_TURN), -np.sin(_TURN), 0], [np.sin(_TURN), np.cos(_TURN), 0], [0, 0, 1]]) @ np.array(
    [[1, 0, 0], [0, np.cos(_TILT), -np.sin(_TILT)], [0, np.sin(_TILT), np.cos(_TILT)]]
)
CUBIC = Geometry((1.0, 1.0, 1.0), (-8.0, -9.0, 3.0))
FLAT = Geometry((0.5, 0.75, 6.5), (-100.5, 80.25, -33.0))
OBLIQUE = Geometry((0.9, 1.2, 4.0), (12.5, -30.25, 7.0), tuple(float(value) for value in _AXES.ravel()))  # type: ignore[arg-type]
GEOMETRIES = {"cubic": CUBIC, "flat": FLAT, "oblique": OBLIQUE}


@dataclass(frozen=True)
class Expected:
    """What loading one case has to give."""

    images: Mapping[str, Array]
    mask: Array | None = None
    geometry: Geometry | None = None
    patient: str | None = None
    label: str | None = None
    site: str | None = None
    labels: tuple[int, ...] = ()
    facts: Mapping[str, str | float] = field(default_factory=dict)


Written = dict[str, Expected]


def voxels(seed: int, shape: tuple[int, ...] = (5, 12, 16), dtype: type = np.int16, top: int = 200) -> Array:
    """Noise that differs from case to case, with a range that is not degenerate."""
    return np.random.default_rng(seed).integers(1, top, shape).astype(dtype)


def blob(shape: tuple[int, ...] = (5, 12, 16), values: Sequence[int] = (1,)) -> Array:
    """A mask with some voxels of each value."""
    mask = np.zeros(shape, np.uint8)
    for index, value in enumerate(values):
        mask[..., 2 + 2 * index : 4 + 2 * index, 3:9] = value
    return mask


# Formats -------------------------------------------------------------------------------------------------------------


def affine_ras(geometry: Geometry) -> Array:
    """NIfTI's voxel-to-RAS matrix of an LPS geometry, by hand."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(geometry.direction).reshape(3, 3) * np.array(geometry.spacing)
    matrix[:3, 3] = geometry.origin
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ matrix


def write_nifti(path: Path, array: Array, geometry: Geometry = CUBIC, version: int = 1) -> None:
    """Write (z, y, x) with nibabel, which shares no code with the reader under test."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = nibabel.Nifti1Image if version == 1 else nibabel.Nifti2Image
    image = kind(np.transpose(array), affine_ras(geometry), dtype=array.dtype)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)


def write_itk(path: Path, array: Array, geometry: Geometry = CUBIC, *, compress: bool = True) -> None:
    """Write MetaImage or NRRD."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(geometry.spacing)
    image.SetOrigin(geometry.origin)
    image.SetDirection(geometry.direction)
    sitk.WriteImage(image, str(path), useCompression=compress)


def write_picture(path: Path, array: Array, **options: object) -> None:
    """Write a picture in the format of its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)  # type: ignore[arg-type]


SECRETS = {
    "PatientName": "Zzyzx^Quetzal",
    "PatientBirthDate": "19530417",
    "PatientAddress": "Wisteria Lane 4352",
    "InstitutionName": "Blackthorn General",
    "ReferringPhysicianName": "Okonkwo^Ada",
    "AccessionNumber": "ACC778899",
    "StudyDate": "20210304",
    "PatientID": "MRN-5550123",
    "OperatorsName": "Jellyby^Caddy",
}


def write_dicom(
    folder: Path,
    array: Array,
    geometry: Geometry = CUBIC,
    *,
    description: str = "Ax FLAIR",
    series: str | None = None,
    study: str | None = None,
    frame: str | None = None,
    syntax: UID = ExplicitVRLittleEndian,
    name: Callable[[int], str] = lambda index: f"IM{(index * 7) % 101:04d}",
    change: Callable[[Dataset, int], None] = lambda dataset, index: None,
) -> list[Path]:
    """Write an MR series with every kind of private text in its headers, in scrambled file order and without suffix."""
    folder.mkdir(parents=True, exist_ok=True)
    uids = {"series": series or generate_uid(), "study": study or generate_uid(), "frame": frame or generate_uid()}
    axes = np.array(geometry.direction).reshape(3, 3)
    paths = []
    for index, plane in enumerate(array):
        dataset = _slice(plane, uids, description)
        position = np.array(geometry.origin) + index * geometry.spacing[2] * axes[:, 2]
        dataset.ImagePositionPatient = [f"{value:.8g}" for value in position]
        dataset.ImageOrientationPatient = [f"{value:.10f}" for value in (*axes[:, 0], *axes[:, 1])]
        dataset.PixelSpacing = [geometry.spacing[1], geometry.spacing[0]]
        dataset.InstanceNumber = len(array) - index  # against the order in space
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        change(dataset, index)
        paths.append(folder / name(index))
        pydicom.dcmwrite(paths[-1], dataset, enforce_file_format=True)
    return paths


def _slice(plane: Array, uids: Mapping[str, str], description: str) -> FileDataset:
    """Pixels, identifiers and everything that must not get out."""
    dataset = FileDataset("", {}, preamble=bytes(128))
    for keyword, value in SECRETS.items():
        setattr(dataset, keyword, value)
    dataset.add_new(0x00091001, "LO", "Zzyzx private")
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = MRImageStorage, generate_uid(), "MR"
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID = uids["series"], uids["study"]
    dataset.FrameOfReferenceUID, dataset.SeriesDescription = uids["frame"], description
    dataset.Rows, dataset.Columns = plane.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8 * plane.dtype.itemsize
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, int(plane.dtype.kind == "i")
    dataset.set_pixel_data(plane, "MONOCHROME2", dataset.BitsStored)
    return dataset


# Layouts -------------------------------------------------------------------------------------------------------------


def write_lgg(folder: Path) -> Written:
    """Two patients, with slice numbers that sort differently as text; the second lacks T1."""
    written: Written = {}
    for number, name in enumerate(("TCGA_CS_4941_19960909", "TCGA_HT_7000_20000101")):
        stack, mask = voxels(number, (11, 12, 16, 3), np.uint8), blob((11, 12, 16))
        if number == 1:
            stack[..., 0] = stack[..., 1]
        stack[0], mask[0] = 0, 0  # blank ends are usual
        for index in range(len(stack)):
            write_picture(folder / name / f"{name}_{index + 1}.tif", stack[index], compression="tiff_adobe_deflate")
            write_picture(folder / name / f"{name}_{index + 1}_mask.tif", mask[index] * 255)
        channels = {"t1": 0, "t1c": 2, "flair": 1} if number == 0 else {"t1c": 2, "flair": 1}
        images = {modality: stack[..., channel] for modality, channel in channels.items()}
        written[name] = Expected(images, mask, None, name[:12], None, name[5:7], (1,))
    (folder / "data.csv").write_text("Patient,death01\n")
    return written


BRATS_2018 = {"flair": "_flair", "t1": "_t1", "t1c": "_t1ce", "t2": "_t2", "mask": "_seg"}
BRATS_2023 = {"flair": "-t2f", "t1": "-t1n", "t1c": "-t1c", "t2": "-t2w", "mask": "-seg"}
MODALITIES = ("t1", "t1c", "t2", "flair")
REGIONS = (1, 2, 3)


def write_brats(folder: Path) -> Written:
    """One study a grade, with label 4."""
    written: Written = {}
    for number, (grade, name) in enumerate((("HGG", "Brats18_TCIA01_201_1"), ("LGG", "Brats18_2013_0_1"))):
        place = folder / grade / name
        written[name] = _write_study(
            place, name, BRATS_2018, number, (1, 2, 4), OBLIQUE, name, grade, name.split("_")[1]
        )
    return written


def write_brats_2023(folder: Path) -> Written:
    """Two time points of one patient, and one after treatment, where 4 is the cavity."""
    written: Written = {}
    for number, name in enumerate(("BraTS-GLI-00002-000", "BraTS-GLI-00002-001")):
        written[name] = _write_study(folder / name, name, BRATS_2023, number, (1, 2, 3), FLAT, "BraTS-GLI-00002")
    name = "BraTS-GLI-02060-100"
    later = _write_study(folder / name, name, BRATS_2023, 9, (1, 2, 3, 4), FLAT, "BraTS-GLI-02060")
    assert later.mask is not None
    written[name] = Expected(later.images, blob(values=(1, 2, 3, 4)), FLAT, later.patient, None, None, (1, 2, 3, 4))
    return written


def _write_study(
    place: Path, name: str, endings: Mapping[str, str], seed: int, values: Sequence[int], geometry: Geometry,
    patient: str | None, label: str | None = None, site: str | None = None,
) -> Expected:  # fmt: skip
    images = {modality: voxels(10 * seed + index) for index, modality in enumerate(MODALITIES)}
    stored = blob(values=values)
    for modality, image in {**images, "mask": stored}.items():
        write_nifti(place / f"{name}{endings[modality]}.nii.gz", image, geometry)
    return Expected(images, np.where(stored == 4, 3, stored), geometry, patient, label, site, REGIONS)


def write_brats2(folder: Path) -> Written:
    """Study 0001 in both classes; non-enhancing core is 3 and belongs to the core."""
    written: Written = {}
    for seed, label in enumerate(("HG", "LG")):
        images = {modality: voxels(10 * seed + index) for index, modality in enumerate(MODALITIES)}
        stored = blob(values=(1, 2, 3, 4))
        tokens = {"t1": "O.MR_T1", "t1c": "O.MR_T1c", "t2": "O.MR_T2", "flair": "O.MR_Flair"}
        for number, (modality, image) in enumerate({**images, "mask": stored.astype(np.int16)}.items()):
            kind = f"VSD.Brain.XX.{tokens[modality]}" if modality in tokens else "VSD.Brain_3more.XX.XX.OT"
            stem = f"{kind}.{500 + number}"
            write_itk(folder / label / "0001" / stem / f"{stem}.mha", image, FLAT)
        name = f"{label}/0001"
        written[name] = Expected(images, blob(values=(1, 2, 1, 3)), FLAT, name, label, None, REGIONS)
    return written


def write_dicom_study(folder: Path) -> Written:
    """One study of three series on one grid in nested folders; the case's name is a hash, so any name will do."""
    images = {modality: voxels(index) for index, modality in enumerate(MODALITIES[1:])}
    study, frame = generate_uid(), generate_uid()
    descriptions = {"t1c": "Ax T1 POST", "t2": "Ax T2 FSE", "flair": "Ax T2 FLAIR"}
    for modality, image in images.items():
        write_dicom(
            folder / "A" / modality, image, OBLIQUE, description=descriptions[modality], study=study, frame=frame
        )
    return {"*": Expected(images, None, OBLIQUE)}


def write_table(folder: Path) -> Written:
    """A patient with a volume in two modalities, and one whose slices are pictures in the order of ``slice``."""
    images = {"t1": voxels(1), "flair": voxels(2)}
    for modality, image in images.items():
        write_nifti(folder / "scans" / f"a_{modality}.nii.gz", image, FLAT)
    write_nifti(folder / "scans" / "a_mask.nii.gz", blob(), FLAT)
    stack, mask = voxels(3, (11, 12, 16), np.uint8), blob((11, 12, 16))
    header = ["patient", "case", "slice", "t1", "flair", "image", "mask", "label", "site", "grade", "age"]
    rows = [
        ["p1", "c1", "", "scans/a_t1.nii.gz", "scans/a_flair.nii.gz", "", "scans/a_mask.nii.gz", "glioma", "X", "4", ""]
    ]
    for index in np.random.default_rng(0).permutation(len(stack)):
        write_picture(folder / "slices" / f"s{index}.png", stack[index])
        write_picture(folder / "slices" / f"m{index}.png", mask[index] * 255)
        rows.append(
            ["p2", "c2", str(index), "", "", f"slices/s{index}.png", f"slices/m{index}.png", "none", "Y", "", "high"]
        )
    with (folder / "cases.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    return {
        "c1": Expected(images, blob(), FLAT, "p1", "glioma", "X", (1,), {"grade": 4.0}),
        "c2": Expected({"image": stack}, mask, None, "p2", "none", "Y", (1,), {"age": "high"}),
    }


def write_folders(folder: Path) -> Written:
    """Class folders, one of them with masks."""
    written: Written = {}
    for index in range(3):
        image, mask = voxels(index, (12, 16), np.uint8), blob((12, 16))
        write_picture(folder / "tumour" / f"b{index}.png", image)
        write_picture(folder / "tumour" / f"b{index}_mask.png", mask * 255)
        written[f"tumour/b{index}.png"] = Expected({"image": image[None]}, mask[None], label="tumour", labels=(1,))
        write_picture(folder / "healthy" / f"c{index}.tif", image.T.copy())
        written[f"healthy/c{index}.tif"] = Expected({"image": image.T[None]}, label="healthy")
    return written


def write_given_split(folder: Path) -> Written:
    """A split that somebody made before."""
    written: Written = {}
    for split in ("Training", "Testing"):
        for label in ("glioma", "notumor"):
            image = voxels(len(written), (12, 16), np.uint8)
            write_picture(folder / split / label / "a.png", image)
            written[f"{split}/{label}/a.png"] = Expected(
                {"image": image[None]}, label=label, facts={"folder_split": split}
            )
    return written


def write_parallel_masks(folder: Path) -> Written:
    """``images/`` and ``masks/`` side by side."""
    written: Written = {}
    for index in range(2):
        image, mask = voxels(index, (12, 16), np.uint8), blob((12, 16))
        write_picture(folder / "images" / f"{index}.png", image)
        write_picture(folder / "masks" / f"{index}.png", mask * 255)
        written[f"images/{index}.png"] = Expected({"image": image[None]}, mask[None], labels=(1,))
    return written


def write_loose_volumes(folder: Path) -> Written:
    """Volumes of every format in class folders: one with a mask, one with two modalities."""
    images = {"t1": voxels(1), "flair": voxels(2)}
    for modality, image in images.items():
        write_nifti(folder / "glioma" / f"sub-01_{modality}.nii.gz", image, OBLIQUE)
    write_nifti(folder / "glioma" / "sub-01_seg.nii.gz", blob(), OBLIQUE)
    plain = {"metaimage": voxels(3), "nrrd": voxels(4, dtype=np.float32), "second": voxels(5, dtype=np.uint8)}
    write_itk(folder / "healthy" / "metaimage.mha", plain["metaimage"], FLAT)
    write_itk(folder / "healthy" / "nrrd.nrrd", plain["nrrd"], OBLIQUE)
    write_nifti(folder / "healthy" / "second.nii", plain["second"], CUBIC)
    written = {"sub-01": Expected(images, blob(), OBLIQUE, "sub-01", "glioma", None, (1,))}
    for (name, image), geometry in zip(plain.items(), (FLAT, OBLIQUE, CUBIC), strict=True):
        written[name] = Expected({"image": image}, None, geometry, name, "healthy")
    return written


LAYOUTS: dict[str, tuple[str, Callable[[Path], Written]]] = {
    "lgg": ("lgg", write_lgg),
    "brats 2018": ("volumes", write_brats),
    "brats 2023": ("volumes", write_brats_2023),
    "brats2": ("volumes", write_brats2),
    "dicom": ("dicom", write_dicom_study),
    "table": ("table", write_table),
    "class folders": ("folders", write_folders),
    "given split": ("folders", write_given_split),
    "parallel masks": ("folders", write_parallel_masks),
    "loose volumes": ("volumes", write_loose_volumes),
}
"""How the writer is called in test names -> the layout that has to be recognised, and the writer."""
