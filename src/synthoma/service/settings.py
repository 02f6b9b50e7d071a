"""What ``serve`` is told."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from synthoma.core.config import Config
from synthoma.core.fields import said


class ServeConfig(Config):
    """A service that looks at scans."""

    host: str = Field(
        "127.0.0.1", description="address to listen at; a proxy that speaks TLS belongs before any other",
        examples=["0.0.0.0"],
        json_schema_extra=said(metavar="ADDRESS"),
    )  # fmt: skip
    port: int = Field(8000, ge=0, le=65535, description="port to listen at; 0 takes a free one", examples=[8080])
    token_file: Path | None = Field(
        None, description="file whose first line every request must bring as a bearer token, 16 characters or more",
        examples=[Path("token.txt")], json_schema_extra=said(metavar="FILE", unset="a random one, shown at the start"),
    )  # fmt: skip
    folder: Path | None = Field(
        None, description="folder of scans that requests may name by path; only read", examples=[Path("scans")],
        json_schema_extra=said(metavar="FOLDER", unset="scans must be sent"),
    )  # fmt: skip
    at_once: int = Field(1, ge=1, le=64, description="scans that are looked at at a time", examples=[2])
    waiting: int = Field(100, ge=0, description="requests that may wait; more are refused (status 429)", examples=[20])
    longest_s: float = Field(
        600, gt=0, description="give a request up when it takes longer", examples=[120.0],
        json_schema_extra=said(unit="seconds", flag="--time-limit"),
    )  # fmt: skip
    upload_gib: float = Field(
        2.0, gt=0, description="largest request", examples=[4.0], json_schema_extra=said(unit="GiB", flag="--upload")
    )
    keep_hours: float = Field(
        24.0, gt=0,
        description="results are removed after this time; scans that were sent, as soon as they are looked at",
        examples=[1.0], json_schema_extra=said(unit="hours", flag="--keep"),
    )  # fmt: skip
