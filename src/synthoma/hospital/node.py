"""A DICOM node: takes images that scanners and archives send (C-STORE), and answers whether it is there (C-ECHO)."""

from __future__ import annotations

import shutil
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthoma.core.errors import ConfigError, InputError
from synthoma.hospital.audit import Audit
from synthoma.hospital.inbox import Inbox
from synthoma.hospital.settings import ListenConfig

if TYPE_CHECKING:
    from pynetdicom.events import Event

SUCCESS, FULL, NOT_READABLE = 0x0000, 0xA700, 0xC000
"""Statuses of C-STORE (PS3.4, table B.2-1)."""
_DERIVED = ("1.2.840.10008.5.1.4.1.1.66.", "1.2.840.10008.5.1.4.1.1.88.")
"""Segmentations and reports: an archive may send ours back to us, and looking at them would never end."""
_ECHO = "1.2.840.10008.1.1"
_GIB = 2**30


class Node:
    """A DICOM node that fills an inbox.

    Args:
        inbox: where images go.
        audit: told what happens.
        options: title, address, who may send, TLS.
        disk: folder whose disk must keep room.
    """

    def __init__(self, inbox: Inbox, audit: Audit, options: ListenConfig, disk: Path) -> None:
        self._inbox, self._audit, self._options, self._disk = inbox, audit, options, disk
        self._server: Any = None

    def start(self) -> int:
        """Listen in threads of its own, and return the port.

        Raises:
            ConfigError: pynetdicom is missing, nobody can listen there, or certificates cannot be used.
        """
        try:
            from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
        except ModuleNotFoundError as error:
            todo = "install it: pip install 'synthoma[dicom]'"
            raise ConfigError("what speaks the DICOM protocol", f"no {error.name}", todo) from None
        options = self._options
        entity = AE(ae_title=options.aet)
        entity.require_called_aet = True
        entity.require_calling_aet = list(options.allow)
        entity.maximum_associations = 20
        # A sender that says nothing for a minute has gone; its study is then interrupted, not complete.
        entity.network_timeout = entity.acse_timeout = entity.dimse_timeout = 60
        entity.supported_contexts = AllStoragePresentationContexts
        for context in entity.supported_contexts:
            context.transfer_syntax = [*ALL_TRANSFER_SYNTAXES]
        entity.add_supported_context(_ECHO)
        handlers: list[Any] = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_RELEASED, self._released),
            (evt.EVT_ABORTED, self._cut),
            (evt.EVT_CONN_CLOSE, self._cut),
            (evt.EVT_REJECTED, self._rejected),
        ]
        try:
            self._server = entity.start_server(
                (options.host, options.port), block=False, evt_handlers=handlers, ssl_context=server_tls(options)
            )
        except OSError as error:
            came = f"{options.host}:{options.port}: {error.strerror or error}"
            raise ConfigError("an address to listen at", came, "choose another --port") from None
        return int(self._server.socket.getsockname()[1])

    def stop(self) -> None:
        """Take nothing more; senders that are at it are cut off and will try again."""
        if self._server is not None:
            self._server.shutdown()
            self._server = None

    def _store(self, event: Event) -> int:
        sender = id(event.assoc)
        try:
            request: Any = event.request
            kind, image = str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID)
            if kind.startswith(_DERIVED):
                self._audit.write("left aside", kind=kind, sender=_title(event))
                return SUCCESS
            study = str(event.dataset.StudyInstanceUID)
            content = event.encoded_dataset()
        except (
            Exception
        ) as error:  # hostile or broken data: pydicom's errors are many, and may quote the patient's data
            self._inbox.refuse(sender)
            self._audit.write("refused", why=type(error).__name__, sender=_title(event))
            return NOT_READABLE
        try:
            # Asked before each image: a disk that is full stops the findings too, and whatever else lies on it.
            if shutil.disk_usage(self._disk).free < self._options.free_gib * _GIB + len(content):
                raise OSError("less room than --keep-free")
            self._inbox.store(study, image, content, sender)
        except (OSError, InputError) as error:
            self._inbox.refuse(sender)
            self._audit.write("out of room", study=self._audit.name(study), why=type(error).__name__)
            return FULL
        return SUCCESS

    def _released(self, event: Event) -> None:
        self._gone(event, cut=False)

    def _cut(self, event: Event) -> None:
        self._gone(event, cut=True)

    def _gone(self, event: Event, *, cut: bool) -> None:
        """After a goodbye the connection closes too: by then the sender is not known any more."""
        for study in self._inbox.end(id(event.assoc), cut=cut):
            told = "cut off" if cut else "received"
            self._audit.write(told, study=study.name, images=study.images, sender=_title(event))

    def _rejected(self, event: Event) -> None:
        self._audit.write("turned away", sender=_title(event))


def _title(event: Event) -> str:
    """The sender's AE title, and its address."""
    requestor = event.assoc.requestor
    return f"{str(requestor.ae_title).strip()} {requestor.address}"


def server_tls(options: ListenConfig) -> ssl.SSLContext | None:
    """How the node speaks TLS; None where it speaks plainly.

    Raises:
        ConfigError: a file cannot be used.
    """
    if options.tls_cert is None:
        _needs_certificate(options)
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, options)
    if options.tls_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_tls(options: ListenConfig) -> ssl.SSLContext | None:
    """How results are sent on to a node: by TLS where this node speaks TLS.

    Raises:
        ConfigError: a file cannot be used.
    """
    if options.tls_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False  # nodes of DICOM are known by address; the certificate is checked
    if options.tls_ca is None:
        context.verify_mode = ssl.CERT_NONE
    _load(context, options)
    return context


def _load(context: ssl.SSLContext, options: ListenConfig) -> None:
    assert options.tls_cert is not None
    try:
        context.load_cert_chain(options.tls_cert, options.tls_key)
        if options.tls_ca is not None:
            context.load_verify_locations(options.tls_ca)
    except (OSError, ssl.SSLError) as error:
        came = f"{type(error).__name__}: {error}"
        raise ConfigError("certificates in PEM files, with the key", came, "check --tls-cert, -key, -ca") from None


def _needs_certificate(options: ListenConfig) -> None:
    if options.tls_key is not None or options.tls_ca is not None:
        raise ConfigError("--tls-cert with --tls-key and --tls-ca", "none", "give the node's certificate")
