"""What is sent lies in the workspace under names of our own, all of it or nothing."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from synthoma.studio.studio import Studio
from synthoma.studio.uploads import split_name
from tests.studio.conftest import SMALL

Content = dict[str | zipfile.ZipInfo, bytes]


def send(visitor: TestClient, csrf: str, *files: tuple[str, bytes]) -> int:
    parts = [("files", (name, content)) for name, content in files]
    return visitor.post("/upload", data={"csrf": csrf}, files=parts).status_code


def packed(content: Content, how: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return out.getvalue()


def everything(studio: Studio) -> list[str]:
    root = studio.places.workspace / "uploads"
    return sorted(
        str(path.relative_to(root).as_posix()).partition("/")[2] for path in root.rglob("*") if path.is_file()
    )


def nothing_left(studio: Studio) -> bool:
    return everything(studio) == [] and not list(studio.places.own.glob("upload-*")) and studio.store.jobs() == []


def test_files_keep_what_their_names_say(studio: Studio, visitor: TestClient, csrf: str) -> None:
    assert send(visitor, csrf, ("p1_flair.nii.gz", b"one"), ("p1_flair.nii.gz", b"two")) == 303
    assert everything(studio) == ["p1_flair-2.nii.gz", "p1_flair.nii.gz"]
    (folder,) = (studio.places.workspace / "uploads").iterdir()
    assert (folder / "p1_flair.nii.gz").read_bytes() == b"one"
    assert (folder / "p1_flair-2.nii.gz").read_bytes() == b"two"
    (job,) = studio.store.jobs()
    assert job.words == ("info", str(folder))


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../evil.nii", "evil.nii"), ("/etc/passwd", "passwd"), ("..\\..\\evil.png", "evil.png"),
        ("<script>alert(1)</script>.png", "script_.png"), ("-o.nii.gz", "o.nii.gz"), (".hidden", "_hidden"),
        ("a\nb.png", "b.png"), ("x.png\u202e", "x_png_"), ("C:\\scans\\p.nii", "p.nii"),
    ],
)  # fmt: skip
def test_names_never_become_paths(studio: Studio, visitor: TestClient, csrf: str, name: str, safe: str) -> None:
    assert send(visitor, csrf, (name, b"x")) in (303, 400)
    for place in everything(studio):
        assert place.endswith(safe), place
        assert not any(part.startswith((".", "-")) for part in place.split("/"))
    before = {path.name for path in studio.places.workspace.parent.iterdir()}
    assert before == {"workspace", "scans", "secret.txt"}


def test_suffixes() -> None:
    assert split_name("p 1.t1.nii.gz") == ("p 1_t1", ".nii.gz")
    assert split_name("scan.v2.PNG") == ("scan_v2", ".png")
    assert split_name("IM0001") == ("IM0001", "")
    assert split_name(".bashrc") == ("_bashrc", "")


def test_names_with_markup_are_text(studio: Studio, visitor: TestClient, csrf: str) -> None:
    assert send(visitor, csrf, ("<b onmouseover=alert(1)>&'\".png", b"x")) == 303
    (job,) = studio.store.jobs()
    at = studio.places.address(Path(job.output))
    for address in ("/drop", f"/scans/{at}", "/detect"):
        page = visitor.get(address).text
        assert "<b onmouseover" not in page
        assert "&lt;b onmouseover=alert(1)&gt;" in page


def test_zip_is_unpacked(studio: Studio, visitor: TestClient, csrf: str) -> None:
    content: Content = {"a/p1_t1.nii": b"1", "a/b/p1_t2.nii": b"22", "__MACOSX/x": b"no", "a/.DS_Store": b"no"}
    assert send(visitor, csrf, ("scans.zip", packed(content))) == 303
    assert everything(studio) == ["scans/a/b/p1_t2.nii", "scans/a/p1_t1.nii"]


def _link() -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo("link")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


HOSTILE: dict[str, bytes] = {
    "out": packed({"../evil.png": b"x"}),
    "deep out": packed({"a/../../../evil.png": b"x"}),
    "absolute": packed({"/evil.png": b"x"}),
    "drive": packed({"C:/evil.png": b"x"}),
    "backslash": packed({"..\\evil.png": b"x"}),
    "link": packed({_link(): b"/etc/passwd"}),
    "bomb": packed({"bomb.nii": bytes(2 * 2**20)}),
    "large": packed({"large.nii": bytes(range(256)) * 2**12 * 4}, zipfile.ZIP_DEFLATED),
    "many": packed({f"{number}.png": b"x" for number in range(SMALL.files + 1)}),
    "nested": packed({"a/b/c/d/e/f/g.png": b"x"}),
    "no zip": b"not a zip at all",
    "cut": packed({"a.png": b"x" * 999})[:60],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives_are_refused_whole(studio: Studio, visitor: TestClient, csrf: str, name: str) -> None:
    good = ("good.png", b"first")
    assert send(visitor, csrf, good, ("x.zip", HOSTILE[name])) in (400, 413)
    assert nothing_left(studio)


def test_a_size_that_lies_is_found(studio: Studio, visitor: TestClient, csrf: str) -> None:
    honest = packed({"a.nii": b"x" * 5000}, zipfile.ZIP_STORED)
    lying = honest.replace((5000).to_bytes(4, "little"), (50).to_bytes(4, "little"))
    assert lying != honest
    assert send(visitor, csrf, ("x.zip", lying)) in (400, 413)
    assert nothing_left(studio)


def test_too_much_is_refused(studio: Studio, visitor: TestClient, csrf: str) -> None:
    assert send(visitor, csrf, ("x.nii", bytes(SMALL.upload_bytes + 1))) == 413
    assert send(visitor, csrf, *((f"{number}.png", b"x") for number in range(SMALL.files + 1))) in (400, 413)
    assert send(visitor, csrf) == 400
    assert nothing_left(studio)


def test_what_others_sent_stays(studio: Studio, visitor: TestClient, csrf: str) -> None:
    assert send(visitor, csrf, ("a.png", b"mine")) == 303
    assert send(visitor, csrf, ("a.png", b"yours")) == 303
    assert send(visitor, csrf, ("x.zip", HOSTILE["out"])) == 400
    assert everything(studio) == ["a.png", "a.png"]
    labels = [json.loads(path.read_text()) for path in studio.places.own.glob("labels-*.json")]
    assert labels == [{"a.png": "a.png"}] * 2
