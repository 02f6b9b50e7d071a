"""The command line as a newcomer types it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthoma.commands.app import main
from synthoma.training.bundle import shipped_model
from tests.scans.writers import voxels, write_picture

pytestmark = pytest.mark.slow


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of one command."""
    monkeypatch.setattr(sys, "argv", ["synthoma", *words])
    code = 0
    try:
        main()
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two class folders of small random pictures, and one file that is no picture."""
    rng = np.random.default_rng(0)
    for label in ("yes", "no"):
        (tmp_path / "scans" / label).mkdir(parents=True)
        for number in range(8):
            values = np.kron(rng.integers(40, 255, (12, 12)), np.ones((6, 6))).astype(np.uint8)
            values[:6] = values[-6:] = 0
            Image.fromarray(values).save(tmp_path / "scans" / label / f"{label}{number}.png")
    (tmp_path / "scans" / "no" / "broken.png").write_bytes(b"not a picture")
    return tmp_path / "scans"


def test_help_needs_no_heavy_library() -> None:
    heavy = ("torch", "pandas", "numpy", "SimpleITK", "matplotlib", "scipy", "monai", "nilearn", "pydantic")
    script = (
        "import sys; sys.argv = ['synthoma', '--help']\n"
        "from synthoma.commands.app import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print('LOADED', [name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("LOADED []")


def test_the_chain_is_imported_without_what_is_slow_to_load() -> None:
    """`synthoma info` learns nothing and draws nothing; a training needs no statistics before its first step."""
    slow = ("torch", "pandas", "scipy.stats", "sklearn", "matplotlib", "SimpleITK", "monai")
    script = (
        f"import sys, synthoma.pipeline\nprint([name for name in {slow!r} if name in sys.modules])\n"
        "import synthoma.generators.train\n"
        "print([name for name in ('scipy.stats', 'sklearn', 'matplotlib', 'monai') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "[]"]


def test_the_module_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "synthoma", "info", "nowhere"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "nowhere" in done.stderr


@pytest.mark.parametrize("command", ["prepare", "info", "report", "demo", "turing"])
def test_help_teaches_by_an_example(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    code, out, _ = run(monkeypatch, capsys, command, "--help")
    assert code == 0
    assert f"synthoma {command} " in out.split("Example")[1]


def test_prepare_info_report(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    pictures: Path,
    tmp_path: Path,
    no_network: None,
) -> None:
    cohort = str(tmp_path / "cohort")
    code, out, _ = run(monkeypatch, capsys, "prepare", str(pictures), "-o", cohort, "--size", "32")
    assert code == 0
    assert "16 slices of 16 cases in 16 groups, image, 32 px" in out
    assert "1 files or studies were not used" in out
    code, out, _ = run(monkeypatch, capsys, "info", cohort, "--json", "--cases", "50000", "--population", "1417000000")
    content = json.loads(out)
    assert (content["kind"], content["slices"], content["classes"]) == ("cohort", 16, ["no", "yes"])
    assert content["prevalence"].endswith("0.353 per 10,000")
    (tmp_path / "cohort" / "report.html").unlink()
    code, out, _ = run(monkeypatch, capsys, "report", cohort)
    assert code == 0
    assert (tmp_path / "cohort" / "report.html").is_file()
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or False)
    code, _, err = run(monkeypatch, capsys, "report", cohort, "--open")
    assert code == 0
    assert opened == [(tmp_path / "cohort" / "report.html").resolve().as_uri()]
    assert "no browser was found" in err


def test_info_of_a_folder_of_scans(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], pictures: Path
) -> None:
    code, out, _ = run(monkeypatch, capsys, "info", str(pictures))
    assert code == 0
    assert "classes: no 8, yes 8" in out


def test_info_cuts_long_lists(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A generator's file knows the air of some hundred slices, and all the patients behind it."""
    path = str(shipped_model("generator"))
    _, out, _ = run(monkeypatch, capsys, "info", path)
    assert max(map(len, out.splitlines())) < 500
    assert "modalities: image" in out
    _, whole, _ = run(monkeypatch, capsys, "info", path, "--json")
    groups = json.loads(whole)["provenance"]["trained_on"]["groups"]
    assert f"groups: {', '.join(groups[:12])}, and {len(groups) - 12} more (--json shows all)" in out


def test_an_existing_cohort_is_safe(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], pictures: Path, tmp_path: Path
) -> None:
    words = ("prepare", str(pictures), "-o", str(tmp_path / "cohort"), "--size", "16")
    assert run(monkeypatch, capsys, *words)[0] == 0
    before = (tmp_path / "cohort" / "cohort.json").read_bytes()
    code, _, err = run(monkeypatch, capsys, *words)
    assert code == 2
    assert "--force" in err
    assert (tmp_path / "cohort" / "cohort.json").read_bytes() == before
    assert run(monkeypatch, capsys, *words, "--force")[0] == 0


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("prepare", "-o", "x"), "a folder of scans or --phantom N"),
        (("prepare", "absent", "-o", "x"), "absent"),
        (("prepare", "absent"), "-o cohort"),
        (("prepare", "absent", "-o", "x", "--size", "5"), "size"),
        (("prepare", "absent", "-o", "x", "--set", "modality=flair"), "did you mean 'modalities'"),
        (("prepare", "absent", "-o", "x", "--layout", "dicomm"), "dicom"),
        (("prepare", "--phantom", "0", "-o", "x"), "phantom"),
        (("prepare", "--phantom", "1", "-o", "x", "--set", "phantom.skul=whole"), "did you mean 'phantom.skull'"),
        (("prepare", "scans", "-o", "x", "--set", "phantom.sites=3"), "expected a known setting; came 'phantom'"),
        (("info", "absent"), "absent"),
        (("info", ".", "--cases", "50"), "no --population"),
        (("info", ".", "--population", "50"), "no --cases"),
        (("report", "absent"), "absent"),
    ],
)
def test_mistakes_end_in_one_line_and_code_two(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    words: tuple[str, ...],
    complaint: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(monkeypatch, capsys, *words)
    assert code == 2
    line = err.strip().splitlines()[-1]
    assert line.startswith("error: expected ")
    assert complaint in line
    assert "Traceback" not in out + err
    assert list(tmp_path.iterdir()) == []


def test_print_config_reads_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    _, out, _ = run(monkeypatch, capsys, "prepare", "--size", "96", "--split", "0.5,0.25,0.25", "--print-config")
    (tmp_path / "config.toml").write_text(out)
    _, again, _ = run(monkeypatch, capsys, "prepare", "--config", str(tmp_path / "config.toml"), "--print-config")
    assert again == out
    assert "size = 96" in out


def test_settings_of_simulated_patients_read_back_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    asked = ("prepare", "--phantom", "2", "--print-config")
    _, out, _ = run(monkeypatch, capsys, *asked, "--size", "32", "--set", "phantom.sites=3")
    (tmp_path / "config.toml").write_text(out)
    _, again, _ = run(monkeypatch, capsys, *asked, "--config", str(tmp_path / "config.toml"))
    assert again == out
    assert "sites = 3" in out.split("[phantom]")[1]
    assert "duplicates = false" in out


def test_masks_are_scored_as_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A square shifted by three pixels: its surface is found within 3, not within 1."""
    truth = np.zeros((32, 32), np.uint8)
    truth[8:20, 8:20] = 1
    truth[10:14, 10:14] = 4
    for name, mask in (("truth", truth), ("drawn", np.roll(truth, 3, axis=1))):
        (tmp_path / name).mkdir()
        Image.fromarray(mask).save(tmp_path / name / "a.png")
    words = ["evaluate", str(tmp_path / "truth"), str(tmp_path / "drawn"), "-o", str(tmp_path / "scores"), "--force"]

    def regions(*options: str) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
        assert run(monkeypatch, capsys, *words, *options)[0] == 0
        found: dict[str, dict[str, dict[str, dict[str, float]]]]
        found = json.loads((tmp_path / "scores" / "scores.json").read_text())["regions"]
        return found

    assert set(regions("--convention", "brats-2017")) == {"whole tumour", "tumour core", "enhancing tumour"}
    assert set(regions()) == set(regions("--labels")) == {"whole tumour", "label 1", "label 4"}  # nobody said
    near, far = (
        regions("--tolerance", tolerance)["whole tumour"]["surface_dice"]["mean"]["value"] for tolerance in "31"
    )
    assert near == 1
    assert far < 0.8
    for option, said in (
        ("--preset=full", "settings of masks, which these are; came --preset"),
        ("--tolerance=0", "0"),
    ):
        code, _, error = run(monkeypatch, capsys, *words, option)
        assert (code, said in error) == (2, True)


def test_what_strangers_wrote_is_shown_and_not_obeyed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in\x1b[2J\x1b]0;title\x07"
    for number in range(3):
        write_picture(folder / "tumour" / f"p{number}\x1b[31m.png", voxels(number, (40, 40), np.uint8))
    (folder / "tumour" / "broken\x9b1m.png").write_bytes(b"none")
    output = tmp_path / "o\x1b[7m"
    commands = [
        ["info", str(folder)],
        ["prepare", str(folder), "-o", str(output), "--size", "16"],
        ["info", str(tmp_path / "absent\x1b[0m")],
        ["prepare", str(folder), "--set", "siz\x1b[1me=3"],
    ]
    for words in commands:
        monkeypatch.setattr("sys.argv", ["synthoma", *words])
        with pytest.raises(SystemExit):
            main()
        said = "".join(capsys.readouterr())
        assert said
        assert not any(mark in said for mark in "\x1b\x07\x9b"), words
    written = "".join(path.read_text() for path in output.iterdir() if path.suffix in (".csv", ".json"))
    assert "\x1b" not in written
