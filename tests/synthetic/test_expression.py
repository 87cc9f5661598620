import numpy as np
import pytest

from deadpan.expressions import EXPRESSIONS
from deadpan.synthetic.expression import (
    ACTION_UNITS,
    RECIPES,
    SIDED,
    SMALL,
    action_units,
    add,
    expression_weights,
    for_head,
    onset,
    small_variation,
)
from deadpan.synthetic.heads import load_head


def known_shapes() -> set[str]:
    return set(load_head("makehuman").shape_names)


@pytest.mark.parametrize("expression", EXPRESSIONS)
@pytest.mark.parametrize("intensity", [0.0, 0.25, 0.6, 1.1])
def test_every_expression_at_any_intensity(expression: str, intensity: float) -> None:
    for seed in range(20):
        weights = expression_weights(expression, intensity, np.random.default_rng(seed))
        assert set(weights) <= known_shapes()
        assert all(0 < weight <= 1.2 for weight in weights.values())
        if expression == "neutral" or intensity == 0:
            assert weights == {}
        else:
            assert max(weights.values()) > 0.3 * intensity


def test_one_movement_grows() -> None:
    mild = expression_weights("happiness", 0.3, np.random.default_rng(4))
    strong = expression_weights("happiness", 0.9, np.random.default_rng(4))
    assert mild.keys() == strong.keys()
    for shape, weight in mild.items():
        assert strong[shape] == pytest.approx(min(3 * weight, 1.2))


def test_contempt_is_one_sided() -> None:
    for seed in range(10):
        weights = expression_weights("contempt", 1.0, np.random.default_rng(seed))
        sides = {shape.endswith("Left") for shape in weights}
        assert len(sides) == 1


def test_typical_action_units() -> None:
    wanted = {
        "anger": {"AU4"},
        "contempt": {"AU12", "AU14"},
        "disgust": {"AU9", "AU10"},
        "fear": {"AU1", "AU2", "AU4", "AU5", "AU20"},
        "happiness": {"AU6", "AU12"},
        "sadness": {"AU1", "AU4", "AU15"},
        "surprise": {"AU1", "AU2", "AU5", "AU26"},
    }
    for expression, units in wanted.items():
        for seed in range(10):
            weights = expression_weights(expression, 1.0, np.random.default_rng(seed))
            assert units <= set(action_units(weights)), expression
    assert action_units({}) == {}
    assert action_units({"mouthSmileLeft": 0.25, "mouthSmileRight": 0.5}) == {"AU12": 0.5}


def test_tables_name_shapes_that_exist() -> None:
    shapes = known_shapes()
    both = {name for shape in SIDED for name in (shape + "Left", shape + "Right")}
    assert both <= shapes
    for parts in ACTION_UNITS.values():
        assert all(part in shapes or part in SIDED for part in parts)
    for shape, often, largest in SMALL:
        assert shape in shapes or shape in SIDED
        assert 0 < often < 1
        assert 0 < largest <= 0.22
    assert tuple(RECIPES) == EXPRESSIONS


def test_small_variation_is_small() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        weights = small_variation(rng)
        assert all(weight < 0.4 for weight in weights.values())
        assert set(weights) <= known_shapes()


def test_sums_and_gains() -> None:
    assert add({"jawOpen": 1.0}, {"jawOpen": 0.9, "mouthPucker": 0.1}) == {"jawOpen": 1.2, "mouthPucker": 0.1}
    assert for_head("makehuman", {"mouthUpperUpLeft": 0.5, "jawOpen": 0.5})["jawOpen"] == 0.5
    assert for_head("makehuman", {"mouthUpperUpLeft": 0.5})["mouthUpperUpLeft"] > 0.5


def test_onset_runs_from_nothing_to_the_apex() -> None:
    shares = onset(6)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert shares == sorted(shares)


def test_wrong_settings_are_told() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"unknown expression 'joy'; known are neutral, anger"):
        expression_weights("joy", 1.0, rng)
    with pytest.raises(ValueError, match=r"between 0 and 1.2; got 3"):
        expression_weights("happiness", 3, rng)
    with pytest.raises(ValueError, match=r"at least 2 frames; got 1"):
        onset(1)
