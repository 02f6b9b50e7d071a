"""The command: it says where it is, is alone in its workspace, and says what it lacks."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytestmark = pytest.mark.heavy

WITHOUT = """
import sys
class Gone:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "starlette":
            raise ModuleNotFoundError(f"No module named {name!r}", name="starlette")
sys.meta_path.insert(0, Gone())
sys.argv = ["synthoma", "studio"]
from synthoma.commands.app import main
main()
"""


def _words(*more: str) -> list[str]:
    return [sys.executable, "-m", "synthoma", "studio", "--no-open", "--port", "0", *more]


def test_it_answers_alone_and_ends_in_order(tmp_path: Path) -> None:
    place = ["--workspace", str(tmp_path / "ws")]
    with subprocess.Popen(_words(*place), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().removeprefix("studio: ").strip()
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(address) as answer:
            assert "synthoma_studio_" in answer.headers["set-cookie"]
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(address.partition("/enter")[0])
        second = subprocess.run(_words(*place), capture_output=True, text=True, check=False)
        assert second.returncode == 2
        assert "another studio" in second.stderr
        server.send_signal(signal.SIGTERM)
        server.wait(60)
        assert "Traceback" not in server.stderr.read()  # type: ignore[union-attr]
    assert "refused GET /" in (tmp_path / "ws" / ".studio" / "studio.log").read_text()


def test_others_need_a_password(tmp_path: Path) -> None:
    words = _words("--host", "0.0.0.0", "--workspace", str(tmp_path / "ws"))
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--password-file" in done.stderr


def test_without_the_extra_one_sentence_says_so() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.strip().count("\n") == 0
    assert "pip install 'synthoma[studio]'" in done.stderr
