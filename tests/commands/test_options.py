"""Every option is described once: in the field of its setting."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import TypeAdapter

import synthoma
from synthoma.cohorts.settings import PrepareConfig
from synthoma.commands.app import COMMANDS, command_of, main
from synthoma.commands.options import TAKEN
from synthoma.core.config import Config
from synthoma.core.fields import settings_of
from synthoma.phantom import PhantomCohortConfig
from synthoma.settings import TrainConfig

SOURCE = Path(synthoma.__file__).parent
SCRIPT = Path(__file__).parents[2] / "tools" / "settings_page.py"
HEAVY = ("torch", "pandas", "scipy", "monai", "numpy", "SimpleITK", "skimage", "matplotlib")


def configs() -> list[type[Config]]:
    """Every class of settings in the package."""
    for path in (*SOURCE.rglob("settings.py"), *SOURCE.rglob("config.py"), *SOURCE.rglob("request.py")):
        import_module(".".join(("synthoma", *path.relative_to(SOURCE).with_suffix("").parts)))

    def below(kind: type[Config]) -> Iterator[type[Config]]:
        for one in kind.__subclasses__():
            yield one
            yield from below(one)

    return sorted(
        {one for one in below(Config) if one.__module__.startswith("synthoma.")}, key=lambda one: one.__name__
    )


@pytest.mark.parametrize("kind", configs(), ids=lambda kind: kind.__name__)
def test_every_setting_says_what_it_does(kind: type[Config]) -> None:
    for name, field in kind.model_fields.items():
        assert field.description, f"{kind.__name__}.{name} has no description"
    for name, setting in settings_of(kind).items():
        assert setting.written or setting.example is not None, f"{kind.__name__}, {name} has no example"
        assert name.split(".")[-1] in (kind.__doc__ or "") or "." in name


@pytest.mark.parametrize("kind", configs(), ids=lambda kind: kind.__name__)
def test_examples_are_valid(kind: type[Config]) -> None:
    """An example is taken by its own field; whether it fits the others is another question."""
    for field in kind.model_fields.values():
        for example in field.examples or ():
            if not isinstance(example, str) or "tuple" not in str(field.annotation):  # of texts, commas are taken away
                TypeAdapter(Annotated[field.annotation, None, *field.metadata]).validate_python(example)


@pytest.mark.parametrize("command", COMMANDS)
def test_no_help_is_written_twice(command: str) -> None:
    """An option that has the name of a setting has its words."""
    taken = TAKEN.get(import_module(f"synthoma.commands.{command}").run, ())
    known = {name: one for taking in taken for name, one in settings_of(taking.config).items()}
    # Two steps of a chain may have a setting of one name: the words are those of the one that is taken.
    known |= {name: settings_of(taking.config)[name] for taking in taken for name in taking.names}
    helps = {one.name: one.help for one in command_of(command).params if one.param_type_name == "option"}
    assert {name for taking in taken for name in taking.names} <= set(helps)
    for name, text in helps.items():
        assert name not in known or text == known[name].sentence(), name


def test_options_are_made_in_one_place() -> None:
    for path in (SOURCE / "commands").glob("*.py"):
        if path.name not in ("options.py", "app.py"):
            calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)]
            assert not [one for one in calls if one.attr == "Option"], path.name


def test_sentences_have_range_choices_and_default() -> None:
    known = settings_of(PrepareConfig)
    assert known["size"].sentence() == "Side of the square slices. 16 to 1024 pixels. Default: 128."
    assert "One of axial, sagittal, coronal. Default: axial." in known["plane"].sentence()
    assert known["crop"].sentence() == "Crop to the head before resizing. Default: yes."
    assert known["pseudonyms"].sentence().endswith("always done.")
    assert known["split_from"].sentence().endswith("Default: drawn by patient.")
    assert settings_of(PhantomCohortConfig)["phantom.volume_ml"].range == "0.5 to 200 ml"
    assert settings_of(TrainConfig)["extra"].flag == "--with"


@pytest.mark.slow
def test_the_page_of_settings_is_that_of_the_code() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "--check"], check=False)
    assert done.returncode == 0, f"run python tools/{SCRIPT.name}"


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_help_loads_nothing_heavy(command: str) -> None:
    script = (
        f"import sys; sys.argv = ['synthoma', {command!r}, '--help']\n"
        "from synthoma.commands.app import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "synthoma " in done.stdout.split("Examples")[1]
    assert done.stdout.rstrip().endswith("LOADED []")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("trian", "x"), "came 'trian'; did you mean 'train'?"),
        (("train", "x", "--modle", "dcgan"), "an option of `synthoma train`; came '--modle'; did you mean '--model'?"),
        (("train", "x", "--devise=cpu"), "did you mean '--device'?"),
        (("train", "x", "--hepl"), "did you mean '--help'?"),
        (("prepare", "x", "-o"), "a value after -o; came none; see `synthoma prepare --help`"),
        (("evaluate", "x"), "see `synthoma evaluate --help`"),
        (("info", "x", "y"), "see `synthoma info --help`"),
        (("info", "x", "--cases", "many"), "came 'many'; see `synthoma info --help`"),
        (("prepare", "x", "--split", "1,2"), "split as 3 numbers, with commas between them; came ['1', '2']"),
        (("prepare", "x", "--size", "big"), "size as a whole number, 16 to 1024 pixels; came 'big'"),
        (("prepare", "x", "--size", "8"), "size as a whole number, 16 to 1024 pixels; came '8'; write for example 64"),
        (
            ("prepare", "x", "--plane", "axail"),
            "one of axial, sagittal, coronal; came 'axail'; did you mean 'axial'?",
        ),
        (("evaluate", "a", "b", "-o", "c", "--preset", "ful"), "did you mean 'full'?"),
        (("generate", "a", "-o", "c", "--export", "dcm"), "form as one of png, nifti, dicom; came 'dcm'"),
        (("detect", "a", "-o", "c", "--threshold", "2"), "above 0 and below 1; came '2'"),
    ],
)
def test_a_slip_is_answered_with_what_was_meant(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], complaint: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["synthoma", *words])
    with pytest.raises(SystemExit) as leaving:
        main()
    assert leaving.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: expected ")
    assert complaint in said
