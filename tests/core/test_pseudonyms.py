"""Pseudonyms: the key, what it must be, and what is kept for its owner."""

from __future__ import annotations

from pathlib import Path

import pytest

from synthoma.core.errors import InputError
from synthoma.core.pseudonyms import pseudonym, remember, secret_key


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder of settings without a key."""
    monkeypatch.delenv("SYNTHOMA_KEY")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "synthoma"


def test_pseudonyms_need_the_key() -> None:
    assert pseudonym("Jane Doe", b"k1") == pseudonym("Jane Doe", b"k1")
    assert pseudonym("Jane Doe", b"k1") != pseudonym("Jane Doe", b"k2")
    # RFC 4231, test case 2.
    assert pseudonym("what do ya want for nothing?", b"Jefe") == "5bdcc146bf60"


def test_secret_key_is_kept_and_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SYNTHOMA_KEY")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    first = secret_key()
    assert len(first) == 32
    assert secret_key() == first
    assert (tmp_path / "synthoma" / "key").stat().st_mode & 0o077 == 0


def test_what_pseudonyms_stand_for_is_kept_for_their_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SYNTHOMA_KEY")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    place = remember({"abc": "/scans/Quetzal, A", "def": "b"})
    assert place == tmp_path / "synthoma" / "index.csv"
    assert place.stat().st_mode & 0o777 == 0o600
    assert remember({"abc": "elsewhere", "ghi": "c"}) == place
    assert place.read_text().splitlines() == ['abc,"/scans/Quetzal, A"', "def,b", "ghi,c"]
    monkeypatch.setenv("SYNTHOMA_KEY", "a key of the environment")
    assert remember({"jkl": "d"}) is None  # no file beside which it would lie
    assert "jkl" not in place.read_text()


@pytest.mark.parametrize("content", [b"", b"short", b"fifteen bytes.."])
def test_short_keys_are_refused_and_left_alone(own_folder: Path, content: bytes) -> None:
    own_folder.mkdir()
    (own_folder / "key").write_bytes(content)
    with pytest.raises(InputError, match=f"16 bytes or more.*came {len(content)} in "):
        secret_key()
    assert (own_folder / "key").read_bytes() == content


def test_a_short_key_of_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNTHOMA_KEY", "secret")
    with pytest.raises(InputError, match=r"came 6 in \$SYNTHOMA_KEY"):
        secret_key()


def test_a_key_that_cannot_be_read_is_not_replaced_in_silence(own_folder: Path) -> None:
    (own_folder / "key").mkdir(parents=True)
    with pytest.raises(InputError, match="readable file with the key"):
        secret_key()


def test_without_a_home_one_key_serves_the_whole_process(own_folder: Path) -> None:
    own_folder.write_text("a file where the folder would be")
    assert len(secret_key()) == 32
    assert secret_key() == secret_key()


def test_a_new_key_never_takes_the_place_of_another(own_folder: Path) -> None:
    from synthoma.core.pseudonyms import _keep

    _keep(own_folder / "key", b"f" * 32)
    _keep(own_folder / "key", b"s" * 32)
    assert (own_folder / "key").read_bytes() == b"f" * 32
    assert [path.name for path in own_folder.iterdir()] == ["key"]
