"""The forms that cohorts, findings and models take for other tools, in words. Nothing is loaded, so help is quick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FormName = Literal[
    "nnunet", "monai", "torchio", "bids", "nifti", "huggingface", "coco", "yolo", "png", "dicom", "onnx", "monai-bundle"
]


@dataclass(frozen=True)
class About:
    """A form in words.

    Attributes:
        what: what is written, in a few words.
        reader: which tool reads it.
        how: how that tool is called on the folder OUT.
    """

    what: str
    reader: str
    how: str


ABOUT: dict[FormName, About] = {
    "nnunet": About(
        "an nnU-Net raw data set with its split",
        "nnU-Net v2",
        "nnUNet_raw=OUT nnUNetv2_plan_and_preprocess -d 1 --verify_dataset_integrity",
    ),
    "monai": About(
        "NIfTI volumes with a datalist",
        "MONAI",
        'monai.data.load_decathlon_datalist("OUT/datalist.json", True, "training")',
    ),
    "torchio": About(
        "NIfTI volumes with subjects.json",
        "TorchIO",
        'json.load(open("OUT/subjects.json")), and the few lines of docs/export.md',
    ),
    "bids": About("a BIDS data set, masks as derivatives", "BIDS apps", "bids-validator OUT"),
    "nifti": About(
        "a folder of NIfTI volumes for each case, named as in BraTS",
        "any viewer of volumes",
        "itksnap -g OUT/CASE/CASE_flair.nii.gz -s OUT/CASE/CASE_seg.nii.gz",
    ),
    "huggingface": About(
        "PNG pictures with metadata.jsonl",
        "Hugging Face datasets",
        'datasets.load_dataset("imagefolder", data_dir="OUT")',
    ),
    "coco": About(
        "PNG pictures with COCO instances",
        "pycocotools",
        'pycocotools.coco.COCO("OUT/annotations/instances_train.json")',
    ),
    "yolo": About(
        "PNG pictures with YOLO outlines or boxes", "Ultralytics YOLO", "yolo segment train data=OUT/data.yaml"
    ),
    "png": About(
        "PNG pictures and masks by class, with cases.csv",
        "`synthoma prepare`, or any viewer of pictures",
        "synthoma prepare OUT -o COHORT",
    ),
    "dicom": About("DICOM series of nobody, with DICOM SEG", "any DICOM viewer", "dcmdump OUT/CASE/seg.dcm"),
    "onnx": About(
        "a trained segmenter or classifier as ONNX",
        "ONNX Runtime, in any language or a browser",
        "python OUT/example.py flair=slice.npy -o mask.npy",
    ),
    "monai-bundle": About(
        "a trained segmenter or classifier as a MONAI bundle, in TorchScript",
        "MONAI",
        "python -m monai.bundle run --config_file OUT/configs/inference.json --bundle_root OUT",
    ),
}
"""Form -> what it is."""
