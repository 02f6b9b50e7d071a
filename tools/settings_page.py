"""Writes docs/settings.md from the settings of every command: nothing on that page is typed by hand.

python tools/settings_page.py            writes it
python tools/settings_page.py --check    exit code 1 where the one that is there is not what the code says
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from synthoma.commands.app import COMMANDS, command_of
from synthoma.commands.options import TAKEN, Taken
from synthoma.core.config import Config
from synthoma.core.fields import Setting, as_sentence, settings_of, shown
from synthoma.core.toml import toml_value
from synthoma.phantom import PhantomCohortConfig, StreamConfig
from synthoma.phantom.stream import MANY_SITES, OF_A_FOLDER

PAGE = Path(__file__).resolve().parents[1] / "docs" / "settings.md"
HEAD = """# Settings

<!-- Written by `python tools/settings_page.py` from the code. -->

Every setting of every command, as `--help` says it and `--print-config` writes it. Where settings are given in several
places, the last of these wins: the default, `--config FILE.toml`, `--set KEY=VALUE`, an option. A setting with a dot
in its name stands in a section: `--set gan.width=48`, or `width = 48` below `[gan]` in the file. In Python they are
given by name: `synthoma.train("cohort", "run", minutes=30)`. Files that Synthoma writes say behind each value whether
it is a default or was decided by `auto`; what says nothing was given. `synthoma info RUN` tells the three apart.
"""
TABLE = "| setting | option | value | default | unit | what it does | example |\n|---|---|---|---|---|---|---|"
_OF_MODELS = "Many models have defaults of their own: `synthoma train --model NAME --print-config` shows all of one."
REMARKS = {
    "gan": f"Of generators. {_OF_MODELS}",
    "segmenter": f"Of segmenters. {_OF_MODELS}",
    "classifier": f"Of classifiers. {_OF_MODELS}",
    "phantom": "Of simulated patients, with `--phantom N`.",
}


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(line for name in COMMANDS for line in _of_command(name))]).rstrip() + "\n"


def _of_command(name: str) -> Iterator[str]:
    taken: tuple[Taken, ...] = TAKEN.get(import_module(f"synthoma.commands.{name}").run, ())
    yield from (f"## `synthoma {name}`", "", as_sentence(COMMANDS[name]), "")
    if others := list(_plain_options(name, taken)):
        yield from ("| option | what it does |", "|---|---|", *others, "")
    for one in taken:
        yield from _of_config(one, settable="--set" in _flags(name))
    if name == "prepare":
        yield from _section(PhantomCohortConfig, "phantom", ())
    if name == "train":
        yield from _of_streams()


def _of_config(taken: Taken, *, settable: bool) -> Iterator[str]:
    known = settings_of(taken.config)
    top = [setting for path, setting in known.items() if "." not in path and not setting.written]
    yield from (TABLE, *(_row(one, taken.names, settable) for one in top), "")
    for section in dict.fromkeys(path.split(".")[0] for path in known if "." in path):
        yield from _section(taken.config, section, taken.names)


def _of_streams() -> Iterator[str]:
    """What an address says beside the settings of a phantom cohort, or otherwise."""
    usual, known = settings_of(PhantomCohortConfig), settings_of(StreamConfig)
    own = [one for path, one in known.items() if path not in usual or one.start != usual[path].start]
    yield from (
        "### `phantom://`",
        "",
        "Of a stream in place of a cohort, `'phantom://?KEY=VALUE&KEY=VALUE'`. Keys are these, and those of `synthoma "
        "prepare --phantom` as `--set` has them (`size`, `modalities`, `phantom.healthy`), without "
        f"{', '.join(f'`{name}`' for name in OF_A_FOLDER)}. Scanners (`phantom.sites`) are {MANY_SITES:,} by default.",
        "",
        TABLE,
        *(_row(one, (), False).replace("--set ", "") for one in own),
        "",
    )


def _section(config: type[Config], section: str, names: tuple[str, ...]) -> Iterator[str]:
    remark = REMARKS.get(section) or as_sentence(config.model_fields[section].description or "")
    yield from (f"### `[{section}]`", "", remark, "", TABLE)
    of = settings_of(config)
    yield from (_row(one, names, True) for path, one in of.items() if path.startswith(f"{section}."))
    yield ""


def _row(setting: Setting, names: tuple[str, ...], settable: bool) -> str:
    option = setting.flag if setting.name in names else f"--set {setting.name}=" if settable else ""
    value = " \\| ".join(f"`{choice}`" for choice in setting.choices) or ", ".join(
        filter(None, (setting.kind, setting.span))
    )
    return "| " + " | ".join((
        f"`{setting.name}`", f"`{option}`" if option else "", value, _cell(setting.start), setting.unit,
        _cell(as_sentence(setting.words)), f"`{_example(setting, setting.name in names)}`",
    )) + " |"  # fmt: skip


def _example(setting: Setting, is_option: bool) -> str:
    value = setting.example
    if is_option:
        if isinstance(value, bool):
            on, _, off = setting.flag.partition("/")
            return on if value else off or f"--no-{on.removeprefix('--')}"
        return f"{setting.flag} {shown(value)}"
    written = value if isinstance(value, str) else toml_value(value)
    return f"--set {shlex.quote(f'{setting.name}={written}')}"


def _plain_options(name: str, taken: tuple[Taken, ...]) -> Iterator[str]:
    """Options that are no settings."""
    known = {setting for one in taken for setting in one.names}
    for one in command_of(name).params:
        if one.name not in known and one.name != "help" and one.param_type_name == "option":
            yield f"| {', '.join(f'`{flag}`' for flag in one.opts)} | {_cell(one.help)} |"


def _flags(name: str) -> set[str]:
    return {flag for one in command_of(name).params for flag in one.opts}


def _cell(text: Any) -> str:
    return str(text).replace("|", "\\|")


def main() -> int:
    """Write the page, or compare it."""
    if "--check" in sys.argv[1:]:
        return int(not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != page())
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE.relative_to(PAGE.parents[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
