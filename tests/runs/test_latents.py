"""Blends of seeds, the plane, directions: what they are, and that a command repeats what is on the screen."""

import math
import shlex

import numpy as np
import pytest
import torch
from torch import nn

import ganvas
import tiny
from ganvas import cli
from ganvas.errors import UserError
from ganvas.runs import latents
from ganvas.runs.copies import NearestImages
from ganvas.training.sampling import sample_z


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A short conditional run, and the folder that it lies in."""
    folder = tmp_path_factory.mktemp("latents")
    labels = np.arange(72) % 3
    np.savez(folder / "discs.npz", images=tiny.images(), labels=labels)
    return tiny.train(folder, "mlp", data=folder / "discs.npz", conditional=True, steps=30)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A short run without classes."""
    return tiny.train(tmp_path_factory.mktemp("plain"), "mlp", steps=30)


def near(a, b):
    """Equal but for one gray level: batches of another size may round otherwise."""
    return np.abs(np.asarray(a).astype(int) - np.asarray(b).astype(int)).max() <= 1


def test_a_blend_of_one_seed_is_the_first_sample_of_that_seed(run, plain):
    for each in (run, plain):
        blended = each.blend([{7: 1.0}, {8: 0.3}])
        assert near(blended[:1], each.sample(1, seed=7))
        assert near(blended[1:], each.sample(1, seed=8))


def test_a_blend_of_normal_latents_is_weighted_and_as_long_as_one_of_them(plain):
    points = latents.Points.of(plain, [{1: 3.0, 2: 4.0}])
    size = plain.recipe.latent.size
    one, two = (sample_z(plain.recipe.latent, 1, seed)[0] for seed in (1, 2))
    assert torch.allclose(points.z[0], (3 * one + 4 * two) / 5)
    many = latents.Points.of(plain, [{i: 1.0, i + 1: 1.0} for i in range(0, 400, 2)])
    assert many.z.square().sum(1).mean().item() == pytest.approx(size, rel=0.05)


def test_a_blend_of_uniform_latents_stays_in_their_range(tmp_path):
    uniform = tiny.train(tmp_path, "mlp", steps=1, overrides={"latent.distribution": "uniform"})
    points = latents.Points.of(uniform, [{i: 0.5, i + 1: 0.5, i + 2: 2.0} for i in range(50)])
    assert points.z.abs().max() <= 1


def test_truncation_scales_z_and_at_zero_all_images_of_a_class_are_one(run):
    half = latents.Points.of(run, [{3: 1.0}], truncation=0.5).z
    assert torch.allclose(half, 0.5 * latents.Points.of(run, [{3: 1.0}]).z)
    images = run.blend([{3: 1.0}, {4: 1.0}], truncation=0, class_=1)
    assert near(images[0], images[1])


def test_the_class_is_the_one_that_is_asked_for_or_that_of_the_heaviest_seed(run):
    own = [int(run.sample(1, seed=seed).labels[0]) for seed in range(6)]
    for first, second in ((0, 1), (2, 3), (4, 5)):
        points = latents.Points.of(run, [{first: 0.6, second: 0.4}, {first: 0.4, second: 0.6}])
        assert points.labels.tolist() == [own[first], own[second]]
    assert latents.Points.of(run, [{0: 1.0}, {1: 1.0}], label=2).labels.tolist() == [2, 2]


@pytest.mark.parametrize(
    ("blend", "expected"),
    [
        ({}, "1 to 64 seeds"),
        ({1: 0.0}, "not 0"),
        ({-1: 1.0}, "seed -1"),
        ({2**63: 1.0}, "seed 9223372036854775808"),
        ({1: math.nan}, "weight for seed 1"),
        ({1: math.inf}, "weight for seed 1"),
        (dict.fromkeys(range(65), 1.0), "1 to 64 seeds"),
    ],
)
def test_blends_that_are_none_are_refused(plain, blend, expected):
    with pytest.raises(UserError, match=expected):
        plain.blend([blend])


def test_the_plane_has_the_seeds_at_whole_numbers_and_their_mixture_between():
    assert latents.plane(3, 2, 2, 1, 1) == [{203: 1.0}, {204: 1.0}]
    (center,) = latents.plane(0.5, 0.5, 1, 1, 1)
    assert center == {0: 0.25, 1: 0.25, 100: 0.25, 101: 0.25}
    assert latents.plane(-1, -1, 1, 1, 1) == [{9999: 1.0}]  # it repeats
    for blend in latents.plane(-7.3, 98.7, 9, 9, 0.37):
        assert sum(blend.values()) == pytest.approx(1)
        assert all(0 <= seed < 10_000 for seed in blend)


def test_moving_over_the_plane_a_little_changes_images_a_little(plain):
    step = latents.Points.of(plain, latents.plane(4.2, 4.2, 2, 1, 1e-4)).z
    assert (step[0] - step[1]).norm() < 0.01
    across = latents.Points.of(
        plain, [latents.plane(5 - 1e-7, 4.2, 1, 1, 1)[0], latents.plane(5, 4.2, 1, 1, 1)[0]]
    ).z
    assert torch.allclose(across[0], across[1], atol=1e-4)  # also from one cell to the next


def test_directions_at_zero_change_nothing_and_the_two_ways_along_one_differ(plain):
    name = plain.directions()[0].name
    base = np.asarray(plain.blend([{5: 1.0}]))
    assert np.array_equal(base, plain.blend([{5: 1.0}], directions={name: 0.0}))
    up, down = (np.asarray(plain.blend([{5: 1.0}], directions={name: a})) for a in (3.0, -3.0))
    assert not np.array_equal(up, down)


class Disc(nn.Module):
    """A known generator: the first number of z is the brightness, the second the position."""

    def forward(self, z):
        images = torch.zeros(len(z), 1, 16, 16) - 1
        for image, (bright, right) in zip(images, z[:, :2], strict=True):
            x = int((8 + 3 * right).clamp(2, 13))
            image[0, 6:10, x - 2 : x + 2] = float((0.3 * bright).clamp(-1, 1))
        return images


def test_directions_of_a_generator_that_is_known_point_where_they_must(plain, monkeypatch):
    generator = Disc()
    generator.register_parameter("unused", nn.Parameter(torch.zeros(())))
    monkeypatch.setattr(plain, "raw_generator", lambda **_: generator)
    monkeypatch.setattr(latents, "_fitted", {})
    directions = {d.name: d for d in plain.directions()}
    assert directions["ink"].step[0] > 0.95
    assert directions["x position"].step[1] > 0.95
    assert directions["ink"].r2 > 0.9
    assert "y position" not in directions
    assert all(d.step.norm().item() == pytest.approx(1, abs=1e-4) for d in directions.values())


def test_principal_directions_are_those_of_the_singular_vectors_of_the_first_layer():
    torch.manual_seed(0)
    first = nn.Linear(12, 30)
    principal = latents._principal_directions(nn.Sequential(first, nn.ReLU()), 12)
    _, values, vectors = torch.linalg.svd(first.weight.detach().double(), full_matrices=False)
    for number, direction in enumerate(principal):
        unit = direction.step.double() / direction.step.norm()
        assert abs((unit @ vectors[number]).item()) == pytest.approx(1, abs=1e-5)
        moved = (first.weight.double() @ direction.step.double()).norm().item()
        assert moved == pytest.approx(values[0].item(), rel=1e-4)


def test_batch_norm_behind_the_first_layer_is_folded_in():
    torch.manual_seed(0)
    first, norm = nn.Linear(6, 20, bias=False), nn.BatchNorm1d(20).eval()
    norm.running_var.uniform_(0.1, 4)
    nn.init.uniform_(norm.weight, 0.5, 2)
    folded = nn.Linear(6, 20, bias=False)
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    folded.weight = nn.Parameter(first.weight * scale[:, None])
    pairs = zip(
        latents._principal_directions(nn.Sequential(first, norm), 6),
        latents._principal_directions(nn.Sequential(folded, nn.ReLU()), 6),
        strict=True,
    )
    assert all(torch.allclose(a.step, b.step, atol=1e-4) for a, b in pairs)


def test_the_copied_command_and_the_copied_python_repeat_the_image(run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    name = run.directions()[0].name
    points = latents.Points.of(
        run, [{12: 0.25, 13: 0.75}], label=1, truncation=0.8, directions={name: 1.5}, step=run.step
    )
    image = latents.render(run, points, run.step)
    words = shlex.split(latents.shell_command(run, points, run.step))
    assert cli.main([*words[1:-1], "image.npy"]) == 0, capsys.readouterr().err
    assert near(np.load("image.npy"), image)
    code = latents.python_call(run, points, run.step)
    assert near(eval(code, {"ganvas": ganvas}), image)  # what the page offers to copy


@pytest.mark.parametrize("text", ["", "x", "1:", "1:x", "1.5", "1:0.5;2:0.5"])
def test_a_blend_that_cannot_be_read_is_refused_in_one_line(run, capsys, text):
    assert cli.main(["blend", str(run.path), text]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_direction_that_is_not_there_is_refused_with_the_nearest(run, capsys):
    name = run.directions()[0].name
    assert cli.main(["blend", str(run.path), "1", "--direction", f"{name}x:1"]) == 2
    assert name in capsys.readouterr().err
    assert cli.main(["blend", str(run.path), "1", "--direction", f"{name}:9"]) == 2
    assert "-5 to 5" in capsys.readouterr().err


def test_a_planted_copy_is_called_one_and_noise_is_not(tmp_path):
    run = tiny.train(tmp_path, "mlp", steps=1, data=tiny.data_file(tmp_path, count=200))
    nearest, images = NearestImages(run), tiny.images(count=200)
    copy = nearest.find(images[17])
    assert copy.is_copy
    assert copy.percentile == 0
    assert np.array_equal(copy.images[0], images[17])
    noise = nearest.find(np.random.default_rng(0).integers(0, 256, images[0].shape, np.uint8))
    assert not noise.is_copy
    assert noise.percentile > 99
