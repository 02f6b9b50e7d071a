"""``synthoma detect``: tumours in scans; of a GAN or a classifier, what it thinks of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from synthoma.commands.options import SPREAD, TAKEN, Force, Given, Model, Open, OutputOfDetect, takes
from synthoma.commands.printing import browse, say, share_told
from synthoma.commands.progress import shown
from synthoma.core.errors import ConfigError
from synthoma.core.fanned import FanoutConfig, fanned
from synthoma.core.untrusted import csv_of_frame
from synthoma.detection.settings import DetectConfig

EXAMPLES = (
    "synthoma detect scan.nii.gz -o found",
    "synthoma detect patients/ -o found --open",
    "synthoma detect scan.nii.gz -o found --tissues",
    "synthoma detect pictures/ -o found --gate classifier",
    "synthoma detect BraTS2018/ --model run -o found --probabilities",
    "synthoma detect now/ -o found --before earlier/",
    "synthoma detect pictures/ --model gan-run -o scores.csv",
    "synthoma detect hospital/ -o found --backend dask --scheduler tcp://head:8786",
    "synthoma detect dicomweb+https://pacs.example/dicom-web --study 1.2.840.1 -o found --send-back",
)


@takes(
    DetectConfig,
    *("threshold", "flip", "planes", "type_model", "shows", "dicom_seg", "overlay", "three_d", "saliency"),
    *("probabilities", "rle", "tissues", "inside_brain", "refine", "gate", "gate_limit"),
    *("dicom_sr", "dicom_rtstruct", "band", "before", "changes", "repeats", "study", "send_back"),
    *("layout", "convention", "device", "jobs"),
)
@takes(FanoutConfig, *SPREAD, into="of_fan")
def run(
    scans: Annotated[
        list[Path], typer.Argument(metavar="SCAN...", help="Pictures, volumes, DICOM series, or folders of them.")
    ],
    given: Given,
    of_fan: Given,
    output: OutputOfDetect = None,
    model: Model = None,
    open_page: Open = False,
    force: Force = False,
) -> None:
    """Run the command."""
    from synthoma import pipeline

    kind = pipeline.kind_of_model(model)
    if kind != "segmenter":
        assert model is not None
        if given or of_fan or open_page:
            flags = {name: flag for taken in TAKEN[run] for name, flag in taken.flags().items()}
            came = ", ".join([*(flags[name] for name in (*given, *of_fan)), *(["--open"] if open_page else [])])
            raise ConfigError(f"settings of a {kind}, which has none here", came, "leave them out")
        _judge(scans, model, output, force)
        return
    if output is None:
        raise ConfigError("a place for masks and findings", "no --output", "add for example -o found")
    options = DetectConfig.resolve(flags=given)
    # Not through the pipeline, whose table needs pandas: loading it takes as long as looking at a patient.
    from synthoma.detection.detect import detect as look
    from synthoma.hospital.fetched import fetched
    from synthoma.training.bundle import shipped_model

    with (
        fanned(FanoutConfig.resolve(flags=of_fan)) as fan,
        shown() as display,
        fetched(scans, options, display.work) as here,
    ):
        rows = look(
            here.places, model or shipped_model(), output, options=here.options, force=force, progress=display.work
        )
        sent = here.send_back(output)
    if share_told(fan):
        return
    page = pipeline.report(output)
    _print_findings(rows, output, page)
    if here.options.send_back:
        say(f"sent back: {sent} DICOM files" if sent else "sent back: nothing, as nothing was outlined")
    if open_page:
        browse(page)


def _judge(scans: list[Path], model: Path, output: Path | None, force: bool) -> None:
    """Print what a discriminator or a classifier thinks of images, and write it where a file is named."""
    from synthoma import pipeline
    from synthoma.core.whole_files import new_file, write_text

    place = None if output is None else new_file(output, force=force, inputs=(*scans, model))
    with shown() as display:
        table = pipeline.judge(scans, model, progress=display.work)
    say(table.to_string(index=False))
    if "note" in table.attrs:
        say(f"note: {table.attrs['note']}")
    say("Research software, not for clinical use.")
    if place is not None:
        write_text(place, csv_of_frame(table))


def _print_findings(rows: Sequence[Mapping[str, object]], output: Path, page: Path) -> None:
    """What was found, what was skipped, and how far to trust it, in lines that the terminal does not break."""
    import csv
    import shutil
    import textwrap

    from synthoma.detection.change_records import read_changes
    from synthoma.detection.result import read_detection
    from synthoma.detection.words import change_lines, remark_lines, skipped_lines, table_lines

    width = max(shutil.get_terminal_size().columns, 40)
    with (output / "skipped.csv").open(encoding="utf-8", newline="") as stream:
        unused = list(csv.DictReader(stream))
    track_record = read_detection(output).track_record
    records = [line for text in track_record for line in textwrap.wrap(text, width)]
    for line in (
        *table_lines(rows, width),
        *change_lines(read_changes(output)),
        *remark_lines(rows, width),
        *skipped_lines(len(rows), unused, str(output / "skipped.csv"), width),
        *records,
    ):
        say(line)
    say(f"masks and findings: {output}\npage: {page}\nResearch software, not for clinical use.")
