"""Studies that come in: when one is complete, what an interrupted sender leaves, and what survives the process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from synthoma.hospital.inbox import FILE, FOUND, RECEIVED, Inbox, Study

QUIET = 30.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def filled(folder: Path, clock: Clock, images: int = 3, sender: int = 1) -> tuple[Inbox, Study]:
    inbox = Inbox(folder, QUIET, clock)
    for number in range(images):
        study = inbox.store("1.2.3", f"1.2.3.{number}", b"image", sender)
    return inbox, study


def test_a_study_is_complete_when_its_sender_has_gone_and_nothing_came_for_a_while(
    tmp_path: Path, clock: Clock
) -> None:
    inbox, study = filled(tmp_path, clock)
    clock.now += 10 * QUIET
    assert inbox.next_complete() is None  # its sender is still there
    inbox.end(1, cut=False)
    assert inbox.next_complete() is None
    clock.now += QUIET - 1
    assert inbox.next_complete() is None
    clock.now += 1
    assert inbox.next_complete() is study
    assert (study.state, study.images) == ("complete", 3)


def test_a_sender_that_was_cut_off_leaves_no_complete_study_until_one_says_goodbye(
    tmp_path: Path, clock: Clock
) -> None:
    inbox, study = filled(tmp_path, clock)
    inbox.end(1, cut=True)
    clock.now += 10 * QUIET
    assert inbox.next_complete() is None
    assert study.state == "interrupted"
    inbox.store("1.2.3", "1.2.3.2", b"image", 2)  # it tries again
    inbox.store("1.2.3", "1.2.3.3", b"image", 2)
    inbox.end(2, cut=False)
    inbox.end(2, cut=True)  # the connection closes after the goodbye
    clock.now += QUIET
    assert inbox.next_complete() is study
    assert study.images == 4


def test_two_senders_of_one_study_are_waited_for(tmp_path: Path, clock: Clock) -> None:
    inbox, _ = filled(tmp_path, clock)
    inbox.store("1.2.3", "1.2.3.9", b"image", 2)
    inbox.end(1, cut=False)
    clock.now += 2 * QUIET
    assert inbox.next_complete() is None
    inbox.end(2, cut=False)
    clock.now += 2 * QUIET
    assert inbox.next_complete() is not None


def test_images_that_come_while_it_is_looked_at_send_it_back(tmp_path: Path, clock: Clock) -> None:
    inbox, study = filled(tmp_path, clock)
    inbox.end(1, cut=False)
    clock.now += QUIET
    assert inbox.next_complete() is study
    inbox.store("1.2.3", "1.2.3.77", b"late", 2)
    assert not inbox.settle(study, "found")
    inbox.remove_images(study)
    assert len(list((inbox.place(study) / RECEIVED).iterdir())) == 4
    inbox.end(2, cut=False)
    clock.now += QUIET
    assert inbox.next_complete() is study


def test_a_few_images_after_the_others_were_removed_are_no_study(tmp_path: Path, clock: Clock) -> None:
    inbox, study = filled(tmp_path, clock)
    inbox.end(1, cut=False)
    clock.now += QUIET
    assert inbox.next_complete() is study
    assert inbox.settle(study, "found")
    inbox.remove_images(study)
    inbox.store("1.2.3", "1.2.3.8", b"late", 2)
    inbox.end(2, cut=False)
    clock.now += QUIET
    assert inbox.next_complete() is None
    assert study.why == "1 of 3 images came again, and the others were removed: send the whole study"
    for number in range(3):
        inbox.store("1.2.3", f"1.2.3.{number}", b"image", 3)
    inbox.end(3, cut=False)
    clock.now += QUIET
    assert inbox.next_complete() is study


def test_uids_lead_nowhere_and_are_written_nowhere(tmp_path: Path, clock: Clock) -> None:
    inbox = Inbox(tmp_path / "in", QUIET, clock)
    inbox.store("../../Meier", "../../../etc/passwd", b"image", 1)
    names = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")]
    assert all(name.startswith("in") and "Meier" not in name and "passwd" not in name for name in names)
    assert not any(b"Meier" in path.read_bytes() for path in tmp_path.rglob("*.json"))


def test_what_a_killed_process_left_is_found_again(tmp_path: Path, clock: Clock) -> None:
    inbox, half = filled(tmp_path, clock)
    for number in range(2):
        inbox.store("9.9", f"9.9.{number}", b"image", 5)
    inbox.end(5, cut=False)
    clock.now += QUIET
    whole = inbox.next_complete()
    assert whole is not None
    assert whole is not half
    (inbox.place(half) / RECEIVED / ".x.dcm.partial-00000000").write_bytes(b"torn")
    again = Inbox(tmp_path, QUIET, clock)  # nothing was told to the first one: it was killed
    found = again.next_complete()
    assert found is not None
    assert (found.name, found.images) == (whole.name, 2)
    states = {study.name: (study.state, study.images) for study in again.studies()}
    assert states[half.name] == ("interrupted", 3)


def test_a_damaged_file_of_a_study_does_not_stop_the_others(tmp_path: Path, clock: Clock) -> None:
    inbox, study = filled(tmp_path, clock)
    inbox.end(1, cut=False)
    (inbox.place(study) / FILE).write_text("{torn")
    (inbox.folder / "stray").write_text("a file, no study")
    [found] = Inbox(tmp_path, QUIET, clock).studies()
    assert (found.state, found.images) == ("interrupted", 3)


def test_results_that_were_not_taken_are_sent_again_later(tmp_path: Path, clock: Clock) -> None:
    inbox, study = filled(tmp_path, clock)
    inbox.end(1, cut=False)
    clock.now += QUIET
    inbox.next_complete()
    inbox.settle(study, "found")
    assert inbox.settle(study, "unsent", "InputError")
    assert inbox.next_unsent(lambda tries: 60.0 * tries) is None
    clock.now += 60
    assert inbox.next_unsent(lambda tries: 60.0 * tries) is study
    again = Inbox(tmp_path, QUIET, clock)
    clock.now += 60
    found = again.next_unsent(lambda tries: 60.0 * tries)
    assert found is not None
    assert found.tries == 1
    assert json.loads((again.place(found) / FILE).read_text())["state"] == "unsent"
    assert FOUND == "found"
