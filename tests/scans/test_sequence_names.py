"""Descriptions as scanners and people write them, and the sequence that they mean; what is unsure stays unnamed."""

from __future__ import annotations

import pytest

from synthoma.scans.sequence_names import Timing, agent_given, judged, sequence_of

# One sequence a line, descriptions between bars.
IN_THE_FIELD = {
    "t1": """
        Ax T1 FLAIR|BRAIN T1 ADVANCED|BRAVO|CEREBRAL T1|IR-FSPGR|SAG T1 FLAIR|T1 NON CONTRAST
        T1 NON-ENHANCED
        T1 PRE-CONTRAST|T1 W/O CONTRAST|T1 pre|T1 without|T1PRE|T1W_TSE|t1_fl2d_tra|t1_mprage_sag_p2_iso
        """,
    "t1c": """
        3D T1 MPRAGE AX W/CONTRAST|AX 3D FSPGR +C|AX BRAVO POST|AX T1 CONTRAST|AX T1 POST|AX T1 POST GAD
        AX T1 POST GD FLAIR|AX T1 SE POST-GAD|AX T1POST|AXIAL T1 WITH CONTRAST|Ax T1 FSE +C
        Ax T1 LOCATION POST
        FSPGR BRAVO POST|POSTGAD T1|Recon T1 POST|T1 CE|T1 CON CONTRASTE|T1 DELAYED POST|T1 GADO
        T1 MPRAGE post contrast|T1 SPACE GD|T1 W CONTRAST|T1 apres injection|T1 nach KM|T1Gd AX
        T1W_3D_TFE_GD|T1_AX_POST
        T1ce|T1wCE|VIBE POST|sT1W_3D_TFE_GADO|t1_mprage_sag_p2_iso_KM|t1gd_se_tra
        """,
    "t2": "AX T2 FSE|PD-T2 TSE|T2 FRFSE|T2W_TSE|T2w",
    "flair": """
        3D_Brain_VIEW_FLAIR|FLAIR_longTR|SAG 3D CUBE FLAIR|T2 FLAIR + C|T2W_FLAIR_SPAIR
        t2_tirm_tra_dark-fluid
        """,
    "image": "AX DWI|AX GRE T2*|DYNAMIC T1 DCE|LOCALIZER|PERFUSION|SWI_Images",
}  # fmt: skip
"""What was collected from public bug reports and file listings."""

WRITTEN = {
    "t1": """
        T1|T1w|T1WI|T1W|t1n|SAG T1 SE|SAGT1|AXT1PRE|3DT1|T13D|eT1W_SE|T1W_SE|t1_tse_sag_320|t1_tse_pat2
        T1_3D_TFE|T1w_MPR
        MPRAGE|MP-RAGE|3D_MPRAGE|ADNI MPRAGE SAG|MEMPRAGE RMS|SPGR|FSPGR|AX 3D SPGR|VIBE|TFE|3D TFE SAG
        FFE3D|TFL|sT1W_3D_FFE
        THRIVE|LAVA|Ax LAVA Flex|MP2RAGE_UNI|Ax T1 FSPGR BRAVO|CUBE T1|T1 SPACE|t1_space_dark-fluid
        t1_tirm_tra_dark-fluid
        T1 PROPELLER|T1 BLADE|FAST SPGR 3D|T1 WO CONTRAST|T1 WO|T1WO|T1 W/O|T1W/O|T1 W-O CONTRAST
        T1 W/OUT CONTRAST
        T1 without contrast|T1 no contrast|T1 NON CON|T1 NONCON|T1 NON-CONTRAST|T1 noncontrast|T1 unenhanced
        T1 UNENH
        T1 pre contrast|T1 precontrast|T1 PRE GAD|PRE T1|T1 PREGAD|AX T1 PRE-GD|T1 native|t1 nativ
        T1_nativ_tra|NATIV T1
        AX T1 -C|T1 C-|T1 GAD-|T1 sans injection|T1 SE sans gado|T1 avant injection|T1 SIN CONTRASTE
        T1 SIN CIV|T1 senza mdc
        T1 PRIMA MDC|T1 basale|T1 zonder contrast|T1 voor contrast|T1 sem contraste|T1 ohne KM|T1 vor KM
        t1_se_tra_ohne_KM
        T1 utan kontrast|T1 uden kontrast|T1 bez kontrastu|T1 KONTRASTSIZ|T1 POST OP|T1 post-op day 1
        T1 PREOP|AX T1 POST RT
        T1 POSTERIOR FOSSA|AX T1 POST FOSSA|T1 with fatsat|T1 W FS|T1 non FS|T1 STEALTH|sub-01_T1w
        sub-0001_ses-1_T1w
        SAG T1 GRE|3D T1 GRE|T1 LOCATION|QUICK 3D T1|2.000000-AX T1-12345
        """,
    "t1c": """
        T1CE|T1-CE|T1c|T1C|T1 C|T1post|T1KM|T1 KM|t1_se_tra_KM|T1 KONTRAST|T1 MIT KM|T1 mit Kontrastmittel
        T1 MPRAGE KM sag
        T1+C|T1 +C|T1W+C|T1+Gd|T1 + GAD|T1+|T1 C+|C+ 3D T1|+C T1|Ax 3D T1 BRAVO +C|SAG T1 FLAIR +C
        COR T1 FSE FS +C
        T1 POST GADOLINIUM|T1 Gd-DTPA|T1 GADAVIST|T1 DOTAREM|T1 MULTIHANCE|AXT1POST|T1WCE|CE T1|CE-T1W|ceT1
        T1 enhanced
        T1 contrast enhanced|POST CONTRAST AX T1|T1 postcontrast|T1 POST-CON|T1 W/C|T1 W C|T1WC
        T1 W/ CONTRAST|T1 w gad
        T1 après injection|T1 après gado|T1 avec injection|T1 gado|T1 INJ|T1 injecte|3D T1 apres inj
        T1 IV CONTRAST
        T1 CON CONTRASTE IV|T1 con CIV|T1 POST CONTRASTE|T1 CON GADOLINIO|T1 con mdc|T1 dopo mdc|T1 POST MDC
        T1 na contrast|T1 met contrast|T1 NA GD|T1 pós contraste|T1 pós|T1 com contraste|T1 med kontrast
        T1 po kontrascie
        T1 KONTRASTLI|T1 POSTKONTRAST|t1_vibe_tra_fs_post KM|t1_space_sag_p2_iso KM|t1_mpr_tra_iso_km
        T1W_FFE_GD
        SAG T1 POST W/O FS|T1 KM ohne FS|T1 GD no FS|MPR COR T1 +C|T1 POST MPR|BRAVO +C|MPRAGE POST GAD
        VIBE GD|FSPGR +C
        sub-01_ce-gadolinium_T1w|T1 FS CE SAG|T1 SE delayed|3.000000-AX T1 POST-98765
        """,
    "t2": """
        T2|T2WI|AX T2|AXT2|T2_TSE_TRA|t2_tse_tra_512|t2_blade_tra|AX T2 PROPELLER|T2W_TSE_MV|T2 FSE FS
        T2 SPACE|3D T2 CUBE
        3D_Brain_VIEW_T2|T2 HASTE|FASE T2|T2 POST|T2 CE|PD/T2 FSE|t2_tse_sag_pat2|T2 W/O CONTRAST
        """,
    "flair": """
        FLAIR|AX FLAIR|AXFLAIR|T2FLAIR|T2 FLAIR AX|T2-FLAIR|Ax T2 FLAIR PROPELLER|T2 SPACE FLAIR|3DFLAIR
        FLAIR 3D SAG
        t2_space_dark-fluid_sag_p2|dark fluid|darkfluid|TIRM|t2_tirm_tra|t2_spc_da-fl_sag|FLAIR POST
        FLAIR GD|CE FLAIR|t2f
        SAG CUBE T2 FLAIR|VISTA FLAIR|FLAIR FS|FLAIR FSE|Fluid attenuated IR
        """,
    "image": """
        DWI|AX DWI B1000|isoDWI|dDWI_SSh|ep2d_diff_3scan_trace_p2|resolve_3scan_trace_tra_p2_ADC|ADC|eADC
        dADC|ADC (10^-6 mm)
        TRACEW|Diffusion|DTI 32 dir|FA map|ColFA|ep2d_diff_tensor|TENSOR_B0|T2*|T2 *|T2STAR|AX T2 STAR|GRE
        AX GRE|T2 GRE|MERGE
        T2W_FFE|t2_fl2d_tra_hemo|t2_fl3d_tra|SWI|SWAN|VEN_BOLD|Mag_Images|Pha_Images|mIP_Images(SW)
        FILT_PHA AX SWAN|QSM
        perf|ep2d_perf|DSC|DCE|T1 DCE|T1 dynamic|T1 TWIST|rCBV|relCBV|CBF|MTT|TTP|Tmax|ASL|3D ASL|pcASL|BOLD
        fMRI motor
        rfMRI_REST_AP|MRA|TOF_3D|3D TOF|MRV|Angio|PC MRA|PHASE CONTRAST|CISS|t2_ciss3d|FIESTA|T2W_DRIVE
        TRUFI|bTFE|STIR
        T2 STIR|PD|PDW_TSE|localizer|Localizer tra|3-plane loc|3 plane loc|3Plane|scout|AAHead_Scout|survey
        SURVEY_SHC|pilot
        MIP|T1 MIP|SUB|SUB: AX T1|T1 SUBTRACTION|T1 SUB POST-PRE|Screen Save|PhoenixZIPReport
        ASSET Calibration
        gre_field_mapping|B0 map|T1 MAP|T2 map|T1 VIBE DIXON_F|t1_mp2rage_sag_INV1|PSIR|DIR|Spectroscopy
        svs_se_30|CSI
        T1 W WO|T1 W/WO CONTRAST|T1 with and without contrast|T1 sans et avec injection|T1 mit und ohne KM
        T1 +/- C
        T1 PRE POST|T1 vor und nach KM|T1 T2|T1-C|T2 SAG C SPINE|SAG T1 LUMBAR||MR|brain|Series 5|KEY IMAGES
        post contrast
        """,
}


def rows(table: dict[str, str]) -> list[tuple[str, str]]:
    return [
        (description.strip(), sequence)
        for sequence, text in table.items()
        for line in text.strip().splitlines()
        for description in line.split("|")
    ]


@pytest.mark.parametrize(("description", "sequence"), rows(IN_THE_FIELD))
def test_descriptions_from_the_field(description: str, sequence: str) -> None:
    assert (sequence_of(description) or "image") == sequence


@pytest.mark.parametrize(("description", "sequence"), rows(WRITTEN))
def test_descriptions_of_all_vendors_and_languages(description: str, sequence: str) -> None:
    assert (sequence_of(description) or "image") == sequence


def test_there_are_many() -> None:
    assert len(set(rows(IN_THE_FIELD))) == 66
    assert len(set(rows(WRITTEN))) > 300


@pytest.mark.parametrize(("description", "sequence"), rows(WRITTEN))
def test_case_and_separators_do_not_matter(description: str, sequence: str) -> None:
    assert (sequence_of(description.lower()) or "image") == sequence
    assert (sequence_of(description.replace(" ", "_")) or "image") == sequence


@pytest.mark.parametrize(
    ("text", "agent", "sequence"),
    [
        ("AX T1", None, "t1"), ("AX T1", True, "t1c"), ("AX T1", False, "t1"), ("AX T1 POST", False, "t1c"),
        ("AX T1 PRE", True, "t1"), ("T1-C", True, "t1c"), ("T1-C", False, "t1"), ("AX T2", True, "t2"),
        ("FLAIR", True, "flair"), ("T1 W WO", True, "image"), ("MPRAGE", True, "t1c"),
    ],
)  # fmt: skip
def test_words_come_before_the_header_and_the_header_before_nothing(
    text: str, agent: bool | None, sequence: str
) -> None:
    assert sequence_of(text, agent=agent) == sequence


@pytest.mark.parametrize(
    ("stored", "agent"),
    [
        ("", None), ("  ", None), ("NO", False), ("none", False), ("N", False), ("No contrast", False), ("W/O", False),
        ("ohne", False), ("Gadovist", True), ("GADAVIST 7.5 ML", True), ("YES", True), ("Non-contrast", False),
        ("native", False), ("Y", True), ("0", False), ("0.1 mmol/kg Gadavist", True), ("-", None),
    ],
)  # fmt: skip
def test_contrast_agent(stored: str, agent: bool | None) -> None:
    assert agent_given(stored) is agent


SPIN, GRADIENT = frozenset(("SE",)), frozenset(("GR",))


@pytest.mark.parametrize(
    ("timing", "sequence"),
    [
        (Timing(500, 12, 0, SPIN), "t1"), (Timing(4000, 100, 0, SPIN), "t2"), (Timing(9000, 120, 2500, SPIN), "flair"),
        (Timing(9000, 120, 2500, frozenset(("SE", "IR"))), "flair"), (Timing(2000, 3, 900, GRADIENT), "t1"),
        (Timing(2500, 10, 850, SPIN), "t1"), (Timing(5000, 80, 0, frozenset(("EP", "SE"))), "image"),
        (Timing(3000, 12, 0, SPIN), None), (Timing(4000, 60, 160, SPIN), None), (Timing(600, 15, 160, SPIN), None),
        (Timing(25, 4, 0, GRADIENT), None), (Timing(1900, 3, 0, GRADIENT, frozenset(("SK", "SP", "MP"))), "t1"),
        (Timing(1900, 3, 0, frozenset(), frozenset(), "*TFL3D1"), "t1"), (Timing(weighting="T2"), "t2"),
        (Timing(weighting="FLUID_ATTENUATED"), "flair"), (Timing(weighting="DIFFUSION"), "image"),
        (Timing(500, 12, 0, SPIN, weighting="UNKNOWN"), "t1"), (Timing(), None),
    ],
)  # fmt: skip
def test_timing_decides_where_no_word_does(timing: Timing, sequence: str | None) -> None:
    assert sequence_of("", timing=timing) == sequence
    assert sequence_of("brain", timing=timing) == sequence
    assert judged("brain", timing=timing).by == ("nothing" if sequence is None else "timing")


@pytest.mark.parametrize(
    ("text", "timing", "sequence"),
    [
        ("PD/T2 dual", Timing(echo=20), "image"), ("PD/T2 dual", Timing(echo=90), "t2"),
        ("tirm cor", Timing(inversion=160), "image"), ("tirm tra", Timing(inversion=2500), "flair"),
        ("AX T2", Timing(pulse=GRADIENT), "image"), ("T2", Timing(pulse=frozenset(("EP", "SE"))), "image"),
        ("T1 tfl", Timing(kinds=frozenset(("ORIGINAL", "PRIMARY", "P"))), "image"),
        ("DWI", Timing(500, 12, 0, SPIN), "image"),
        ("T2", Timing(kinds=frozenset(("DERIVED", "PRIMARY", "T2 MAP"))), "image"),
        ("post", Timing(500, 12, 0, SPIN), "t1c"),
    ],
)  # fmt: skip
def test_timing_and_kind_of_image_settle_what_words_leave_open(text: str, timing: Timing, sequence: str) -> None:
    assert sequence_of(text, timing=timing) == sequence


def test_the_protocol_is_read_only_where_the_description_names_no_weighting() -> None:
    assert sequence_of("AX T1", otherwise="BRAIN W CONTRAST") == "t1"
    assert sequence_of("KM sag", otherwise="t1_mprage") == "t1c"
    assert sequence_of("", otherwise="t2_tse") == "t2"
    assert judged("AX T1").by == "weighting"
    assert judged("AX T1 PRE").by == judged("AX T1", agent=True).by == judged("T2").by == "words"
