"""What a bundle of MONAI says of its network, and how it is run: the files in ``configs``."""

from __future__ import annotations

import monai
import numpy as np
import torch

from synthoma._version import __version__
from synthoma.exports.marks import MODEL
from synthoma.exports.networks import Model
from synthoma.exports.preprocessing import Preprocessing
from synthoma.training.bundle import shipped_model

META_SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
"""Name of the form; nothing is fetched from there."""

_APACHE = "SPDX-License-Identifier: Apache-2.0\nhttps://www.apache.org/licenses/LICENSE-2.0\n"


def metadata(said: Preprocessing, title: str) -> dict[str, object]:
    """Content of configs/metadata.json."""
    outlines = said.kind == "segmenter"
    square = [said.input.size, said.input.size]
    channels = {str(at): f"{one.sequence} of slice {one.slice}" for at, one in enumerate(said.input.channels)}
    return {
        "schema": META_SCHEMA,
        "version": "0.0.1",
        "changelog": {"0.0.1": f"written by Synthoma {__version__}"},
        "monai_version": monai.__version__,
        "pytorch_version": torch.__version__.partition("+")[0],
        "numpy_version": np.__version__,
        "required_packages_version": {},
        "name": title,
        "task": "brain tumour segmentation" if outlines else "classification of brain MRI slices",
        "description": f"{said.model} of Synthoma. {MODEL}",
        "authors": "whoever trained it with Synthoma",
        "copyright": "see LICENSE",
        "intended_use": "research only",
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "image",
                    "format": "magnitude",
                    "modality": "MR",
                    "num_channels": len(said.input.channels),
                    "spatial_shape": square,
                    "dtype": "float32",
                    "value_range": [0, 1],
                    "is_patch_data": False,
                    "channel_def": channels,
                }
            },
            "outputs": {
                "pred": {
                    "type": "image" if outlines else "probabilities",
                    "format": "segmentation" if outlines else "classes",
                    "num_channels": len(said.output.names),
                    "spatial_shape": square if outlines else [],
                    "dtype": "float32",
                    "value_range": [0, 1],
                    "is_patch_data": False,
                    "channel_def": {str(at): name for at, name in enumerate(said.output.names)},
                }
            },
        },
    }


def inference() -> dict[str, object]:
    """Content of configs/inference.json: squares (batch, channels, S, S) in, probabilities out, file by file."""
    return {
        "imports": ["$import glob", "$import numpy", "$import os", "$import torch"],
        "bundle_root": ".",
        "input_dir": "$@bundle_root + '/examples'",
        "output_dir": "$@bundle_root + '/eval'",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "images": "$sorted(glob.glob(@input_dir + '/*_input.npy'))",
        "network_def": "$torch.jit.load(@bundle_root + '/models/model.ts', map_location=@device).eval()",
        "network": "$@network_def.to(@device)",
        "inferer": {"_target_": "SimpleInferer"},
        "predictions": "$[@inferer(torch.from_numpy(numpy.load(one, allow_pickle=False)).to(@device), @network)"
        " for one in @images]",
        "run": [
            "$os.makedirs(@output_dir, exist_ok=True)",
            "$[numpy.save(os.path.join(@output_dir, os.path.basename(one).replace('_input', '_output')),"
            " found.detach().cpu().numpy()) for one, found in zip(@images, @predictions)]",
        ],
    }


def licence(model: Model) -> str:
    """Content of LICENSE: of the code, and of the weights as far as anybody knows."""
    if model.bundle.path == shipped_model():
        return f"Network and weights, trained on simulated patients only:\n{_APACHE}"
    return (
        f"The network's code, of Synthoma:\n{_APACHE}\n"
        "The weights belong to whoever trained them, and may not be passed on further than the scans that they were\n"
        "trained on allow. Whoever publishes them writes their licence here.\n"
    )
