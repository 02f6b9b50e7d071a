"""What ``listen`` is told."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from synthoma.core.config import Config
from synthoma.core.fields import said


class ListenConfig(Config):
    """A DICOM node that looks at each study that is sent to it."""

    aet: str = Field(
        "SYNTHOMA",
        pattern=r"^[!-\[\]-~]([ -\[\]-~]{0,14}[!-\[\]-~])?$",
        description="name of this node (AE title); a sender that calls another is refused",
        examples=["SYNTHOMA"],
        json_schema_extra=said(metavar="TITLE"),
    )
    host: str = Field(
        "127.0.0.1",
        description="address to listen at; 0.0.0.0 for all of this computer, which needs --allow",
        examples=["0.0.0.0"],
        json_schema_extra=said(metavar="ADDRESS"),
    )
    port: int = Field(11112, ge=0, le=65535, description="port to listen at; 0 takes a free one", examples=[104])
    allow: tuple[str, ...] = Field(
        (),
        description="AE titles that may send",
        examples=[("PACS", "MR1")],
        json_schema_extra=said(unset="any"),
    )
    send_to: str | None = Field(
        None,
        description="where DICOM SEG and SR go: TITLE@HOST:PORT, or dicomweb+https://HOST/PATH",
        examples=["PACS@10.0.0.5:104"],
        json_schema_extra=said(unset="nowhere, they stay in the folder", metavar="PEER"),
    )
    quiet_s: float = Field(
        30,
        gt=0,
        le=86_400,
        description="a study is complete when nothing came for it for so long, and no sender was cut off",
        examples=[60.0],
        json_schema_extra=said(unit="seconds", flag="--quiet-time"),
    )
    longest_s: float = Field(
        900,
        gt=0,
        description="give one study up when looking at it takes longer",
        examples=[300.0],
        json_schema_extra=said(unit="seconds", flag="--time-limit"),
    )
    keep_images: bool = Field(
        False,
        description="keep the images of a study after looking at them; else only what was found stays",
        examples=[True],
    )
    free_gib: float = Field(
        1.0,
        ge=0,
        description="refuse images (out of resources) when the disk has less room than this",
        examples=[5.0],
        json_schema_extra=said(unit="GiB", flag="--keep-free"),
    )
    tls_cert: Path | None = Field(
        None, description="certificate of this node (PEM): then it speaks TLS only", examples=[Path("node.pem")],
        json_schema_extra=said(metavar="FILE", unset="no TLS"),
    )  # fmt: skip
    tls_key: Path | None = Field(
        None, description="private key of the certificate (PEM)", examples=[Path("node.key")],
        json_schema_extra=said(metavar="FILE", unset="in the certificate's file"),
    )  # fmt: skip
    tls_ca: Path | None = Field(
        None, description="certificates (PEM) by which senders and receivers are known; then theirs are asked for",
        examples=[Path("hospital-ca.pem")], json_schema_extra=said(metavar="FILE", unset="theirs are not asked for"),
    )  # fmt: skip
