"""Plugins of installed packages: known by name to every command, without an import and without a flag."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tiny

EXAMPLES = Path(__file__).parents[1] / "examples"
KINDS = ("objective", "penalty", "update_rule", "network", "metric", "callback")
FEATURES = """
import numpy as np
import torch

import ganvas
from examples_recipe import recipe
from ganvas.features.extractor import NetworkExtractor

ganvas.register.recipe(recipe)

class Thumbnail(torch.nn.Module):
    def forward(self, images):
        return torch.nn.functional.adaptive_avg_pool2d(images.float() / 255, 4).flatten(1)

@ganvas.register.features("thumbnail")
def thumbnail(images, device):
    channels = 1 if images is None else images.image_shape[0]
    return NetworkExtractor(
        "thumbnail", Thumbnail(), preprocessing="mean", dimensions=16 * channels,
        comparable=True, device=device
    )
"""


def install(site, name, points):
    """What an installer leaves of a package: its modules (there already) and its metadata."""
    folder = site / f"{name}-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"{point} = {module}" for point, module in points.items()]
    (folder / "entry_points.txt").write_text("\n".join(["[ganvas.plugins]", *lines, ""]))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder of installed packages: one with all examples, a recipe and an extractor."""
    site = tmp_path_factory.mktemp("site")
    for kind in (*KINDS, "recipe"):
        shutil.copy(EXAMPLES / f"{kind}.py", site / f"examples_{kind}.py")
    (site / "examples_features.py").write_text(FEATURES)
    install(site, "examples", {kind: f"examples_{kind}" for kind in (*KINDS, "features")})
    return site


def ganvas_in(site, *words):
    """Run the command line in a process of its own that finds the packages installed in `site`."""
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, "-m", "ganvas", *map(str, words)],
        capture_output=True, text=True, timeout=200,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path},
    )  # fmt: skip


def done(answer):
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def test_every_kind_of_extension_of_an_installed_package_is_known_by_its_name_alone(tmp_path, site):
    settings = {
        "objective": "relativistic_average_hinge",
        "penalties": [{"kind": "wgan_lp", "weight": 1}],
        "generator": {"kind": "resize_conv", "width": 4},
        "discriminator": {"kind": "strided_conv", "width": 4},
        "scores": {"interval": 100, "images": 24, "final": 30},
        "batch_size": 16,
    }
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={json.dumps(value)}")]
    words += ["--callback", "weight_distance", "--steps", 2, "--threads", 1, "--quiet"]
    run = tmp_path / "run"
    done(ganvas_in(site, "train", "mlp", "--data", tiny.data_file(tmp_path), "--out", run, *words))
    assert (run / "distance.csv").read_text().count("\n") == 2
    (evaluation,) = json.loads((run / "evaluation.json").read_text())["evaluations"]
    assert evaluation["sliced_wasserstein"] > 0
    assert "Sliced Wasserstein" in (run / "report.html").read_text()
    words = ("--count", 24, "--json", "--features", "thumbnail")
    answer = json.loads(done(ganvas_in(site, "evaluate", run, *words)))
    assert answer["protocol"]["features"] == "thumbnail"
    assert answer["sliced_wasserstein"] > 0


def test_a_metric_is_all_that_an_installed_package_need_have(tmp_path):
    shutil.copy(EXAMPLES / "metric.py", tmp_path / "only_metric.py")
    install(tmp_path, "only-metric", {"distance": "only_metric"})
    np.save(tmp_path / "fakes.npy", tiny.images(24, seed=1))
    words = ("--data", tiny.data_file(tmp_path), "--count", 24)
    table = done(ganvas_in(tmp_path, "evaluate", tmp_path / "fakes.npy", *words))
    assert re.search(r"Sliced Wasserstein +[\d.]+ +[\d.]+ +lower is better", table)


def test_update_rules_and_recipes_of_an_installed_package_are_found_and_listed(tmp_path, site):
    assert "relativistic-mlp: a small relativistic GAN" in done(ganvas_in(site, "recipes"))
    words = ["--set", "update.rule=clipped_critic", "--data", tiny.data_file(tmp_path), "--steps", 2]
    words += ["--set", "penalties=[]", "--set", "scores=null", "--set", "batch_size=16", "--quiet"]
    done(ganvas_in(site, "train", "relativistic-mlp", "--out", tmp_path / "run", *words))
    assert json.loads((tmp_path / "run" / "run.json").read_text())["recipe"]["name"] == "relativistic-mlp"


def test_a_package_whose_plugin_fails_is_named_in_one_line_where_plugins_are_needed_only(tmp_path):
    (tmp_path / "broken_gan.py").write_text("raise RuntimeError('first line\\nsecond line')")
    install(tmp_path, "broken-gan", {"mine": "broken_gan"})
    answer = ganvas_in(tmp_path, "recipes")
    assert answer.returncode == 2
    assert answer.stderr == (
        "ganvas: plugin mine (broken_gan) failed: RuntimeError: first line second line\n"
    )
    done(ganvas_in(tmp_path, "recipes", "show", "mlp"))
