"""Where results go: a DICOM node (C-STORE) or a DICOMweb server (STOW-RS)."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from synthoma.core.errors import ConfigError, InputError
from synthoma.hospital.web import Archive, is_archive

_PEER = re.compile(r"(?P<title>[^@\\]{1,16})@(?P<host>\[[0-9A-Fa-f:]+\]|[^:@\s]+):(?P<port>\d{1,5})")
TIMEOUT_S = 60


@dataclass(frozen=True)
class Peer:
    """A DICOM node: its AE title, host and port."""

    title: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.title}@{self.host}:{self.port}"


def receiver(text: str) -> Peer | Archive:
    """What a user wrote as a place for results.

    Raises:
        ConfigError: neither a node nor a server.
    """
    if is_archive(text):
        return Archive.parse(text)
    found = _PEER.fullmatch(text.strip())
    if found is None or not 0 < int(found["port"]) < 65536:
        todo = "for example PACS@10.0.0.5:104, or dicomweb+https://pacs.example/dicom-web"
        raise ConfigError("a receiver TITLE@HOST:PORT", repr(text), todo)
    return Peer(found["title"].strip(), found["host"].strip("[]"), int(found["port"]))


def send(
    files: Sequence[Path], to: Peer | Archive, *, calling: str = "SYNTHOMA", tls: ssl.SSLContext | None = None
) -> None:
    """Send DICOM files; all of them arrived when this returns.

    Args:
        files: whole DICOM files.
        to: the receiver.
        calling: AE title of the sender.
        tls: how to speak TLS to a node; None speaks plainly. Servers' addresses say it themselves.

    Raises:
        InputError: the receiver is not there, refuses, or did not keep a file.
    """
    if isinstance(to, Archive):
        to.store(files)
        return
    import pydicom
    from pynetdicom import AE

    try:  # pynetdicom would leave its socket open where nobody answers
        socket.create_connection((to.host, to.port), TIMEOUT_S).close()
    except OSError as error:
        came = f"no answer: {error.strerror or error}"
        raise InputError(f"a DICOM node that takes results at {to}", came, "check host, port and network") from None
    heads = [pydicom.dcmread(file) for file in files]
    entity = AE(ae_title=calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = TIMEOUT_S
    for head in heads:
        entity.add_requested_context(head.SOPClassUID, head.file_meta.TransferSyntaxUID)
    association = entity.associate(to.host, to.port, ae_title=to.title, tls_args=(tls, to.host) if tls else None)
    if not association.is_established:
        if association.dul.socket is not None:  # pynetdicom leaves it open after a handshake that failed
            association.dul.socket.close()
        how = "an answer that refuses" if association.is_rejected else "no answer"
        raise InputError(
            f"a DICOM node that takes results at {to}", how, "check title, host, port and that it knows us"
        )
    try:
        for head in heads:
            try:
                status = association.send_c_store(head)
            except (ValueError, RuntimeError) as error:  # no context was accepted for its kind, or it was cut off
                raise InputError(
                    f"a node at {to} that takes {head.Modality}", str(error)[:200], "ask who runs it"
                ) from None
            code = status.get("Status")
            if code is None or (code != 0 and not 0xB000 <= code <= 0xBFFF):  # 0xBxxx are warnings: it was kept
                came = "no answer" if code is None else f"status {code:#06x}"
                raise InputError(f"a node at {to} that keeps {head.Modality}", came, "look into its log")
    finally:
        if association.is_established:
            association.release()
