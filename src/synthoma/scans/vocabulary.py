"""The words in names of scans and masks, and what they mean. Data only; ``names`` reads with them.

A phrase is written without separators and in small letters: ``t1ce`` stands for T1CE, t1-ce, T1_CE and T1.Ce. A new
spelling is a new phrase here, and nowhere else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "sequence", "other", "contrast", "plain", "phase", "variant", "mask", "tumour", "organ", "chance", "manual",
    "machine", "place", "split", "class", "filler",
]  # fmt: skip
"""What a phrase tells.

``sequence``: t1, t1c, t2 or flair. ``other``: a sequence or map that is not asked for. ``contrast`` and ``plain``: a T1
with or without contrast agent. ``phase``: "pre" and "post", which may speak of the agent or of an operation.
``variant``: how a file was processed or cut. ``mask``; ``tumour`` and ``organ``: of what. ``chance``: a probability.
``manual`` and ``machine``: who drew it. ``place``: a folder that only keeps things in order. ``split``: a part that
somebody set aside before. ``class``: what is wrong with the patient, beyond doubt. ``filler``: says nothing.
"""


@dataclass(frozen=True)
class Word:
    """Meaning of a phrase: its kind, and the sequence or the split that it names."""

    kind: Kind
    value: str = ""


def _words(text: str) -> list[str]:
    """Words between blanks."""
    return text.split()


def _joined(firsts: str, seconds: str) -> list[str]:
    """Each of the first words with each of the second ones behind it."""
    return [one + two for one in _words(firsts) for two in _words(seconds)]


_T1 = (
    "t1 t1w t1weighted mprage t1mprage spgr fspgr t1spgr t1fspgr bravo t1bravo t13d 3dt1 t1se t1tse t1fse t1vibe t1tfe "
    "t1ffe t1fl3d t1space t1cube axt1 sagt1 cort1 trat1"
)
_AGENT = (
    "c ce gd gad gado gadolinium gadovist post postgd postgad postgado postcontrast postc contrast contrastenhanced "
    "enhanced enh km mitkm pluskm kontrast +c +ce +gd +gad plusc withcontrast withgd withgad cm inj ev pc"
)
_NONE = (
    "n nc pre precontrast pregd pregad native nativ nat noncontrast nocontrast withoutcontrast unenhanced wo woc plain"
)

_PARTS = "cerebrum cerebellum hemisphere amygdala putamen caudate pallidum insula cortex pons medulla"
"""Parts of the brain. Alone they may say where a lesion lies; beside a word for a mask they are what is outlined."""

_DRAWN = "mask seg segmentation label roi"

_PHRASES: dict[str, tuple[Word, list[str]]] = {
    "t1": (Word("sequence", "t1"), [*_words(_T1), *_joined(_T1, _NONE), *_joined("pre native precontrast", "t1 t1w")]),
    "t1c": (
        Word("sequence", "t1c"),
        [
            *_joined(_T1, _AGENT),
            *_joined("c ce gd gad gado post postcontrast contrast +c contrastenhanced", "t1 t1w mprage"),
            *_words("t1k cet1 t1cw t1gdw t1cew t1contr t1kontrast t1postop3d gdmprage stealth"),
        ],
    ),
    "t2": (
        Word("sequence", "t2"),
        _words(
            "t2 hrt2 t2w t2weighted 3dt2 axt2 sagt2 cort2 trat2 t2tse t2fse t2blade t2propeller t2haste t2space t2se "
            "t2frfse t2cube"
        ),
    ),
    "flair": (
        Word("sequence", "flair"),
        [
            *_words(
                "flair t2flair flairt2 t2f t2wflair t2fl flair3d 3dflair fla darkfluid t2darkfluid tirm t2tirm flr fl"
            ),
            *_words("t2flairspace flairspace spaceflair flairw t2spaceflair t2spacedarkfluid spacedarkfluid"),
        ],
    ),
    "other": (
        Word("other"),
        _words(
            "adc dwi swi asl dti cbf cbv rcbv mtt ttp tmax perf perfusion pwi dsc dce ktrans kep vp ve fa md rd "
            "eddyfa eddymd dtieddyfa dtieddymd dtieddyl1 dtieddyl2 dtieddyl3 dtieddynoreg dtifa dtimd dtiad dtird "
            "t2star t2* t2starw gre t2gre swan tof mra mrv ct pet fdg fet pd pdw bold fmri trace tracew b0 b50 "
            "b500 b800 b1000 b2000 hardi noddi dki mrs mrsi cest apt subtraction t1sub t1subtraction difference "
            "t1map t2map t1mapping t2mapping t1relaxometry t2relaxometry relaxometry t1rho t2rho minus r2 "
            "qsm magnitude fieldmap epi localizer localiser scout survey mip stir ir bval bvec xfm affine "
            "warp deform jacobian rcbf leakage sir hist histogram overlay saliency montage preview quicklook "
            "screenshot thumbnail "
            "cellular synth inpainted voided inversewarped mixeltype snp snapshot qc "
            "visualization visualisation viz segmentationobject"
        ),
    ),
    "contrast": (
        Word("contrast"),
        _words(
            "gd gad gado gadolinium gadovist contrast contrastenhanced enhanced postcontrast postgd postgad "
            "postgado km "
            "mitkm kontrast +c +ce +gd +gad withcontrast withgd cegadolinium cegd plusc"
        ),
    ),
    "plain": (
        Word("plain"),
        _words("precontrast native nativ noncontrast nocontrast withoutcontrast unenhanced pregd ohnekm"),
    ),
    "phase": (Word("phase"), ["pre", "post"]),
    "variant": (
        Word("variant"),
        _words(
            "bias biascorr biascorrected bfc n4 n4itk n3 norm normalized normalised zscore denoised denoise smooth bet "
            "brain ss skullstripped skullstrip stripped noskull ns hdbet synthstrip robex reg registered coreg "
            "coregistered rigid warped mni mni152 mniwarped sri sri24 atlas atlasspace toatlas tot1 tot1c tot1ce tomni "
            "resampled resample iso isotropic 1mm 1x1x1 preproc preprocessed processed final orig original raw cropped "
            "crop defaced deface pp trans ax axial tra transversal transverse sag sagittal cor coronal 3d 2d lps "
            "ras rai "
            "lpi std reoriented r2s matched hm masked unstripped unstrip space lores hires subtracted n4bfc bc native2 "
            "rai2 sk synth synthetic inpainted "
            "ants  lowres rigidly n4corrected acpc acpcdc dcrestore restore gradwarp gradwarped"
        ),
    ),
    "mask": (
        Word("mask"),
        _words(
            "seg segm segs segment segmentation segmentations segmented mask masks masking maske label labels lbl lab "
            "labelmap dseg gt gtruth groundtruth truth gold goldstandard roi rois voi vois annotation annotations "
            "annot "
            "contour contours delineation delineations gtv gtvt gtv1 ctruth ot outline tumormask tumourmask lesionmask "
            "tumorseg tumourseg lesionseg roimask segmask maskseg seggt gtseg manualseg segtrans labelstr labelsts "
            "labelsval msk masque masques mascara mascaras maschera maschere maske masken masker tumeur lesie "
            "laesion lesione kontur konturen segmentierung segmentacion segmentazione zones outlined "
            "segmentationclass segmentationmask segmentationmasks glistrboost "
            "rtumorseg ltumorseg"
        ),
    ),
    "tumour": (
        Word("tumour"),
        _words(
            "tumor tumors tumour tumours lesion lesions glioma gliomas meningioma metastasis metastases mets whole "
            "wholetumor wholetumour wt abnormality pathology neoplasm"
        ),
    ),
    "organ": (
        Word("organ"),
        [
            *_joined(_PARTS, _DRAWN),
            *_joined(_DRAWN, _PARTS),
            *_words(
                "brainmask brainmasks maskbrain brainseg brainsegmentation brainparenchyma brainparenchymasegmentation "
                "brainlabel brainroi brainextraction betmask bmask headmask skullmask skull icv icvmask parenchyma "
                "tissue tissues tissueseg tissuesegmentation wm gm csf wmgmcsf gmwmcsf pve aparc aseg aparcaseg wmparc "
                "ventricle ventricles hippocampus brainstem vessel vessels healthymask maskhealthy noisemask "
                "background backgroundmask air fov fovmask foreground "
                "maskunhealthy unhealthymask pveseg cochlea defacingmask cavity resection resectioncavity "
                "resectionmask eye eyes eyemask orbit thalamus callosum lesionfree skullstripmask stripmask "
                "chiasm opticchiasm opticnerve opticnerves optictract whitematter greymatter graymatter spinalcord "
                "ctv ctv1 ctv2 ptv ptv1 ptv2 itv oar oars isodose"
            ),
        ],
    ),
    "chance": (
        Word("chance"),
        _words(
            "prob probs probability probabilities probabilitymap probmap pmap proba softmax sigmoid logit logits "
            "posterior posteriors confidence uncertainty entropy heatmap variance"
        ),
    ),
    "manual": (
        Word("manual"),
        _words(
            "manual manually manuallycorrected corrected edited edit expert consensus approved reviewed refined "
            "final radiologist gold goldstandard "
            "correction finalized finalised"
        ),
    ),
    "machine": (
        Word("machine"),
        _words(
            "pred preds predicted prediction predictions auto automated automatic automatedapprox nnunet nnunetv2 "
            "hdglio "
            "hdglioauto deepbratumia deepmedic monai swinunetr unet output outputs result results onnx ensemble model "
            "inference inferred infer totalsegmentator samseg draft raidionics brainles fets synthseg lst"
        ),
    ),
    "place": (
        Word("place"),
        _words(
            "nifti niftis nii niigz nrrd mha dicom dicoms dcm image images img imgs imagestr imagests imagesval "
            "scan scans "
            "mri mris mr mrscans brainmri data dataset datasets rawdata sourcedata derivatives anat func volumes "
            "volume vols files structural "
            "imagesstructural nonstructural unstripped modalities sequences series input inputs "
            "jpegimages imagedata archive kaggle3m imagesegm imagessegm automatedsegm release png jpg jpeg tif "
            "tiff slices "
            "preprocessed processed all patients subjects cases studies raw nnunetraw resources resampled"
        ),
    ),
    "filler": (
        Word("filler"),
        _words(
            "mr mri to in map image img scan vol volume nii nifti weighted seq sequence series dcm desc postfossa "
            "tse fse frfse propeller blade cube spc spair fatsat haste 3dax 2dax 3dsag 2dsag 3dcor 2dcor 3dtra 2dtra"
        ),
    ),
    "class": (
        Word("class"),
        _words(
            "yes no tumor tumour notumor notumour normal healthy control controls abnormal positive negative benign "
            "malignant glioma gliomatumor meningioma meningiomatumor pituitary pituitarytumor metastasis metastases "
            "glioblastoma gbm lymphoma hgg lgg hg lg astrocytoma oligodendroglioma ependymoma medulloblastoma "
            "schwannoma "
            "craniopharyngioma neurocytoma nontumor nontumour braintumor braintumour"
        ),
    ),
    "split": (
        Word("split"),
        _words("train training test testing val valid validation tr ts trainset testset valset holdout"),
    ),
}

FILES: dict[str, Word] = {}
"""Phrase -> its meaning in the name of a file or of a folder of one kind of file; of two, the one named first."""

FOLDERS: dict[str, Word] = {}
"""Phrase -> its meaning where a folder has no other name: places, splits and classes."""

for _word, _spellings in _PHRASES.values():
    for _spelling in _spellings:
        if _word.kind in ("place", "split", "class"):
            FOLDERS.setdefault(_spelling, _word)
        else:
            FILES.setdefault(_spelling, _word)
VISIT_WORDS = frozenset(
    _words(
        "timepoint tp time visit ses session week wk day month mo year yr fu followup mr baseline bl preop "
        "postop preoperative "
        "postoperative pretreatment posttreatment pretx posttx initial recurrence progression nadir date exam "
        "scan study "
        "examination acquisition d w m y v t studyid sessionid visitid examid intraop preradiotherapy postradiotherapy"
    )
)
"""Words of a visit; most have a number behind them."""

ALONE = frozenset(
    _words(
        "baseline bl preop postop preoperative postoperative pretreatment posttreatment pretx posttx initial "
        "recurrence "
        "progression nadir followup fu intraop preradiotherapy postradiotherapy pre post"
    )
)
"""Words of a visit that need no number."""

WEAK = frozenset(_words("scan exam study image img series volume vol acquisition d w m y v t mr time"))
"""Words that name a visit only where something else names the patient."""

PATIENT_WORDS = r"patient|patients|patientid|pat|pt|subject|subj|sub|sbj|case|person|pid"
"""Words of a patient; a number stands behind them."""

T1_IS_T1C = re.compile(r"(?<![A-Za-z])GK[._]\d+_\d+(?!\d)", re.IGNORECASE)
"""Names of sets whose T1 was taken after the contrast agent although no name says so (Brain-TR-GammaKnife)."""

DATE = re.compile(
    r"(?<!\d)(?:(?:19|20)\d\d[._-]?(?:0[1-9]|1[0-2])[._-]?(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-3])?(?:[0-5]\d){0,2}"
    r"|(?:0[1-9]|1[0-2])[._-](?:0[1-9]|[12]\d|3[01])[._-](?:19|20)\d\d"
    r"|(?:0[1-9]|[12]\d|3[01])[._-]?(?:0[1-9]|1[0-2])[._-]?(?:19|20)\d\d)(?!\d)"
)
"""A date, as it stands in names, with a time right behind it or without; never read as one."""

KNOWN_IDS: tuple[re.Pattern[str], ...] = tuple(
    re.compile(rf"(?<![a-z0-9]){pattern}", re.IGNORECASE)
    for pattern in (
        r"(?P<patient>TCGA[-_][A-Z0-9]{2}[-_][A-Z0-9]{4})(?![A-Z0-9])",
        r"(?:ADNI[-_])?(?P<patient>(?<!\d)\d{3}_S_\d{4,5})(?:_\D.*?_Br_(?P<visit>\d{8,17})(?!\d))?(?!\d)",
        r"(?P<patient>BraTS-MEN-RT-\d{4})(?:-(?P<visit>\d)(?!\d))?",
        r"(?P<patient>BraTS[-_](?!Tr|Te|Va)[A-Z]+[-_]\d{3,6})(?:[-_](?P<visit>\d{3})(?!\d))?",
        r"(?P<patient>BraTSReg[-_]\d+)(?:[-_](?P<visit>\d\d[-_]\d{4})(?!\d))?",
        r"(?P<patient>BraTS\d{2,4}[-_](?:Training|Validation|Testing)[-_]\d+)(?!\d)",
        r"(?P<patient>BraTS\d{2}[-_][A-Z0-9]+[-_][A-Z0-9]+[-_]\d+)(?!\d)",
        r"(?P<patient>BraTS20\d\d[-_]\d+)(?!\d)",
        r"(?P<patient>(?:UPENN-GBM|RHUH|UCSD-PTGBM)-\d{3,6})(?:[-_](?P<visit>\d{1,2})(?!\d))?",
        r"(?P<patient>UCSF-[A-Z]+-\d{3,6})(?:[-_](?P<visit>FU\d+d?))?",
        r"(?P<patient>\d{6})(?P<visit>[A-Z])(?=[_.]|$)",
        r"(?P<patient>GK[._]\d+)(?:_(?P<visit>\d+))?",
        r"(?P<patient>OAS[123][-_]\d{4})(?:[-_](?P<visit>MR\d+))?",
        r"(?P<patient>(?:EGD|IXI|ReMIND|CPTAC|REMBRANDT|LGG|QIN|C3L|C3N|HF|SF)-?\d{3,6})(?=[-_ .]|$)",
        r"(?P<patient>sub-[A-Za-z0-9]+)(?:[-_](?P<visit>ses-[A-Za-z0-9]+))?",
    )
)
"""Names of patients as public sets write them, with what tells visits apart. More specific ones first."""
