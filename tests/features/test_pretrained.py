"""inception and dinov2, for which timm is needed: the message without it, and the calls of it.

timm is not among the packages that tests need. `STAND_IN` below is a module of that name with two tiny
networks, put on the path of another process; it is not timm, and shows only that ours asks and uses it so.
"""

import importlib.util
import json
import subprocess
import sys
import textwrap

import pytest

from ganvas.errors import MachineError, UserError
from ganvas.features import get_extractor

NAMES = ("inception", "dinov2")
STAND_IN = """
    # A stand-in for timm, for tests of ganvas only: a network that averages the image it is given.
    import torch

    class Network(torch.nn.Module):
        pretrained_cfg = {"mean": (0.5, 0.25, 0.0), "std": (0.5, 0.25, 1.0)}

        def __init__(self, name, options):
            super().__init__()
            self.num_features = 3
            self.asked = name, options
            self.scale = torch.nn.Parameter(torch.ones(1))
            self.sizes = []

        def forward(self, x):
            assert not self.training
            self.sizes.append(tuple(x.shape))
            return self.scale * x.mean((2, 3))

    def create_model(name, pretrained=False, **options):
        assert pretrained
        return Network(name, options)
"""
ASK = """
    import json
    import numpy as np
    from ganvas.features import get_extractor
    images = np.full((20, 1, 28, 28), 255, np.uint8)
    result = {}
    for name in ("inception", "dinov2"):
        extractor = get_extractor(name)
        network = extractor.network.network
        result[name] = {
            "features": extractor(images)[[0, 19]].tolist(), "version": extractor.version,
            "dimensions": extractor.dimensions, "comparable": extractor.comparable,
            "asked": network.asked, "sizes": network.sizes,
        }
    print(json.dumps(result))
"""


@pytest.fixture(scope="module")
def stood_in(tmp_path_factory):
    """What another process says of both networks where `import timm` finds the stand-in."""
    folder = tmp_path_factory.mktemp("stand_in_for_timm")
    (folder / "timm.py").write_text(textwrap.dedent(STAND_IN))
    code = f"import sys; sys.path.insert(0, {str(folder)!r})\n" + textwrap.dedent(ASK)
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.stderr == ""
    return json.loads(done.stdout)


def refusal(name, module, tmp_path, monkeypatch):
    """The error where `module` is what `import timm` finds."""
    (tmp_path / "timm.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    try:
        with pytest.raises(MachineError) as caught:
            get_extractor(name)
    finally:
        sys.modules.pop("timm", None)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.skipif(importlib.util.find_spec("timm") is not None, reason="timm is installed")
@pytest.mark.parametrize("name", NAMES)
def test_without_timm_one_line_says_what_to_install_and_what_works_without(name):
    with pytest.raises(UserError) as caught:
        get_extractor(name)
    line = str(caught.value)
    assert line.startswith(f"{name} needs timm, which is not installed: pip install 'ganvas[pretrained]'")
    assert "gv1 and gv1-color work without it, offline" in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("name", "side", "model", "options"),
    [
        ("inception", 299, "inception_v3.tf_in1k", {"num_classes": 0}),
        ("dinov2", 224, "vit_small_patch14_dinov2.lvd142m", {"num_classes": 0, "img_size": 224}),
    ],
)
def test_timm_is_asked_for_the_network_and_given_normalized_images(name, side, model, options, stood_in):
    result = stood_in[name]
    assert result["asked"] == [model, options]
    assert result["sizes"] == [[16, 3, side, side], [4, 3, side, side]]
    for features in result["features"]:  # white, by the stand-in's mean and deviation
        assert features == pytest.approx([1, 3, 1], abs=1e-4)
    assert (result["dimensions"], result["comparable"], len(result["version"])) == (3, True, 12)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("raise RuntimeError('operator torchvision::nms does not exist')", "torchvision::nms does not exist"),
        ("raise AttributeError('partially initialized module')", "AttributeError: partially initialized"),
        ("import torchvision_that_is_not_there", "torchvision_that_is_not_there"),
    ],
)
def test_a_timm_that_cannot_be_imported_is_one_line_about_torchvision(fault, expected, tmp_path, monkeypatch):
    line = refusal("inception", fault, tmp_path, monkeypatch)
    assert "cannot be imported here" in line
    assert expected in line
    assert "torchvision must be of the same build as torch" in line


@pytest.mark.parametrize("error", ["OSError", "ValueError", "KeyError", "type('HubError', (Exception,), {})"])
def test_weights_that_cannot_be_fetched_are_one_line(error, tmp_path, monkeypatch):
    module = f"def create_model(*args, **options):\n    raise {error}('no hub\\nin sight')\n"
    line = refusal("dinov2", module, tmp_path, monkeypatch)
    assert "the weights vit_small_patch14_dinov2.lvd142m are not on this machine" in line
    assert "use gv1" in line
