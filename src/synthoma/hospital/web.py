"""Studies of an archive that speaks DICOMweb (PS3.18: QIDO-RS, WADO-RS, STOW-RS), through dicomweb-client.

    synthoma detect dicomweb+https://pacs.example/dicom-web --study 1.2.3 -o found

Who asks is told by environment variables, never on the command line, where other users of the computer could read it:
``SYNTHOMA_DICOMWEB_USER`` with ``SYNTHOMA_DICOMWEB_PASSWORD``, or ``SYNTHOMA_DICOMWEB_TOKEN`` (a bearer token).
``SYNTHOMA_DICOMWEB_CA`` names a file with the certificates of the hospital. Where the package `keyring` is installed
and only the user is told, the password is taken from there (service "synthoma-dicomweb").
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthoma.core.errors import ConfigError, InputError
from synthoma.core.progress import Progress, silent
from synthoma.core.whole_files import whole_file

if TYPE_CHECKING:
    from dicomweb_client.api import DICOMwebClient

_ADDRESS = re.compile(r"dicomweb\+(https?):/+([^\s?#]+)", re.IGNORECASE)
"""A path of pathlib has one slash where an address has two."""
_UID = re.compile(r"(?=.{1,64}$)(0|[1-9]\d*)(\.(0|[1-9]\d*))+")
_MR = ("1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.4.4")
"""MR, Enhanced MR and Legacy Converted Enhanced MR images."""
ASKED = "SYNTHOMA_DICOMWEB_"
TIMEOUT_S = 120


def is_archive(text: object) -> bool:
    """Whether something that stands for scans is the address of an archive."""
    return _ADDRESS.fullmatch(str(text).strip()) is not None


@dataclass(frozen=True)
class Archive:
    """A DICOMweb server: its address, without what leads to a study."""

    url: str

    def __str__(self) -> str:
        return self.url

    @classmethod
    def parse(cls, text: object) -> Archive:
        """The server behind ``dicomweb+http(s)://HOST/PATH``.

        Raises:
            ConfigError: another kind of address, or one with a password in it.
        """
        found = _ADDRESS.fullmatch(str(text).strip())
        if found is None:
            raise ConfigError("an address dicomweb+https://HOST/PATH", repr(str(text)), "see docs/hospital.md")
        if "@" in found[2].partition("/")[0]:
            todo = f"leave it out, and set {ASKED}USER and {ASKED}PASSWORD"
            raise ConfigError("an address without a password", "one with it", todo)
        return cls(f"{found[1].lower()}://{found[2].rstrip('/')}")

    def fetch(self, study: str, folder: Path, progress: Progress = silent) -> int:
        """Fetch the MR images of a study into a folder, a file each.

        Args:
            study: its UID.
            folder: exists.
            progress: told how many came.

        Returns:
            How many came.

        Raises:
            ConfigError: not a UID.
            InputError: the server is not there, lets nobody in, or has no MR image of it.
        """
        if _UID.fullmatch(study) is None:
            raise ConfigError("the UID of a study, as 1.2.840.113619.2.1", repr(study), "take it from the archive")
        with self._client(f"study {study}") as client:
            series = client.search_for_series(study, fields=["00080060"], search_filters={"Modality": "MR"})
            wanted = [one["0020000E"]["Value"][0] for one in series if one.get("00080060", {}).get("Value") == ["MR"]]
            count = 0
            for number, uid in enumerate(wanted):
                progress("fetching series", number, len(wanted))
                for image in client.iter_series(study, str(uid)):
                    if image.SOPClassUID in _MR:
                        # Numbered: what the server calls them must not become a path.
                        with whole_file(folder / f"{number:03d}-{count:05d}.dcm") as partial:
                            image.save_as(partial, enforce_file_format=True)
                        count += 1
        if not count:
            came = "none" if not series else "none that is an image"
            raise InputError(f"MR images of this study at {self}", came, "check the UID, and that this user may see it")
        return count

    def store(self, files: Sequence[Path]) -> None:
        """Store DICOM files (STOW-RS).

        Raises:
            InputError: the server is not there, or did not take one.
        """
        import pydicom

        with self._client("storing") as client:
            answer = client.store_instances([pydicom.dcmread(file) for file in files])
            failed = len(answer.get("FailedSOPSequence", ()))
        if failed:
            raise InputError(f"a server that keeps all {len(files)} files", f"{failed} refused", "look into its log")

    @contextmanager
    def _client(self, what: str) -> Iterator[DICOMwebClient]:
        """A client; its errors in words of ours."""
        try:
            from dicomweb_client.api import DICOMwebClient
        except ModuleNotFoundError as error:
            todo = "install it: pip install 'synthoma[dicom]'"
            raise ConfigError("what speaks DICOMweb", f"no {error.name}", todo) from None
        import requests

        try:
            client = DICOMwebClient(self.url, session=_session(), headers=_headers())
            client.set_http_retry_params(retry=False)  # its own retries keep a user waiting for a wrong address
            yield client
        except requests.HTTPError as error:
            code = error.response.status_code if error.response is not None else 0
            todo = {
                401: f"set {ASKED}USER and {ASKED}PASSWORD, or {ASKED}TOKEN",
                403: "ask for the right to see it",
                404: "check the address and the UID",
            }.get(code, "look into its log")
            raise InputError(f"an answer of {self} for {what}", f"HTTP status {code}", todo) from None
        except (requests.RequestException, OSError) as error:
            came = f"{type(error).__name__}"
            raise InputError(f"a DICOMweb server at {self}", came, "check the address and the network") from None


def _session() -> Any:
    """A session that knows who asks, and the certificates of the hospital."""
    import requests
    from requests.adapters import HTTPAdapter

    class Patient(HTTPAdapter):
        """Waits for a while, not for ever: requests has no limit of its own."""

        def send(self, request: Any, *args: Any, **given: Any) -> Any:
            return super().send(request, *args, **{**given, "timeout": given.get("timeout") or TIMEOUT_S})

    session = requests.Session()
    session.mount("http://", Patient())
    session.mount("https://", Patient())
    user = os.environ.get(f"{ASKED}USER")
    if user:
        session.auth = (user, os.environ.get(f"{ASKED}PASSWORD") or _from_keyring(user))
    if ca := os.environ.get(f"{ASKED}CA"):
        session.verify = ca
    return session


def _headers() -> dict[str, str]:
    token = os.environ.get(f"{ASKED}TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}


def _from_keyring(user: str) -> str:
    """The password that the computer's own store holds.

    Raises:
        ConfigError: there is none.
    """
    try:
        password = import_module("keyring").get_password("synthoma-dicomweb", user)
    except Exception:  # not installed, or the store is locked: each of its backends has errors of its own
        password = None
    if not password:
        raise ConfigError(f"a password for {user}", "none", f"set {ASKED}PASSWORD, or put it into the keyring")
    return str(password)
