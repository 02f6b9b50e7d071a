"""Which folders may be seen, and which file an address means: none outside them, whatever the address says."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath

from synthoma.core.untrusted import file_name
from synthoma.studio.refusal import RefusedError

WORKSPACE = "w"
"""What addresses call the workspace; the folders named on the command line are 0, 1 and so on."""

UPLOADS = "uploads"
OWN = ".studio"
"""Folder of the workspace that holds jobs and logs."""


class Places:
    """The folders that the user opened.

    Attributes:
        roots: by the word that begins an address.

    Args:
        workspace: where everything is written; it is made.
        folders: scans and artefacts that are only read.
    """

    def __init__(self, workspace: Path, folders: Sequence[Path] = ()) -> None:
        for folder in (workspace, workspace / UPLOADS, workspace / OWN):
            folder.mkdir(parents=True, exist_ok=True)
        self.roots = {WORKSPACE: Path(os.path.realpath(workspace))}
        self.roots |= {str(number): Path(os.path.realpath(folder)) for number, folder in enumerate(folders)}

    @property
    def workspace(self) -> Path:
        """Where everything is written."""
        return self.roots[WORKSPACE]

    @property
    def own(self) -> Path:
        """Where jobs and logs lie."""
        return self.workspace / OWN

    def find(self, at: str) -> Path:
        """The file or folder of an address such as ``w/cohort`` or ``0/patients/7``.

        Raises:
            RefusedError: it leads out of the folders, by its words or by a link, is hidden, or nothing is there.
        """
        word, _, rest = at.partition("/")
        root = self.roots.get(word)
        parts = PurePosixPath(rest).parts
        if root is None or "\0" in rest or "\\" in rest or any(one.startswith((".", "/")) for one in parts):
            raise _outside()
        path = Path(os.path.realpath(root.joinpath(*parts)))
        if not path.is_relative_to(root) or self.hidden(path):
            raise _outside()
        try:
            there = path.exists()
        except OSError:
            there = False
        if not there:
            raise RefusedError(404, "a file or folder that is there", "an address of none", "go back and choose again")
        return path

    def hidden(self, path: Path) -> bool:
        """Whether a path, links followed, lies in a hidden folder of its root."""
        root = next((one for one in self.roots.values() if path.is_relative_to(one)), None)
        return root is None or any(part.startswith(".") for part in path.relative_to(root).parts)

    def address(self, path: Path) -> str:
        """The address of a file or folder.

        Raises:
            RefusedError: it lies outside.
        """
        real = Path(os.path.realpath(path))
        for word, root in self.roots.items():
            if real.is_relative_to(root) and not self.hidden(real):
                return "/".join((word, *real.relative_to(root).parts))
        raise _outside()

    def new(self, name: str, taken: Collection[str] = ()) -> Path:
        """A free place in the workspace for what is made.

        Args:
            name: as somebody wrote it; what cannot be a part of a path becomes ``_``.
            taken: places that jobs will write.
        """
        plain = file_name(name, 60).lstrip("_") or "result"
        number, found = 1, self.workspace / plain
        while found.exists() or str(found) in taken or found.name.lower() == UPLOADS:
            number += 1
            found = self.workspace / f"{plain}-{number}"
        return found


def _outside() -> RefusedError:
    todo = "choose something in the workspace, or start `synthoma studio FOLDER` with the folder that you need"
    return RefusedError(403, "something in a folder that was opened", "an address outside of them", todo)
