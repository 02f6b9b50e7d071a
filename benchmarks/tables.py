"""Writes benchmarks/results as tables: all of them into docs/results.md, and the main figure into the README.

Each file keeps what stands outside its two markers.
"""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import Any

from charts import learning_curves, simulated_patients
from record import earlier

ROOT = Path(__file__).resolve().parents[1]
CURVES = "docs/pictures/learning-curves.png"
CHART = "docs/pictures/simulated-patients.png"
FAMILIES = ("wavelet", "random", "radiomics")
BEGIN, END = "<!-- tables:begin -->", "<!-- tables:end -->"


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


SEARCHED = "Copies were looked for before the search turned, zoomed, blended and cropped."
"""What is said of the columns of copies until the generators are trained and judged again."""

BEFORE = (
    "All but the verdict on auto (trained on all classes for ten minutes on one core) were measured before the last "
    "corrections of how few patients, several tests and simulated patients are weighed (decision 0008)."
)
"""What is said of figures of the evidence until they are measured again."""


def main() -> None:
    main_ones = [_phantom_in_short()]
    chapters = {
        "Generators": [*(_generators(name) for name in LADDERS), _label_agreement()],
        "What simulated patients teach": [
            _phantom(),
            _painted(),
            _imbalance(),
            _fast(),
            _stream(),
            _shipped(),
            _specificity(),
            _heat(),
        ],
        "Detectors": [_segmenters(), _conventions(), _features(), _controls(), _zoo()],
        "The evidence": [_verdicts(), _worth(), _privacy(), _evidence()],
        "Speed and duplicates": [_speed(), _duplicates()],
    }
    pages = {
        ROOT / "README.md": main_ones,
        ROOT / "docs" / "results.md": [part for name, parts in chapters.items() for part in (f"## {name}", *parts)],
    }
    for path, parts in pages.items():
        before, rest = path.read_text(encoding="utf-8").split(BEGIN)
        _, after = rest.split(END)
        text = "\n\n".join(part for part in parts if part)
        path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
        print(path.relative_to(ROOT))


def _hardware(results: dict[str, Any]) -> str:
    machine = results["hardware"]
    return f"{machine['processor']}, {machine['cores']} cores"


def _speed() -> str:
    preparation, phantom = earlier("preparation"), earlier("phantom_speed")
    if not preparation:
        return ""
    rows = [
        ["`synthoma --help`", f"{preparation['help_s']['median']} s"],
        [
            "LGG, 1,372 slices and masks to 128 px, duplicates searched",
            f"{preparation['lgg_1372_slices_128px_s']['median']} s",
        ],
        ["the same without the search", f"{preparation['lgg_without_duplicate_search_s']['median']} s"],
        [
            f"walking through {preparation['walk']['slices']:,} slices at 64 px",
            f"{preparation['walk']['s']} s, {preparation['walk']['resident_mb']} MB resident",
        ],
    ]
    for key, name in (
        ("isotropic_1mm_s", "one phantom patient, four modalities at 1 mm, one process"),
        ("slices_3_to_6mm_s", "the same in slices of 3 to 6 mm"),
    ):
        if key in phantom:
            rows.append([name, f"{phantom[key]['median']} s"])
    duplicates, training = earlier("duplicates"), earlier("training_speed")
    if duplicates:
        speed = duplicates["speed"]
        rows.append(
            [f"duplicates among {speed['images']:,} images", f"{speed['s']:.0f} s, {speed['peak_mib'] / 1024:.1f} GiB"]
        )
    if training:
        rows.append(["training loop over a bare PyTorch loop", f"{training['overhead_dcgan']['ratio_median']} x"])
        rows.append(["drawing with dcgan at 64 px", f"{training['drawing_dcgan_images_per_s']:,.0f} images/s"])
    if looking := earlier("detection_speed"):
        patient, volume = looking["lgg_patient_s"], looking["brats_flair_volume_s"]
        steps = looking["training_slices_per_second"]["unet-25d"]
        rows.append(
            [f"`synthoma detect`, LGG patient of {patient['slices']} slices, all included", f"{patient['median']} s"]
        )
        rows.append(["`synthoma detect`, BraTS FLAIR volume 240x240x155, all included", f"{volume['median']} s"])
        rows.append(["training unet-25d, 3 sequences at 128 px", f"{steps['median']:.0f} slices/s"])
    return f"**Speed** ({_hardware(preparation)})\n\n" + table(["what", "median of the runs"], rows)


def _duplicates() -> str:
    results = earlier("duplicates")
    if not results:
        return ""
    header = ["planted in LGG slices", "found at 64 px", "found at full size"]
    rows = [
        [kind, *(f"{100 * found[size]['recall']:.1f} %" for size in ("64 px", "full size"))]
        for kind, found in results["recall_single"].items()
    ]
    false = ", ".join(
        f"{part['pairs']} in {part['slices']:,} {name} slices of {part['patients']} patients"
        for name, part in results["false_pairs"].items()
    )
    count = results["planted"]["copies_of_a_kind"]
    title = f"**Duplicates** ({count} copies of each kind, seed {results['seed']}; false pairs: {false})"
    caution = "The threshold was chosen on these same slices, so the shares are slightly favourable."
    return f"{title}\n\n{table(header, rows)}\n\n{caution}"


LADDERS = {
    "generators": "LGG FLAIR tumour slices at 64 px",
    "generators_10_patients": "the same with ten patients to learn from",
    "generators_kaggle253": "pictures of `kaggle253/yes` at 64 px, duplicates kept together, no masks",
    "generators_128px": "LGG FLAIR tumour slices at 128 px",
    "ablations": "parts of phantom-gan taken away, LGG FLAIR tumour slices at 64 px",
}
"""File of a ladder -> what was learned from."""


def _medians(line: dict[str, Any], *names: str) -> str:
    """Medians over seeds of one score in all families; of a single one with the range where seeds differ."""
    found = [line[name] for name in names if line.get(name) is not None]
    if not found:
        return "-"
    middle = [entry["median"] if isinstance(entry, dict) else entry for entry in found]
    text = " / ".join(f"{value:.2f}" if abs(value) < 10 else f"{value:.0f}" for value in middle)
    if len(found) == 1 and isinstance(found[0], dict) and found[0]["low"] < found[0]["high"]:
        text += f" ({found[0]['low']:.2f} to {found[0]['high']:.2f})"
    return text


def _scores(line: dict[str, Any], scores: tuple[str, ...]) -> list[str]:
    """One column a score, of all families; then the two that have none."""
    columns = [_medians(line, *(f"{score}_{family}" for family in FAMILIES)) for score in scores]
    return [*columns, _medians(line, "auc"), _medians(line, "dice")]


def _generators(name: str = "generators") -> str:
    results = earlier(name)
    if "summary" not in results:
        return ""
    header = ["model", "budget", "seeds", "images/s", "SW2", "KID", "recall", "coverage", "AUC", "mask Dice", "copies"]
    shown = ("sw2", "kid", "recall", "coverage")
    rows = [["real vs real (other patients)", "-", "-", "-", *_scores(results["null"], shown), "-"]]
    references = {
        "training": "training scans themselves",
        "copies": "altered copies of training scans",
        "simulated": "simulated slices as they are",
    }
    for kind, text in references.items():
        if kind in results:
            rows.append([text, "-", "-", "-", *_scores(results[kind], shown), _private([results[kind]["private"]])])
    machines = sorted({machine for line in results["summary"] for machine in line["processors"]})
    for line in sorted(results["summary"], key=_place):
        model = f"**{line['model']}**" if line["model"] == "auto" else line["model"]
        if len(machines) > 1:
            model += f" ({', '.join(line['processors'])})"
        head = [model, line["budget"], str(line["seeds"]), f"{line['images_per_second']:.0f}"]
        rows.append([*head, *_scores(line, shown), _private(line["private"])])
    compared, tumours = results["compared"], _tumours(results)
    title = (
        f"**Generators** ({LADDERS[name]}; equal budgets; {compared['training']} training slices of "
        f"{compared['training_groups']} patients, judged on {compared['held_out']} of {compared['held_out_groups']} "
        f"others; {results['samples']} samples; wavelet / random / radiomics features; {', '.join(machines)}, 2 cores)"
    )
    if name != "generators":
        return "\n\n".join(part for part in (title, table(header, rows), tumours, results["note"]) if part)
    notes = (
        "SW2 is the distance over its real-vs-real median (1 is what other patients score); AUC of a linear model that "
        "tells images from real ones; mask Dice of a detector trained on real slices. Median over seeds (and range). "
        "The judged "
        "slices include the validation split, by which each run chose its snapshot, so all scores are slightly "
        f"favourable. {results['note']} {SEARCHED}"
    )
    drawn = learning_curves(results["rows"], ROOT / CURVES)
    curves = (
        f"![Distance to validation patients over time, a line each run](pictures/{Path(CURVES).name})\n\n"
        "The score by which a run chooses its snapshot: sliced W2 of wavelet statistics and random features to the "
        "validation patients. What new patients would reach by chance counts as equal, the flat floor."
    )
    return "\n\n".join(part for part in (title, table(header, rows), curves * drawn, tumours, notes.strip()) if part)


def _label_agreement() -> str:
    """Whether masks lie on tumours once the pairs that one detector confirms least are gone; another one is asked."""
    runs = earlier("label_agreement").get("runs", {})
    if not runs:
        return ""
    header = ["run", "held-out real slices", "all pairs", "pairs kept", "share kept", "SW2 of kept slices", "AUC"]
    rows = []
    for name, found in runs.items():
        columns = [
            " / ".join(f"{judge[key]:.3f}" for judge in found["judges"]) for key in ("real", "all", "kept", "share")
        ]
        rows.append([name, *columns, _medians(found["kept"], *(f"sw2_{one}" for one in FAMILIES))])
        rows[-1].append(_medians(found["kept"], "auc"))
    return (
        "**Masks after `evaluate --keep`** (LGG FLAIR tumour slices at 64 px, Dice with a detector of real scans; two "
        "detectors of different seeds, each judges what the other has chosen)\n\n"
        f"{table(header, rows)}\n\n"
        "The detector leaves out the pairs that it confirms least, as many as must go for the others to agree with it "
        "as real ones do. Scores of kept slices: the first detector's choice."
    )


TUMOURS = {
    "area": "area", "right": "left to right", "down": "front to back", "roundness": "roundness", "parts": "parts",
    "contrast": "contrast", "texture": "texture", "sharpness": "sharpness",
}  # fmt: skip
"""What drawn tumours are compared by, and its heading."""


def _tumours(results: dict[str, Any]) -> str:
    """How far drawn tumours are from real ones, where masks are drawn; empty where nobody drew any."""
    lines = [*results["summary"], *(results[name] for name in ("simulated",) if name in results)]
    drawn = [line for line in lines if "tumour_area" in line]
    if not drawn:
        return ""
    rows = []
    for line in drawn:
        values = [line.get(f"tumour_{name}") for name in TUMOURS]
        medians = [entry["median"] if isinstance(entry, dict) else entry for entry in values]
        named = f"{line['model']}, {line['budget']}" if "model" in line else "simulated slices as they are"
        rows.append([named, *("-" if value is None else f"{value:.2f}" for value in medians)])
    return (
        "Tumours by their masks: distance of the distributions (Wasserstein-1) over its real-vs-real median.\n\n"
        + table(["tumours of", *TUMOURS.values()], rows)
    )


def _place(line: dict[str, Any]) -> tuple[str, float, float]:
    """Where a line stands: by kind and size of its budget, then by its first distance."""
    size, unit = line["budget"].split()
    return unit, float(size.replace(",", "")), line["sw2_wavelet"]["median"]


def _private(lights: list[dict[str, str]]) -> str:
    """Upper bounds of the share of copies, of each seed."""
    said: dict[str, list[str]] = {}
    for light in lights:
        said.setdefault(light["state"], []).append(light["figure"])
    ends = {state: dict.fromkeys((min(figures), max(figures))) for state, figures in said.items()}
    return ", ".join(f"{' to '.join(figures)} ({state})" for state, figures in ends.items())


def _span(entry: dict[str, float]) -> str:
    return f"{entry['value']:.3f} [{entry['low']:.3f}, {entry['high']:.3f}]"


def _segmenters() -> str:
    results = earlier("segmentation")
    if "lgg" not in results:
        return ""
    rows = []
    for name, found in results["lgg"].items():
        difference = found.get("unet-25d minus this")
        rows.append(
            [
                name,
                str(found["patients"]),
                _span(found["dice"]["mean"]),
                f"{found['dice']['median']['value']:.3f}",
                _span(found["slice_auc"]),
                f"{found['hd95_pixels']['median']['value']:.1f}",
                f"{sum(found['slices_per_second']) / len(found['slices_per_second']):.0f}",
                _span(difference) if difference else "-",
            ]
        )
    header = ["model and training", "patients", "Dice, mean of patients", "median", "slice AUC", "median HD95, pixels",
              "slices/s", "unet-25d minus this"]  # fmt: skip
    title = (
        "**Segmenters** (LGG, 3 sequences at 128 px, 3 by-patient folds, each patient tested once on the scan's own "
        f"grid, mirrored average; 95 % bootstrap by patient; seed 0; {_hardware(results)})"
    )
    notes = list(dict.fromkeys(found["note"] + "." for found in results["lgg"].values() if "note" in found))
    gated = next(iter(results["lgg"].values()))["classify, then segment"]
    notes.append(
        f"Classify, then segment: without masks in slices to which unet-25d itself gives less than {gated['gate']:g}, "
        f"its Dice changes by {_span(gated['minus plain'])}; too little for an option."
    )
    return "\n\n".join([title, table(header, rows), *notes])


def _conventions() -> str:
    found = next(iter(earlier("segmentation").get("lgg", {}).values()), None)
    if found is None:
        return ""
    names = {
        "patient_mean": "mean over patients", "patient_median": "median over patients", "pooled": "all pixels pooled",
        "slice_mean": "mean over slices, empty = 1", "tumour_slice_mean": "mean over tumour slices",
    }  # fmt: skip
    rows = [[title, _span(found["conventions"][name])] for name, title in names.items()]
    return "**The same masks of unet-25d under every convention**\n\n" + table(["Dice as", "value"], rows)


def _arm_names() -> dict[str, str]:
    """Arm of benchmarks/phantom.py -> what its detectors learned from."""
    beside = {
        "real": "", "both": " + phantom", "repainted": " + phantom repainted with their look",
        "mixed": " + phantom, plain and repainted",
    }  # fmt: skip
    names = {"phantom": "phantom alone, no real scan"}
    for few in ("5", "10", ""):
        patients = f"{few} real patients" if few else "all real training patients (26 or 27)"
        names |= {f"{what}{few}": patients + text for what, text in beside.items()}
    return names


def _phantom_in_short() -> str:
    """What simulated patients are worth to a detector, drawn: arms with budgets in slices, the same everywhere."""
    if not simulated_patients(ROOT / CHART):
        return ""
    arms = earlier("phantom")["arms"]

    def dice(name: str) -> str:
        return f"{arms[name]['dice']['mean']['value']:.3f}"

    slices = "24,000 slices"
    begun = f"{slices} after 64,000 of the phantom"
    said = (
        f"Mean Dice of detectors from five real patients {dice(f'real5 {slices}')}, begun with simulated ones and with "
        f"these beside {dice(f'both5 {begun}')}; from all 26 {dice(f'real {slices}')} and {dice(f'real {begun}')}"
    )
    title = (
        "**What simulated patients teach a detector** (LGG FLAIR at 64 px, by-patient folds, each of the 40 patients "
        "tested once; 24,000 slices shown, and 64,000 simulated ones before them where begun with those; 95 % "
        "intervals over patients, one training each)"
    )
    more = "[The figures, paired differences and what to know of them](docs/results.md#what-simulated-patients-teach)."
    return "\n\n".join([title, f"![{said}]({CHART})", more])


def _painted() -> str:
    """What painted tumours teach beside few patients."""
    results = earlier("painted_gain")
    if not results:
        return ""
    names = {"real": "nothing", "painted": "tumours grown", "pasted": "lesions pasted", "crowding": "tumours grown, in "
             "the simulated patients' share (as it was before decision 0028)"}  # fmt: skip
    rows = []
    for name, found in results.items():
        if not (isinstance(found, dict) and "dice" in found):
            continue
        patients, arm = name.rsplit(", ", 1)
        gain = found.get("minus real")
        told = f"{gain['value']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}]" if gain else "-"
        arm, _, at = arm.partition(" at ")
        drawn = f"{names[arm]}, {at.replace(' of all', ', all slices').replace(' of changed', '')} of the real share"
        rows.append([patients, drawn if at else names[arm], f"{found['slices']:,}", f"{found['dice']:.3f}", told])
    title = f"**Tumours painted into the few patients' own scans** (LGG FLAIR, 64 px, {_hardware(results)})"
    head = [
        "real patients to learn from",
        "painted beside",
        "slices shown",
        "Dice, mean of 40 patients",
        "more than without",
    ]
    notes = (
        "By-patient folds: each of 40 patients is tested once; one draw of the few patients and one seed a fold, so "
        "the interval (95 %, paired by patient) does not say how other few patients would do. All begin with the model "
        "inside the package. The last snapshot counts, without any patient to choose by, so that all scores are low; "
        "slices of 64 px are half as fine as those that the model knows. "
        "Tumours were grown as they were before decision 0028; as they are now, 0.608 beside 5 patients."
    )
    return f"{title}\n\n{table(head, rows)}\n\n{notes}"


def _imbalance() -> str:
    """Remedies for few slices with tumour, on real scans."""
    results = earlier("imbalance")
    found = results.get("lgg")
    if not found:
        return ""

    def span(entry: dict[str, float], sign: str = "") -> str:
        middle = entry["mean"] if "mean" in entry else entry["value"]
        return f"{middle:{sign}.3f} [{entry['low']:{sign}.3f}, {entry['high']:{sign}.3f}]"

    rows = []
    for name, arm in found["arms"].items():
        gain = arm.get("minus class weights")
        told = span(gain["sensitivity_at_95_specificity"], "+") if gain else "-"
        rows.append([name, str(arm["units"]), span(arm["sensitivity_at_95_specificity"]), told, span(arm["roc_auc"])])
    title = f"**35 slices with tumour in 10,000** (LGG, three sequences, 64 px, {_hardware(results)})"
    head = ["remedy", "units", "sensitivity at 95 % specificity", "more than class weights", "ROC AUC"]
    painted = found["arms"]["painted tumours"]["sensitivity_at_95_specificity"]["by_unit"]
    first = fmean(painted[: found["folds"]])
    few, slices = min(found["with_tumour"]), min(found["training_slices"])
    notes = (
        f"By-patient folds: each of 40 patients is held out once, with all slices. Of the others' slices with tumour "
        f"{few} of some {slices} are left. A unit is one fold with one draw of these; each draw has a seed of its own, "
        f"and intervals are over units. A small network learns from {found['steps']} batches of 16. From oversampling "
        "on, half of each batch shows tumour. Painted and simulated slices are shown as they are, unless it says "
        "augmented: rotated, stretched, brightened and blurred as in classic augmentation. The learning rate, the "
        "number of batches and whether made slices are augmented were chosen by patients of one fold, learned from "
        "others; they are asked again in that fold. The painter's contrasts were rounded from patients of this set. "
        f"{found['folds']} units are those of the first draw alone, in which painted tumours gave {first:.3f}."
    )
    return f"{title}\n\n{table(head, rows)}\n\n{notes}"


def _fast() -> str:
    """Patients simulated on the grid of their slices beside those simulated at 1 mm."""
    results = earlier("phantom_fast")
    if not results:
        return ""
    rows = [
        [
            f"processor seconds a patient, all slices prepared, {name}",
            f"{found['quick_cpu_s']:.2f}",
            f"{found['at_1mm_cpu_s']:.2f}",
        ]
        for name, found in (("64 px FLAIR", results["64px_flair"]), ("128 px, four sequences", results["128px_four"]))
    ]
    labels = results["labels"]
    parts = [
        f"**Patients simulated on the grid of their slices** (one core of a busy machine; {_hardware(results)})",
        table(["", "on the slices' grid", "at 1 mm"], rows),
        f"Exact masks at the same places: least Dice of {labels['patients']} patients {labels['least_dice']:.4f}.",
    ]
    if evidence := results.get("evidence"):
        parts.append(
            f"What `evaluate` says of {evidence['slices']:,} slices of {evidence['patients']} quickly simulated "
            f"patients beside {2 * evidence['patients']} others at 1 mm. Those have other scanners too: the control, "
            "beside others on the slices' grid, shows what that alone does."
        )
        sides = [evidence, results["control"]] if "control" in results else [evidence]
        questions = [[name, *(side["lights"][name] for side in sides)] for name in ("realistic", "diverse")]
        distances = [
            [f"sliced Wasserstein over real, {family}", *(_ratio(side["families"][family]) for side in sides)]
            for family in FAMILIES
        ]
        parts.append(table(["", "others at 1 mm", "control"][: 1 + len(sides)], questions + distances))
    return "\n\n".join(parts)


def _ratio(scores: dict[str, Any]) -> str:
    score = scores["sliced_wasserstein"]
    return f"{score['ratio']:.2f} (p {score['p']:.3f})"


def _phantom() -> str:
    """The same with budgets in minutes, and paired differences."""
    results = earlier("phantom")
    if "arms" not in results:
        return ""
    names = _arm_names()
    rows = [
        [
            names[name.split()[0]],
            found.get("budget") or f"{found['minutes']:g} min",
            f"{round(sum(found['slices_shown']) / len(found['slices_shown']), -2):,.0f}",
            _span(found["dice"]["mean"]),
            f"{found['dice']['median']['value']:.3f}",
            _span(found["slice_auc"]),
        ]
        for name, found in results["arms"].items()
    ]
    title = (
        "**What the phantom teaches** (LGG FLAIR at 64 px, 3 by-patient folds, each of the 40 patients tested once; "
        f"unet-25d, one training each; {_hardware(results)})"
    )
    parts = [
        title,
        f"![Mean Dice against the number of real patients, with 95 % intervals](pictures/{Path(CHART).name})",
        table(["training data", "budget", "slices shown", "Dice, mean of patients", "median", "slice AUC"], rows),
    ]
    if differences := results.get("differences"):
        lines = []
        for name, entry in differences.items():
            pair, budget = name.split(", ")
            first, second = (names[part] for part in pair.split(" - "))
            lines.append([f"{first} minus {second}", budget, _span(entry), f"{entry['p']:.3g}"])
        parts.append(table(["paired by patient", "each", "Dice", f"p (of {len(differences)}, not corrected)"], lines))
    parts.extend(dict.fromkeys(found["note"] + "." for found in results["arms"].values() if "note" in found))
    return "\n\n".join(parts)


def _stream() -> str:
    """What a stream of patients costs a training of a segmenter beside a stored cohort."""
    results = earlier("stream")
    if not results:
        return ""
    rows = [
        [
            name,
            f"{1000 * found['step_stored_cpu_s']:.0f} ms",
            f"{1000 * found['step_streamed_cpu_s']:.0f} ms",
            f"{100 * found['dearer']:+.0f} %",
            f"{found['patient_cpu_s']:.2f} s, {found['slices_of_a_patient']:.0f} slices",
            f"{found['slices_learned_while_a_patient_is_simulated']:.0f}",
        ]
        for key, name in (("64px_flair", "64 px FLAIR"), ("128px_four", "128 px, four sequences"))
        if (found := results.get(key))
    ]
    head = [
        "`unet-25d`, batches of 16, one core", "a step, stored cohort", "from a stream", "difference", "a patient",
        "slices that one core learns while another simulates a patient",
    ]  # fmt: skip
    told = f"**A stream of patients** (processor seconds, on a busy machine; {_hardware(results)})"
    return f"{told}\n\n{table(head, rows)}"


def _shipped() -> str:
    """The model inside the package on scans that it never saw, by the threshold of a pixel."""
    results = earlier("zero_shot")
    if not results:
        return ""
    shipped = results["shipped threshold"]
    shown = (shipped, 0.9, 0.7, 0.5, 0.2)
    rows = []
    for name, found in results.items():
        if isinstance(found, dict) and "patients" in found:
            at = {threshold: found[str(threshold)] for threshold in shown}
            named = name.replace("lgg", "LGG").replace("brats18", "BraTS 2018").replace("flair", "FLAIR alone")
            named = named.replace("brats2,", "two of BraTS 2018 in the layout of BRATS-2,")
            own = at[shipped]
            rows.append(
                [
                    named.replace("all", "all sequences") if named.endswith("all") else named,
                    str(found["patients"]),
                    f"{own['mean']:.3f} [{own['low']:.3f}, {own['high']:.3f}]",
                    f"{own['median']:.3f}",
                    f"{own['plain']:.3f}",
                    f"{own['gain']:+.3f} [{own['gain_low']:+.3f}, {own['gain_high']:+.3f}]",
                    _planes_gain(own),
                    *(f"{at[threshold]['mean']:.3f}" for threshold in shown[1:]),
                ]
            )
    title = (
        "**The model inside the package on real scans** (weights trained on simulated patients alone; the threshold "
        f"from which a pixel counts as tumour, {shipped:g}, was chosen with this table, which is optimistic by as much "
        "as one number can be; simulated validation patients had chosen 0.9. Volume Dice, kept inside the brain and "
        "cut back to the margin; --no-refine is without the second, and the gain is taken patient by patient. The rule "
        "was chosen with these scans too. What coronal and sagittal slices add is the difference to --no-planes, "
        "patient by patient, in volumes of 1 mm)"
    )
    columns = ["scans", "patients", "Dice, mean of patients", "median", "--no-refine", "gain of the margin"]
    columns += ["gain of three planes"]
    columns += [f"mean at {one:g}" for one in shown[1:]]
    return title + "\n\n" + table(columns, rows)


def _planes_gain(own: dict[str, float]) -> str:
    """What three planes add to one; nothing where scans have thick slices."""
    if not own.get("planes_gain"):
        return "-"
    return f"{own['planes_gain']:+.3f} [{own['planes_gain_low']:+.3f}, {own['planes_gain_high']:+.3f}]"


SCANS = {
    "phantom": "simulated patients, others than any it saw",
    "lgg": "LGG",
    "brats": "BraTS (two sets)",
    "kaggle253": "kaggle253, yes and no",
}
"""Part of benchmarks/specificity.py -> what it is called."""


def _specificity() -> str:
    """How often the model inside the package says tumour where there is one, and where there is none."""
    results = earlier("specificity")
    rows = []
    for part, name in SCANS.items():
        for key, found in results.get(part, {}).items():
            if "specificity" in found or "sensitivity" in found:
                cells = [_counted(found.get(score)) for score in ("sensitivity", "specificity", "specificity_before")]
                rows.append([f"{name}: {key}", *cells])
    if not rows:
        return ""
    title = (
        "**Does the model inside the package say tumour where there is one, and none where there is none?** (right of "
        "all, 95 % interval; its limit was set on other simulated patients, no real scan had a say in it)"
    )
    header = ["scans", "with tumour: said", "without: not said", "without, by the earlier rule"]
    note = (
        "The patients of LGG and BraTS all have a tumour: without are what is left of their scans without the slices "
        "that show it. Pictures are slices without neighbours; intervals are over patients."
    )
    return f"{title}\n\n{table(header, rows)}\n\n{note}"


def _counted(entry: dict[str, float] | None) -> str:
    if entry is None:
        return "-"
    return f"{entry['right']} of {entry['of']}: {entry['value']:.2f} [{entry['low']:.2f}, {entry['high']:.2f}]"


def _heat() -> str:
    """Where the activation map is warm."""
    found = {name: part["activation map"] for name, part in earlier("specificity").items() if "activation map" in part}
    if not found:
        return ""
    rows = [
        [
            SCANS[name],
            f"{one['peak_inside']} of {one['slices']}",
            f"{one['most_heat_inside']} of {one['slices']}",
            " / ".join(f"{100 * share:.0f} %" for share in one["heat_inside"].values()),
            f"{100 * one['tumour_area']:.0f} %",
        ]
        for name, one in found.items()
    ]
    header = ["scans", "warmest pixel in the tumour", "most heat in it", "heat in it: tenth / quarter / median",
              "its share of the slice"]  # fmt: skip
    title = "**Where the activation map is warm** (the slice that the model is surest of, FLAIR alone)"
    return f"{title}\n\n{table(header, rows)}"


def _features() -> str:
    results = earlier("gan_features")
    if not results:
        return ""
    counts = sorted({row["patients"] for row in results["rows"]})
    arms = list(dict.fromkeys(row["arm"] for row in results["rows"]))
    found = {(row["arm"], row["patients"]): row for row in results["rows"]}
    lines = []
    for arm in arms:
        cells = [found.get((arm, count), {}) for count in counts]
        kind = "slice AUC" if any("auc" in cell for cell in cells) else "Dice"
        lines.append([arm, kind, *(_span(cell.get("auc") or cell["dice"]) if cell else "" for cell in cells)])
    title = (
        f"**Features of a GAN used again** (LGG FLAIR at 64 px, one fold held out, {results['minutes']:g} min each; "
        f"a dcgan trained {results['gan_minutes']:g} min on the same patients without labels; {_hardware(results)})"
    )
    return title + "\n\n" + table(["network", "score", *(f"{count} labelled patients" for count in counts)], lines)


def _controls() -> str:
    results = earlier("classification")
    if not results:
        return ""
    names = list(results["rows"][0]["scores"])
    rows = [
        [
            found["what"] + (f", {found['draws']} draws" if "draws" in found else ""),
            found["split"],
            *(_span(found["scores"][name]) for name in names),
            str(found["test_images"]),
        ]
        for found in results["rows"]
    ]
    title = f"**Why the split matters** (small classifiers at 64 px, {_hardware(results)})"
    notes = (
        "Labels drawn by coin for each patient: an honest split can only guess, a split by image recognises the "
        "patients. Intervals over patients or duplicate sets, of several draws over these. Of the 253 pictures a test "
        "of 50 is too small to show what its twins give away."
    )
    return f"{title}\n\n{table(['task', 'split', *names, 'test images'], rows)}\n\n{notes}"


def _zoo() -> str:
    """The classifiers of the zoo, by sets of duplicates and by image."""
    results = earlier("classifier_zoo")
    if not results:
        return ""
    measures = {"accuracy": "accuracy", "balanced_accuracy": "balanced", "f1": "macro-F1", "auc": "AUC"}
    ways = {"grouped": "by duplicate set", "leaky": "by image"}
    rows = [
        [
            found["task"],
            ways[found["split"]],
            found["model"],
            *(_span(found["scores"][name]) for name in measures),
            f"{found['parameters']:,}",
            f"{found['minutes']:.1f}",
            str(found["test_images"]),
        ]
        for found in results["rows"]
    ]
    head = ["task", "split", "classifier", *measures.values(), "parameters", "minutes", "test images"]
    title = f"**Classifiers** ({results['rows'][0]['size']} px, from random weights, {_hardware(results)})"
    notes = (
        f"Each was shown {results['rows'][0]['images']:,} images, most of them on a busy machine, which its minutes "
        "say and its scores do not. Intervals over sets of duplicates. Split by image, most test images have a twin in "
        "the training part."
    )
    return f"{title}\n\n{table(head, rows)}\n\n{notes}"


def _verdicts() -> str:
    """Cohorts whose answer is known, and LGG with a generator."""
    results = earlier("utility")
    known = {name: found for name, found in results.items() if isinstance(found, dict) and "verdict" in found}
    if not known:
        return ""
    rows = []
    for name, found in known.items():
        choose = min if found["utility"] == "HARMS" else max  # the mixture by which the word was given
        mixed = [entry for name, entry in found["comparisons"].items() if name.startswith("mixed")]
        gain = choose(mixed, key=lambda entry: float(entry["value"]))
        rows.append([
            name.replace("-", " "), found.get("expected", "-"), found["verdict"], found["utility"],
            f"{gain['value']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}]",
            f"{found['training_seconds'] / 60:.0f} min",
        ])  # fmt: skip
    held = next((found["held_out_patients"] for found in known.values() if "expected" in found), "-")
    header = ["synthetic cohort", "must read", "verdict", "useful?", "Dice gained over duplicated real scans",
              "training, one core"]  # fmt: skip
    title = (
        "**The verdict where the answer is known, and on LGG** (preset standard, 64 px; real: 12 simulated patients to "
        f"learn from, {held} held out; LGG: 28 and 12; {_hardware(results)})"
    )
    return f"{title}\n\n{table(header, rows)}\n\n{BEFORE}"


def _worth() -> str:
    """What is said of cohorts whose worth is known."""
    results = earlier("worth")
    if not results:
        return ""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for cell in results["cells"]:
        if cell["worth"] == "0" or cell["noise"] == "LGG":
            said = f"{100 * cell['given']:.0f} %"
            if "median" in cell:
                said += f": {cell['median']:+.1f}, {100 * cell['low_above_truth']:.0f} %, {100 * cell['covers']:.0f} %"
            rows.setdefault((cell["curve"], cell["worth"], cell["noise"]), []).append(said)
    held = dict.fromkeys(cell["held_out"] for cell in results["cells"])
    header = ["curve rises by", "true worth", "patients vary as", *(f"{count} held out" for count in held)]
    title = (
        f"**Worth so many real patients, where that is known** ({results['had']} had, three seeds, two mixtures; "
        f"scores made up, {results['cohorts']} cohorts a cell). How often a number is given, and of these: median, "
        "how often the lower end lies above the truth, how often the interval holds the truth"
    )
    notes = (
        "On a flat curve nothing is worth a number of patients: every number there is a false one. The bent curve "
        "rises by 0.04 from 14 to 28 patients and half as much with each further doubling, where the line rises as "
        "before: the worth is then less than the truth."
    )
    return f"{title}\n\n{table(header, [[*key, *cells] for key, cells in rows.items()])}\n\n{notes}"


def _privacy() -> str:
    results = earlier("privacy")
    parts = [_recalls(results), *(_accused(name, results.get(f"calibration-{name}")) for name in ("lgg", "phantom"))]
    if found := results.get("volumes"):
        parts.append(
            f"**Copies of whole patients** ({found['cohorts']} cohorts of {found['patients_each']:.0f} simulated "
            f"patients, two of them altered volumes of training patients): {100 * found['copies_found']:.0f} % of "
            f"these were found, {100 * found['honest_flagged']:.1f} % of the others flagged."
        )
    return "\n\n".join(part for part in parts if part)


def _recalls(results: dict[str, Any]) -> str:
    """Share of copies found, kind by kind."""
    found = {
        name: results[key] for name, key in (("LGG", "recall-lgg"), ("phantom", "recall-phantom")) if key in results
    }
    if not found:
        return ""
    kinds = dict.fromkeys(kind for one in found.values() for kind in one["recall"])
    rows = [[kind, *(f"{one['recall'][kind]:.2f}" if kind in one["recall"] else "-" for one in found.values())]
            for kind in kinds]  # fmt: skip
    count = ", ".join(
        f"{name}: {one['copies_of_a_kind']} copies of a kind among {one['training']} training slices"
        for name, one in found.items()
    )
    title = f"**Copies found, kind by kind** (share flagged by any search, 64 px; {count}; {_hardware(results)})"
    return f"{title}\n\n{table(['copies of training slices', *found], rows)}"


def _accused(name: str, found: dict[str, Any] | None) -> str:
    """False alarms, and what is said of cohorts with copies among them."""
    if not found:
        return ""
    text = (
        f"**Honest cohorts accused of copies** ({name}, {found['runs']} cohorts of slices of other patients, beside "
        f"{found['divisions']} sets of training patients, level 5 %): {100 * found['accused']:.1f} %; "
        f"{100 * found['flagged']:.2f} % of their slices were flagged."
    )
    for share, one in found["with_copies"].items():
        words = ", ".join(f"{word} {count}" for word, count in one["words"].items())
        text += (
            f" With {share} altered copies among them ({one['runs']} cohorts): {words}; {100 * one['recall']:.0f} % of "
            f"the copies found, the bound held in {100 * one['bound_covers']:.0f} %."
        )
    return text


def _evidence() -> str:
    results = earlier("evidence")
    parts = []
    for design, found in results.get("calibration", {}).items():
        shares = found["false_alarms"]
        parts.append(
            f"**False alarms** ({found['runs']} evaluations of simulated patients against others of the same kind, "
            f"{design} a side, level 5 %): "
            f"{100 * sum(shares.values()) / len(shares):.1f} % on average over {len(shares)} tests, at most "
            f"{100 * found['highest']:.1f} % ({max(shares, key=shares.get)}); realistic read GOOD in "
            f"{found['lights']['realistic'].get('GOOD', 0)} and diverse in "
            f"{found['lights']['diverse'].get('GOOD', 0)} of {found['runs']}."
        )
    for design, cells in results.get("few", {}).items():
        rows = [
            [
                cell.replace("/", " / "), str(found["runs"]), str(found["slices"]),
                f"{100 * sum(found['false_alarms'].values()) / len(found['false_alarms']):.1f} %",
                f"{100 * found['highest']:.1f} % ({max(found['false_alarms'], key=found['false_alarms'].get)})",
                *(", ".join(f"{state} {n}" for state, n in found["lights"][question].items())
                  for question in ("realistic", "diverse")),
            ]
            for cell, found in cells.items()
        ]  # fmt: skip
        header = ["patients to train / held out / synthetic", "runs", "slices a side", "false alarms, mean", "highest",
                  "realistic", "diverse"]  # fmt: skip
        parts.append(f"**False alarms with few patients** ({design}, level 5 %)\n\n{table(header, rows)}")
    for design, found in results.get("splits", {}).items():
        ratios = found["ratios"]
        parts.append(
            f"**Where chance holds out patients that lie apart** ({design}; of {found['of']} divisions of "
            f"{sum(found['patients'][:2])} patients the {found['runs']} in which the training scans lie farthest from "
            f"those held out): new patients score {ratios['over the null alone'][1]} times the null (5 to 95 %: "
            f"{ratios['over the null alone'][0]} to {ratios['over the null alone'][2]}), {ratios['as judged'][1]} "
            f"({ratios['as judged'][0]} to {ratios['as judged'][2]}) as judged; realistic read GOOD in "
            f"{found['lights']['realistic'].get('GOOD', 0)}, diverse in {found['lights']['diverse'].get('GOOD', 0)}."
        )
    for design, found in results.get("numbers", {}).items():
        shares = ", ".join(f"{name} {100 * share:.1f} %" for name, share in found["false_alarms"].items())
        parts.append(f"Numbers of single images again, in {found['runs']} other evaluations of {design}: {shares}.")
    for design, found in results.get("faults", {}).items():
        names = ("sliced_wasserstein", "kid", "frechet", "recall", "coverage")
        rows = []
        for fault, scores in found["caught"].items():
            caught = [[f"{100 * scores[f'{family} {name}']:.0f}" for family in FAMILIES] for name in names]
            judges = [name for name in scores if name.startswith("told apart")]
            rows.append([fault, *map(" / ".join, caught), " / ".join(f"{100 * scores[name]:.0f}" for name in judges)])
        header = ["fault planted", "sliced W2", "KID", "Fréchet", "recall", "coverage", "told apart"]
        title = f"**Faults noticed, %** (wavelet / random / radiomics; {found['runs']} evaluations, {design} a side)"
        parts.append(f"{title}\n\n{table(header, rows)}")
    if found := results.get("cost"):
        costs = "; ".join(
            f"{int(count):,}: {cost['seconds']:.0f} s, {cost['peak_mb'] / 1000:.1f} GB"
            for count, cost in sorted(found.items(), key=lambda entry: int(entry[0]))
        )
        parts.append(
            "**What an evaluation costs** (preset quick at 64 px, so many synthetic slices against as many of training "
            f"and of held-out patients; {_hardware(results)}): {costs}."
        )
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
