"""Scans that lie in an archive, as `detect` takes them: fetched for as long as they are looked at."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from synthoma.core.errors import ConfigError, InputError
from synthoma.core.progress import Progress, silent
from synthoma.detection.settings import DetectConfig
from synthoma.hospital.web import Archive, is_archive


@dataclass(frozen=True)
class Fetched:
    """Scans on this computer.

    Attributes:
        places: files and folders.
        archives: where those that were fetched came from.
        options: how they are looked at: with a DICOM SR where results are sent back.
    """

    places: tuple[Path, ...]
    archives: tuple[Archive, ...]
    options: DetectConfig

    def send_back(self, found: Path) -> int:
        """Store the DICOM SEG, SR and RTSTRUCT of a folder of findings where the scans came from; how many there were.

        Raises:
            InputError: an archive does not take them; what was found stays.
        """
        if not self.options.send_back:
            return 0
        files = [path for kind in ("seg", "sr", "rtstruct") for path in sorted(found.rglob(f"*_{kind}.dcm"))]
        for archive in self.archives if files else ():
            try:
                archive.store(files)
            except InputError as error:
                todo = f"{error.todo}; what was found is in {found}"
                raise InputError(error.expected, error.came, todo) from None
        return len(files)


@contextmanager
def fetched(scans: Sequence[Path | str], options: DetectConfig, progress: Progress = silent) -> Iterator[Fetched]:
    """Fetch the studies of each archive among the scans; they are removed at the end.

    Raises:
        ConfigError: an archive without ``study``, or ``study`` and ``send_back`` without an archive.
        InputError: see ``Archive.fetch``.
    """
    archives = tuple(dict.fromkeys(Archive.parse(scan) for scan in scans if is_archive(scan)))
    if not archives:
        if options.study or options.send_back:
            came = "--study" if options.study else "--send-back"
            raise ConfigError("an archive dicomweb+https://HOST/PATH among the scans", f"{came} without one", "give it")
        yield Fetched(tuple(Path(scan) for scan in scans), (), options)
        return
    if not options.study:
        raise ConfigError("which study of the archive", "no --study", "give its UID: --study 1.2.840...")
    if options.send_back and not options.dicom_seg:
        raise ConfigError("DICOM SEG where results are sent back", "--no-dicom-seg", "leave it out")
    if options.send_back and len(archives) > 1:
        raise ConfigError("one archive to send results back to", f"{len(archives)}", "ask them one after the other")
    with tempfile.TemporaryDirectory(prefix="synthoma-study-") as folder:  # readable by its owner alone
        places = [Path(scan) for scan in scans if not is_archive(scan)]
        for archive in archives:
            for uid in options.study:
                place = Path(folder) / f"study-{len(places)}"
                place.mkdir()
                archive.fetch(uid, place, progress)
                places.append(place)
        yield Fetched(
            tuple(places), archives, options.model_copy(update={"dicom_sr": options.send_back or options.dicom_sr})
        )
