"""What makes simulated tumours more various than physics and the usual growth do, and leaves all else as it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from synthoma.core.errors import ConfigError
from synthoma.core.seeding import stream
from synthoma.phantom import PhantomConfig
from synthoma.phantom.acquisition import draw_site
from synthoma.phantom.contrast import AGAINST_GREY, PROPERTIES, draw_mixture, draw_properties, mixed, signals
from synthoma.phantom.tissue import Tissue
from synthoma.phantom.tumour import Biology, draw_biology

WIDE = PhantomConfig(mixture=1.0, margins=1.0)


def biology(index: int, config: PhantomConfig) -> Biology:
    return draw_biology(stream(5, "phantom.biology", index), config, index % 2 == 0)


def test_sites_and_tumours_are_otherwise_the_same() -> None:
    for number in range(20):
        usual, wide = draw_site(5, number, PhantomConfig()), draw_site(5, number, WIDE)
        assert usual.protocol.mixture is None
        assert wide.protocol.mixture is not None
        assert replace(wide, protocol=replace(wide.protocol, mixture=None)) == usual
        before, after = biology(number, PhantomConfig()), biology(number, WIDE)
        assert (before.volume_ml, before.grade, before.middle, before.foci) == (
            after.volume_ml, after.grade, after.middle, after.foci
        )  # fmt: skip


@pytest.mark.slow
def test_a_share_of_sites_and_tumours_is_changed() -> None:
    half = PhantomConfig(mixture=0.5, margins=0.5)
    sites = [draw_site(5, number, half).protocol.mixture is not None for number in range(400)]
    assert 160 < sum(sites) < 240
    changed = [biology(index, half) != biology(index, PhantomConfig()) for index in range(400)]
    assert 160 < sum(changed) < 240


def test_margins_reach_the_cortex_first_or_spare_it() -> None:
    wide = [biology(index, WIDE) for index in range(200)]
    first = [one for one in wide if one.spare_mm <= 0]
    assert 60 < len(first) < 140
    assert all(one.gyral <= 0.15 and one.filling >= 0.7 for one in first)
    assert max(one.spare_mm for one in wide) > 5
    assert min(one.spare_mm for one in wide) < -3


def test_tumours_are_as_bright_as_drawn_and_faint_in_all_sequences_alike() -> None:
    shares = []
    for number in range(60):
        site = draw_site(5, number, WIDE)
        properties = draw_properties(stream(5, "phantom.properties", number), site.protocol.tesla)
        own = []
        for modality, (low, high) in AGAINST_GREY.items():
            table = signals(modality, site.protocol, properties)
            ratio = float(table[Tissue.OEDEMA] / table[Tissue.GREY])
            assert low - 1e-3 <= ratio <= high + 1e-3
            far, near = (low, high) if modality.startswith("t1") else (high, low)
            own.append(np.log(ratio / near) / np.log(far / near))
        shares.append(own)
    between = np.corrcoef(np.array(shares).T)
    assert between[~np.eye(4, dtype=bool)].min() > 0.6
    assert np.ptp(np.array(shares)[:, 3]) > 0.8


def test_brightness_over_grey_and_factors_by_hand() -> None:
    mixture = np.ones(256, np.float32)
    mixture[[Tissue.GREY, Tissue.OEDEMA, Tissue.FAT]] = 1.5, -2.0, 0.5
    found = np.zeros(256)
    found[[Tissue.GREY, Tissue.OEDEMA, Tissue.FAT, Tissue.WHITE]] = 0.4, 0.9, 1.0, 0.3
    result = mixed(found, mixture)
    assert result[[Tissue.GREY, Tissue.OEDEMA, Tissue.FAT, Tissue.WHITE]] == pytest.approx([0.6, 1.2, 0.5, 0.3])


def test_no_tissue_becomes_nothing_and_air_stays_dark() -> None:
    for number in range(20):
        mixture = draw_mixture(stream(number, "test"))
        assert set(mixture) == set(AGAINST_GREY)
        for table in mixture.values():
            assert np.isfinite(table).all()
            assert all(table[kind] != 0 for kind in PROPERTIES)
            assert table[Tissue.AIR] == 1


@pytest.mark.parametrize("name", ["mixture", "margins"])
def test_shares_beyond_one_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} between 0 and 1"):
        PhantomConfig.model_validate({name: 1.2})
