"""Registered metrics in a score: what they may return, and what is refused."""

import math

import pytest
import torch

import ganvas
import tiny
from ganvas.errors import UserError
from ganvas.evaluation import evaluate_features, load_reference
from ganvas.evaluation.metric_info import CUSTOM_METRICS, METRICS
from ganvas.metrics import Estimate


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return load_reference(tiny.data_file(tmp_path_factory.mktemp("data")))


@pytest.fixture
def values(reference):
    """Evaluates real features with a registered metric, which is forgotten after the test."""

    def values(function):
        ganvas.register.metric("mine", title="Mine")(function)
        return evaluate_features(reference.features, reference).as_json()

    yield values
    CUSTOM_METRICS.remove("mine")


@pytest.mark.parametrize(
    ("value", "number", "stderr"),
    [
        (1.5, 1.5, None), (3, 3.0, None), (torch.tensor(2.5), 2.5, None), (torch.tensor([4]), 4.0, None),
        (Estimate(1.0, 0.25), 1.0, 0.25), (Estimate(torch.tensor(1.0), 0.5), 1.0, 0.5),
        (math.nan, None, None), (math.inf, None, None), (Estimate(1.0, math.nan), 1.0, None),
    ],
)  # fmt: skip
def test_a_metric_returns_a_number_a_tensor_of_one_or_an_estimate(values, value, number, stderr):
    result = values(lambda fake, real: value)
    assert (result["mine"], result["mine_stderr"], result["mine_baseline"]) == (number, stderr, number)


@pytest.mark.parametrize("value", [None, "1.5", [1.5], torch.zeros(2), Estimate("x", 0.1), 1j])
def test_what_is_no_number_is_refused_with_the_metrics_name(values, value):
    with pytest.raises(UserError, match=r"^metric mine: expected a number or an Estimate, got"):
        values(lambda fake, real: value)


@pytest.mark.parametrize("error", [ValueError("first\nsecond"), ZeroDivisionError(), RuntimeError("\x1b[2J")])
def test_a_metric_that_fails_is_one_line_with_its_name(values, error):
    def failing(fake, real):
        raise error

    with pytest.raises(UserError, match=rf"^metric mine failed: {type(error).__name__}") as caught:
        values(failing)
    assert "\n" not in str(caught.value)


def test_a_whole_number_that_no_float_can_hold_is_refused(values):
    with pytest.raises(UserError, match=r"^metric mine failed: OverflowError"):
        values(lambda fake, real: 10**400)


@pytest.mark.parametrize(
    "name", [*(metric.key for metric in METRICS), "protocol", "step", "mine_stderr", "modes_total", "a b", ""]
)
def test_a_name_that_an_evaluation_uses_already_is_refused(name):
    with pytest.raises(UserError, match=r"^metric "):
        ganvas.register.metric(name, title="Mine")(lambda fake, real: 0.0)
    assert name not in CUSTOM_METRICS


@pytest.mark.parametrize("better", ["lowest", "", "Lower", None])
def test_which_way_is_better_is_one_of_three_words(better):
    with pytest.raises(UserError, match=r"^metric mine: expected better to be one of 'lower', 'higher', "):
        ganvas.register.metric("mine", title="Mine", better=better)(lambda fake, real: 0.0)
    assert "mine" not in CUSTOM_METRICS
