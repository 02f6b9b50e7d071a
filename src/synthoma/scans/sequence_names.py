"""Which MR sequence a description and a header's timing speak of: t1, t1c, t2, flair, or another one.

Descriptions are written by hand in many languages. They are cut into words here, and each word belongs to one of a few
sets; what one set alone says is believed, and a text that contradicts itself is not. A scan called by a wrong name
spoils a cohort without anybody seeing it, so what is unsure stays unnamed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from synthoma.core.types import PLAIN_MODALITY

Contrast = Literal["with", "without", "both", "glued minus", "unsaid"]


@dataclass(frozen=True)
class Timing:
    """How a slice was acquired, as far as its header says; times in ms, 0 where it does not.

    Attributes:
        repetition: RepetitionTime.
        echo: EchoTime, of an enhanced file EffectiveEchoTime.
        inversion: InversionTime.
        pulse: values of ScanningSequence (SE, IR, GR, EP, RM).
        variant: values of SequenceVariant (SK, SP, MP, ...).
        name: SequenceName or PulseSequenceName, in capitals.
        weighting: AcquisitionContrast (T1, T2, FLUID_ATTENUATED, ...).
        kinds: values of ImageType and FrameType.
    """

    repetition: float = 0.0
    echo: float = 0.0
    inversion: float = 0.0
    pulse: frozenset[str] = frozenset()
    variant: frozenset[str] = frozenset()
    name: str = ""
    weighting: str = ""
    kinds: frozenset[str] = frozenset()


UNKNOWN_TIMING = Timing()


@dataclass(frozen=True)
class Judgement:
    """Which sequence a scan shows, and what says so.

    Attributes:
        sequence: as `sequence_of` gives it.
        by: "words" where the text tells all; "weighting" where it says T1 and leaves the contrast agent open; "timing"
            where only the acquisition tells; "nothing".
    """

    sequence: str | None
    by: Literal["words", "weighting", "timing", "nothing"]


def sequence_of(
    text: str, *, agent: bool | None = None, timing: Timing = UNKNOWN_TIMING, otherwise: str = ""
) -> str | None:
    """Which sequence a scan shows.

    Args:
        text: its description, in any language and spelling.
        agent: whether the header says that a contrast agent was given; None where it says nothing.
        timing: what the header says of the acquisition; it decides where the text does not.
        otherwise: a further text (the protocol's name), read only where the first names no weighting.

    Returns:
        "t1", "t1c", "t2" or "flair"; "image" for any other sequence, for maps, reformats and pictures of the screen,
        and for a text that contradicts itself; None where nothing is said.
    """
    return judged(text, agent=agent, timing=timing, otherwise=otherwise).sequence


def judged(text: str, *, agent: bool | None = None, timing: Timing = UNKNOWN_TIMING, otherwise: str = "") -> Judgement:
    """As `sequence_of`, with what says so."""
    # Before the words: a map keeps the description of the series that it was computed from.
    if timing.kinds & _OTHER_KINDS or any(kind.endswith(" MAP") for kind in timing.kinds):
        return Judgement(PLAIN_MODALITY, "words")
    words = words_of(text)
    weighting = _weighting(words, timing)
    if weighting is None and otherwise:
        words = [*words, *words_of(otherwise)]
        weighting = _weighting(words, timing)
    if weighting is None:
        weighting = _by_timing(timing)
        named = _with_contrast(weighting, words, agent)
        return Judgement(named, "nothing" if named is None else "timing")
    open_yet = weighting == "t1" and _contrast(words) == "unsaid" and not agent
    return Judgement(_with_contrast(weighting, words, agent), "weighting" if open_yet else "words")


def _with_contrast(weighting: str | None, words: Sequence[str], agent: bool | None) -> str | None:
    """T1 with or without a contrast agent: by the words, else by the header."""
    if weighting != "t1":
        return weighting
    said = _contrast(words)
    if said == "glued minus":  # "T1-C" may mean with or without: the header alone tells
        return {True: "t1c", False: "t1", None: PLAIN_MODALITY}[agent]
    if said == "unsaid":
        return "t1c" if agent else "t1"
    return {"with": "t1c", "without": "t1", "both": PLAIN_MODALITY}[said]


def agent_given(stored: str) -> bool | None:
    """What ContrastBolusAgent says: given, not given, or nothing at all."""
    words = re.findall(r"[A-Z0-9/]+", _plain(stored))
    if not words:
        return None
    if words == ["0"]:  # but "0.1 mmol" is a dose
        return False
    return not (words[0] in _NO_AGENT or words[0].startswith(("NATIV", "UNENHANCED", "NONCON")))


def _set(words: str, separator: str = " ") -> frozenset[str]:
    return frozenset(words.split(separator))


# Words ---------------------------------------------------------------------------------------------------------------

_NO_AGENT = _set("NO NONE N NON NOT NIL NULL NA N/A FALSE WITHOUT W/O WO OHNE KEIN KEINE NEIN SANS SIN")
_ORIENTATIONS = "AX|AXI|AXIAL|TRA|TRANS|TRANSVERSAL|SAG|SAGITTAL|COR|CORONAL|OBL|OAX|OSAG|OCOR"
_GLUED_BEFORE = rf"(?:{_ORIENTATIONS}|S|E|WIP|BRAIN|HEAD|PRE|POST|CE|GD|GAD|KM|NATIV|IR|SE|FS|FSE|TSE|2D|3D|V3D)"

_SIGNS: tuple[tuple[str, str], ...] = (
    (r"\bT2 ?(?:\*|\bSTAR\b|STAR\b)", " T2STAR "),
    (r"\bT2F\b", " FLAIR "),
    (r"\+ ?/ ?-|\+-|±", " BOTHWAYS "),
    (r"\bW ?/ ?O\b|\bW-O\b|\bW ?/? ?OUT\b|\bW O\b", " WITHOUT "),
    (r"\bW ?/ ?(?=[A-Z])", " WITH "),
    (r"\+ ?(?:C|CE|K|KM|CM|GD|GAD\w*|CONTRAST\w*|KONTRAST\w*|MDC)\b|\b(?:C|KM|GD|GAD|K) ?\+", " PLUSC "),
    (r"(?<=\bT1)W? ?\+(?!\w)", " PLUSC "),
    (r"(?:^|(?<= ))- ?(?:C|KM|GD|GAD|K)\b|\b(?:C|KM|GD|GAD)-(?= |$)", " MINUSC "),
    (r"(?<=\bT1)W?-C\b(?!-)", " GLUEDMINUS "),
)
"""Signs that carry a meaning, turned into words before all other signs become spaces."""

_NOT_CONTRAST = re.compile(
    r"\b(?:PRE|POST) ?(?:OP|OPS|OPERATIV\w*|OPERATORI\w*|SURG\w*|CHIR\w*|RT|XRT|RAD|RADIATION|RADIO\w*|CHEMO\w*|TX"
    r"|TREATMENT|THERAP\w*|BIOPSY|RESECTION|SRS|GK|IMPLANT)\b"
    r"|\bPOST\w* FOSSA\b|\bPOSTERIOR\b|\bPREOP\w*|\bPOSTOP\w*"
    r"|\b(?:NON?|WITHOUT|WO|SANS|SIN|SEM|SENZA|OHNE|ZONDER) ?"
    r"(?:FS|FAT|FATSAT|SAT|SPAIR|SPIR|MTC?|FLOW|DIXON|ASSET|ARC|SENSE|GRAPPA|MOTION|ANGLE|FC|SUPPRESSION|SPINE)\b"
)
"""Before and after surgery, and without fat saturation: words that elsewhere speak of the contrast agent."""

_OTHER = _set(
    "T2STAR DW DWI EPI EP ADC EADC SWI SWAN SWIP SWIM SWIPHASE VENBOLD VENOBOLD VSWI QSM HEMO HEME HAEMO "
    "MEDIC DSC DCE ASL PCASL PASL CASL BOLD FMRI RESTING RSFMRI TOF MRA MRV CEMRA VENO TWIST TRICKS DISCO TTP "
    "TMAX MTT CBF CBV RCBF RCBV RELCBF RELCBV KTRANS PBP GBP DTI TENSOR FACOLOR COLFA COLORFA CISS FIESTA "
    "FIESTAC DRIVE TRUFI TRUFISP FISP PSIF DESS BTFE BFFE SSFP LOC LOCS LOCATOR PILOT SCOUT SURVEY AAHEAD "
    "AAHSCOUT AASCOUT HEADSCOUT REPERAGE UEBERSICHT UBERSICHT CENTRAGGIO 3PL 3PLANE TRIPLANE PLANLOC MIP MIPS "
    "MINIP MNIP MPVR SUB SUBS SUBTR SUBTRACT SUBTRACTED SUBTRACTION SUBTRACTIONS SUBTRAKTION SOUSTRACTION "
    "SUSTRACCION SOTTRAZIONE SCREEN SCREENSHOT SCREENSAVE SCREENSAVES CAPTURE SECONDARYCAPTURE REPORT PHOENIX "
    "PHOENIXZIPREPORT DOSE STIR PROTON MRS CSI PRESS SVS STEAM MRSI SHIM COIL SMARTPREP PHASE PHA PHAS ELASTO "
    "MRE PSIR DIR CINE QFLOW SPINE CSPINE TSPINE LSPINE CERVICAL LUMBAR THORACIC MAP MAPS MAPIT MAPPING T1RHO "
    "VFA NEUROMELANIN INV1 INV2 TRACKER PROCESSED PROCESSING T1MAP T2MAP FIELDMAP EXPONENTIAL "
    "RFMRI TFMRI DMRI MOCOSERIES SMARTBRAIN SYMRI"
)
"""Words of which one is enough to make a scan another than the four."""

_OTHER_STARTS = (
    "DIFF", "TRACE", "PERF", "ANGIO", "DYN", "LOCALI", "LOKALI", "SPECTRO", "SPEKTRO", "CALIB", "FIELDMAP", "TENSB",
    "DWI", "ADC", "MRA", "SCREENSH",
)  # fmt: skip
_OTHER_PHRASES = re.compile(
    r"\bB ?\d{1,5}\b(?! ?MM)|\bFA (?:MAP|COLOU?R)|\bCOLOU?R FA\b|\bFA$|^FA\b|\bCSF FLOW\b|\b[367] ?PLANE?S?\b"
    r"|\b(?:CARE|TEST) ?BOLUS\b|\bBOLUS TRACK\w*|\bPC (?:MRA|VENO\w*|3D|2D)\b|\b[23]D PC\b|\b(?:SAVE|KEY) IMAGES?\b"
    r"|\b(?:MAG|PHA|SWI) IMAGES\b|\bREF(?:ERENCE)? SCAN\b|\bB ?-?(?:TFE|FFE)\b|\bBALANCED\b|\bC SPINE\b"
    r"|\bDOUBLE INVERSION\b|\bFIELD MAP\w*|\bDIXON (?:F|FAT|IN|OPP)\b|\bBLOOD FLOW\b"
)

_T1_NAMES = ("MPRAGE", "BRAVO", "SPGR", "MP2RAGE", "VIBE", "THRIVE", "LAVA", "TURBOFLASH", "EFGRE", "MPRANGE")
_T1_GRADIENT = _set("TFE FFE TFL FLASH FIELDECHO QUICK3D SPOILED")
"""Gradient echoes, which are T1 weighted unless T2 is named: then they are T2*."""

_NOUNS = _set(
    "GD GAD CE CM KM MDC CIV INJ INJECTION INJECTE INJECTEE INJECTED INYECCION INIEZIONE ENH ENHANCED ENHANCE "
    "ENHANCEMENT DOTAREM MULTIHANCE MAGNEVIST PROHANCE OMNISCAN CLARISCAN VUEWAY ELUCIREM PRIMOVIST ARTIREM "
    "CONTR CONT POSTCON GDDTPA DTPA DELAYED DELAY RETARDE IVCONTRAST CONTRASTADO WC PCE"
)
_NOUN_STARTS = ("CONTRAST", "KONTRAS", "GADO", "GADA", "GADB", "GADT")
_AFTER = _set("AFTER NACH APRES DOPO DESPUES TRAS POS APOS DEPOIS PLUSC EFTER ETTER PI")
_WITH = r"(?:W|WITH|AVEC|CON|COM|MIT|MET|MED|Z)"
_NEGATIVE = _set(
    "WITHOUT WO NON SANS SENZA SIN SEM OHNE ZONDER UTAN UDEN UTEN BEZ AVANT VOR PRIMA ANTES VOOR BEFORE "
    "NATIVE NATIV NATIVO NATIVA NATIEF NAT BASAL BASALE PLAIN UNENHANCED NONENHANCED NCE NC MINUSC N SANSINJ "
    "KONTRASTSIZ KONTRASTLOS"
)
_NEGATIVE_STARTS = ("NONCON", "NOCON", "NONENH", "NONGAD", "PRECON", "PREGAD", "PREKON", "PREKM", "PREINJ", "UNENH")
_BOTH_WAYS = re.compile(
    rf"\b{_WITH}(?: (?:AND|ET|Y|UND|E|EN|OG|OCH|OR))? (?:WITHOUT|WO|SANS|SIN|SENZA|SEM|OHNE|ZONDER|UTAN|UDEN|UTEN)\b"
    rf"|\b(?:WITHOUT|WO|SANS|SIN|SENZA|SEM|OHNE|ZONDER)(?: (?:AND|ET|Y|UND|E|EN|OG|OCH|OR)) {_WITH}\b|\bBOTHWAYS\b"
)


def is_word_of_scanners(word: str) -> bool:
    """Whether a word is one that descriptions of series are made of, and not likely anybody's name."""
    plain = _plain(word)
    return (
        plain in _ANY
        or plain.startswith((*_NOUN_STARTS, *_NEGATIVE_STARTS, *_OTHER_STARTS, "POST"))
        or any(name in plain for name in _T1_NAMES)
    )


_TECHNIQUE = _set(
    "FSE TSE FRFSE SE FS FAT SAT FATSAT SPAIR SPIR CUBE SPC SPACE VISTA VIEW PROPELLER BLADE HASTE FASE GRE DARK FLUID "
    "AXIAL AX SAG COR TRA OBL 3D 2D V3D WIP RECON MPR SCAN IR"
)


_ANY = _OTHER | _T1_GRADIENT | _NOUNS | _AFTER | _NEGATIVE | _TECHNIQUE


def words_of(text: str) -> list[str]:
    """Words of a description in capitals without accents, with the signs that matter as words of their own."""
    line = _plain(text)
    for sign, word in _SIGNS:
        line = re.sub(sign, word, line)
    # A study's or a subject's number is no subtraction: "sub-01_T1w".
    line = re.sub(r"\bSUB(?:J\w*)?[- ]?[A-Z]*\d\w*", " ", line)
    line = " ".join(re.findall(r"[A-Z0-9]+", line))
    line = re.sub(rf"\b{_GLUED_BEFORE}?(?=T[12](?!\d(?!D)))", lambda found: f"{found[0]} ", line)
    line = re.sub(r"\b(T[12])(?!\d(?!D))(?!STAR|MAP|RHO)(?:WI|W(?!ITH|O\b|C\b|S\b))?(?=[A-Z0-9])", r"\1 ", line)
    line = re.sub(r"\b(T[12])W?I?\b", r"\1", line)
    line = re.sub(r"\b(T[12])WC\b", r"\1 WC", line)
    line = re.sub(r"\b([23]D|V3D)(?=[A-Z])|(?<=[A-Z])([23]D)\b", r" \1\2 ", line)
    line = re.sub(rf"\b({_ORIENTATIONS})(?=FLAIR|DWI|SWI|STIR|MPR|BRAVO|FSPGR|SPGR|T[12])", r"\1 ", line)
    return _NOT_CONTRAST.sub(" ", " ".join(line.split())).split()


def _plain(text: str) -> str:
    """Capitals without accents; underscores and points are spaces."""
    bare = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return " ".join(re.sub(r"[_.,;:()\[\]{}\"'|\\]", " ", bare.upper()).split())


def _weighting(words: Sequence[str], timing: Timing) -> str | None:
    """The sequence by the words, without regard to the contrast agent; None where they name none."""
    line = " ".join(words)
    if any(
        word in _OTHER or word.startswith(_OTHER_STARTS) or word.endswith(("ADC", "DWI")) for word in words
    ) or _OTHER_PHRASES.search(line):
        return PLAIN_MODALITY
    t1, t2 = "T1" in words, "T2" in words
    spoiled = bool(_T1_GRADIENT & set(words)) or bool(re.search(r"\b(?:FL|FE) [23]D\b|\b[23]D FE\b", line))
    gradient = spoiled or "GRE" in words or "MERGE" in words
    if t1 and t2 and "FLAIR" not in line:
        return PLAIN_MODALITY
    # A FLAIR is named T2 as well ("T2 FLAIR"), so it is asked first; "T1 FLAIR" is a T1.
    if _is_flair(line, words, timing) and not t1:
        return "flair"
    if t2 and not t1:
        proton = bool({"PD", "PDW"} & set(words)) and 0 < timing.echo < 60  # the early echo of a double one
        faster = timing.pulse == {"GR"} or "EP" in timing.pulse  # T2* by its acquisition
        named = gradient or any(name in line for name in ("SPGR", "VIBE"))
        return PLAIN_MODALITY if proton or faster or named else "t2"
    if t1:
        return PLAIN_MODALITY if "EP" in timing.pulse or {"PD", "PDW"} & set(words) else "t1"
    if {"PD", "PDW", "GRE", "MERGE", "TIRM"} & set(words) or re.search(r"\bSTIR", line):
        return PLAIN_MODALITY
    if re.search(r"\bMP ?RAGE", line) or any(name in line for name in _T1_NAMES) or spoiled:
        return "t1"
    return None


def _is_flair(line: str, words: Sequence[str], timing: Timing) -> bool:
    """Whether the words speak of fluid attenuation; TIRM alone may also be a STIR, which its inversion time tells."""
    if "FLAIR" in line or re.search(r"\bDARK ?FLUID\b|\bDARK ?FL\b|\bDA FL\b|\bFLUID ATT\w*", line):
        return True
    return "TIRM" in words and not {"FS", "FATSAT", "FAT"} & set(words) and not 0 < timing.inversion < 1000


def _contrast(words: Sequence[str]) -> Contrast:
    """What the words say of the contrast agent."""
    line = " ".join(words)
    if _BOTH_WAYS.search(line):
        return "both"
    if "GLUEDMINUS" in words:
        return "glued minus"
    negative = any(word in _NEGATIVE or word == "PRE" or word.startswith(_NEGATIVE_STARTS) for word in words) or bool(
        re.search(r"\b(?:NO|PREC|PRE) (?:GD|C\b|GAD|CONTR|KONTR|CE\b|IV)", line)
    )
    strong = any(
        word in _AFTER or (word.startswith("POST") and not word.startswith("POSTER")) for word in words
    ) or bool(re.search(r"\bT1 (?:C|CE|WC|GD|GAD|KM)\b", line))
    noun = any(_is_noun(word) for word in words) or bool(re.search(rf"\b{_WITH} C\b", line))
    # A noun alone decides nothing here: "without contrast" names the agent too.
    if negative:
        return "both" if strong else "without"
    return "with" if strong or noun else "unsaid"


def _is_noun(word: str) -> bool:
    return word in _NOUNS or word.startswith(_NOUN_STARTS)


# Timing --------------------------------------------------------------------------------------------------------------

_OTHER_KINDS = _set(
    "ADC|TRACEW|TRACE|FA|DIFFUSION|PERFUSION|MIP|MNIP|MINIP|PROJECTION IMAGE|SUBTRACT|SUBTRACTION|P|PHASE|"
    "R|I|REAL|IMAGINARY|P_FFE|R_FFE|I_FFE|P_SE|R_SE|I_SE|P_IR|R_IR|I_IR|PHASE MAP|FIELD_MAP|FIELD MAP|"
    "VELOCITY|VELOCITY MAP|PCA|P_PCA|M_PCA|MAXIP|ASL|CBF|RCBV|CBV|MTT|TTP|SCREEN SAVE|SCREENSHOT|"
    "CSA REPORT|CSA 3D EDITOR|T2_STAR|B0|TTEST|FMRI|DIFFUSION_ANISO|SPECTROSCOPY|METABOLITE MAP|TENSOR|R2|"
    "R2_STAR|MPR THICK MIP",
    "|",
)
_BY_CONTRAST = {"T1": "t1", "T2": "t2", "FLUID_ATTENUATED": "flair"}
_NO_CONTRAST = frozenset(("", "UNKNOWN", "MIXED", "NONE"))


def _by_timing(timing: Timing) -> str | None:
    """Textbook limits, wide apart so that what lies between stays unnamed."""
    # What the scanner itself states outranks what its times suggest.
    if timing.weighting not in _NO_CONTRAST:
        return _BY_CONTRAST.get(timing.weighting, PLAIN_MODALITY)
    if "EP" in timing.pulse or "EP2D" in timing.name:
        return PLAIN_MODALITY
    spin, echo, inversion = "SE" in timing.pulse, timing.echo, timing.inversion
    # Fluid has a T1 of some 4 s: after an inversion its signal passes 0 at 1.5 s or later, at any repetition time in
    # use.
    if inversion >= 1500 and echo >= 60:
        return "flair"
    if spin and timing.repetition >= 2000 and echo >= 60 and not inversion:
        return "t2"
    # An inversion time below 300 ms is that at which fat passes 0: a STIR, which short times do not make a T1.
    if spin and 0 < timing.repetition <= 1000 and 0 < echo <= 30 and not 0 < inversion < 300:
        return "t1"
    if 300 <= inversion <= 1300 and 0 < echo <= (30 if spin else 10):
        return "t1"
    prepared = "MP" in timing.variant and "SP" in timing.variant and "GR" in timing.pulse
    if (prepared or "TFL3D" in timing.name) and 0 < echo <= 6:
        return "t1"
    return None
