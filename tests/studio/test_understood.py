"""Corrections of what was understood, from the form to the file that `prepare` reads; and who is held out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from synthoma.cohorts.corrections import Correction, read_corrections
from synthoma.studio.studio import Studio
from synthoma.studio.understood import SHOWN, meter, patient_of

COMMON = {"at": "0/inner", "size": "32", "slices": "tumour", "every": "3"}


def understood(studio: Studio, visitor: TestClient, csrf: str, cases: int = 3) -> str:
    """A look at a folder that is done; the page."""
    visitor.post("/look", data={"csrf": csrf, "at": "0/inner"})
    (job,) = studio.store.jobs()
    table = [
        {"case": f"p{n:03d}_<i>", "patient": None, "sequences": ["t1", "flair"], "mask": True, "class": None}
        for n in range(cases)
    ]
    label = {"convention": None, "values": [1], "meaning": "", "why": "several fit", "choices": ["msd", "peds"]}
    facts: dict[str, object] = {
        "kind": "scans", "layout": "volumes", "cases": cases, "patients": 0, "cases without a known patient": cases,
        "patients with several visits": 0, "modalities": {"flair": cases, "t1": cases, "<x>": 1}, "with masks": cases,
        "labels": [label], "classes": {}, "left aside": {}, "skipped files": 0, "warnings": [], "table": table,
        "examples": [], "remarks": [],
    }  # fmt: skip
    (studio.queue.logs / f"{job.id}.json").write_text(json.dumps(facts), encoding="utf-8")
    studio.store.end(job.id, "done")
    return str(visitor.get("/scans/0/inner").text)


def corrections(
    studio: Studio, visitor: TestClient, csrf: str, **form: str
) -> tuple[tuple[str, ...], list[Correction]]:
    """What a form orders: its words, and the corrections in its file."""
    answer = visitor.post("/order/prepare", data={"csrf": csrf, **COMMON, **form})
    assert answer.status_code == 303, answer.text
    job = studio.store.job(answer.headers["location"].removeprefix("/job/"))
    assert job is not None
    file = next((word.partition("=")[2] for word in job.words if word.startswith("--corrections=")), None)
    return job.words, [] if file is None else read_corrections(Path(file))


def test_the_page_asks_what_is_not_known(studio: Studio, visitor: TestClient, csrf: str) -> None:
    page = understood(studio, visitor, csrf)
    assert "NOT KNOWN: several fit. It could be msd, peds" in page
    assert 'name="seq_t1"' in page
    assert "seq_&lt;x&gt;" not in page
    assert "<i>" not in page
    assert "0 of 3" not in page
    assert "2 of 3 patients are held out" in page
    assert page.count('name="case_') == 3


def test_a_form_becomes_a_table(studio: Studio, visitor: TestClient, csrf: str) -> None:
    words, found = corrections(
        studio, visitor, csrf, seq_t1="t1c", seq_flair="flair", convention="1=oedema,2=core", test="20",
        validation="10", case_0="p1", patient_0=" p0 ", was_0="p1", case_1="p2", patient_1="p2", was_1="p2",
        case_2="=cmd|x", out_2="yes",
        case_3="p4", part_3="test", seqs_3="t1=- flair=t2",
    )  # fmt: skip
    assert "--split=0.7,0.1,0.2" in words
    assert "--convention=1=oedema,2=core" in words
    assert found == [
        Correction("*", sequences={"t1": "t1c"}), Correction("p1", "p0"), Correction("=cmd|x", leave_out=True),
        Correction("p4", split="test", sequences={"t1": "-", "flair": "t2"}),
    ]  # fmt: skip
    assert corrections(studio, visitor, csrf)[1] == []


@pytest.mark.parametrize(
    "form",
    [
        {"seq_t1": "t9"}, {"convention": "--force"}, {"convention": "a\nb"}, {"test": "80", "validation": "20"},
        {"test": "x", "validation": "1"}, {"case_0": "a", "part_0": "tset"}, {"case_0": "a", "seqs_0": "t1"},
    ],
)  # fmt: skip
def test_nonsense_is_refused(studio: Studio, visitor: TestClient, csrf: str, form: dict[str, str]) -> None:
    assert visitor.post("/order/prepare", data={"csrf": csrf, **COMMON, **form}).status_code in (400, 422)
    assert studio.store.jobs() == []


def test_a_queued_command_keeps_its_file(studio: Studio, visitor: TestClient, csrf: str) -> None:
    one = corrections(studio, visitor, csrf, case_0="a", out_0="yes")[0]
    other = corrections(studio, visitor, csrf, case_0="b", out_0="yes")[0]
    assert one[-1] != other[-1]
    assert read_corrections(Path(one[-1].partition("=")[2])) == [Correction("a", leave_out=True)]


def test_a_pattern_is_about_all_cases(studio: Studio, visitor: TestClient, csrf: str) -> None:
    understood(studio, visitor, csrf, SHOWN + 5)
    page = visitor.get("/scans/0/inner", params={"by": "first", "mark": "2"}).text
    assert 'value="p0"' in page
    assert f"1 of {1}" not in page.split("meter")[0]
    found = corrections(studio, visitor, csrf, by="first", mark="2")[1]
    assert [(one.case, one.patient) for one in found] == [(f"p{n:03d}_<i>", "p1") for n in range(SHOWN, SHOWN + 5)]


def test_patients_are_told_from_names() -> None:
    assert patient_of("p7_visit2", "before", "_") == "p7"
    assert patient_of("p7_visit2", "before", "") == ""
    assert patient_of("p7_visit2", "first", "1") == "p"
    assert patient_of("p7_visit2", "first", "x") == ""
    assert patient_of("p7_visit2", "case", "") == "p7_visit2"
    assert patient_of("p7_visit2", "nonsense", "_") == ""


def test_the_meter_says_whether_a_verdict_is_possible() -> None:
    def of(count: int, test: float, validation: float) -> str:
        return meter({str(number) for number in range(count)}, test, validation)

    assert of(40, 15, 15).startswith("12 of 40")
    assert "enough" in of(40, 15, 15)
    assert "hold out more" in of(20, 15, 10)
    assert "CANNOT TELL" in of(7, 50, 0)
    assert of(1, 50, 50).startswith("0 of 1")
    assert of(0, 15, 15).startswith("0 of 0")
