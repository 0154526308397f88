"""Small runs for tests: real recipes with narrow networks, on a few real-looking images."""

import json

import numpy as np

import ganvas

CONVOLUTIONAL = {
    "batch_size": 16,
    "generator.base_channels": 8,
    "generator.layers.0.channels": 8,
    "discriminator.layers.0.channels": 8,
    "discriminator.layers.1.channels": 8,
    "log_interval": 1,
}
TINY = {
    "auto": {
        "batch_size": 16,
        "generator.base_channels": 8,
        "discriminator.layers.0.channels": 8,
        "log_interval": 1,
    },
    "tutorial-dcgan": {**CONVOLUTIONAL, "generator.layers.1.channels": 8},
    "fashion-dcgan": {**CONVOLUTIONAL, "generator.layers.1.channels": 8},
    "keras-cnn": {**CONVOLUTIONAL, "generator.layers.1.channels": 8},
    "mlp": {"batch_size": 16, "generator.hidden": [16], "discriminator.hidden": [16], "log_interval": 1},
    "tf1-dcgan": {
        **CONVOLUTIONAL,
        "generator.hidden": [16],
        "discriminator.hidden": [16],
        "tensorboard": False,
    },
}


def images(count=72, shape=(1, 12, 12), seed=0):
    """Bright discs on black, uint8 [count, C, H, W]: each at its own place, of its own size."""
    rng = np.random.default_rng(seed)
    c, h, w = shape
    y, x = np.mgrid[:h, :w]
    images = np.zeros((count, c, h, w), np.uint8)
    for image in images:
        cy, cx, r = rng.uniform(2, h - 2), rng.uniform(2, w - 2), rng.uniform(1.5, 4)
        for channel in image:
            channel[(y - cy) ** 2 + (x - cx) ** 2 < r * r] = rng.integers(100, 256)
    return images


def data_file(folder, **how):
    """An .npz of `images` in `folder`."""
    path = folder / "discs.npz"
    np.savez(path, images=images(**how))
    return path


def train(folder, recipe="tutorial-dcgan", *, steps=6, name="run", overrides=None, **more):
    """A small finished run in `folder`."""
    data = more.pop("data", None) or data_file(folder)
    changed = {"scores": None, **TINY[recipe], **(overrides or {})}
    how = {"steps": steps, "overrides": changed, "device": "cpu", "threads": 1, "quiet": True}
    return ganvas.train(recipe, data, folder / name, **{**how, **more})


def words(recipe, overrides=None):
    """The same overrides for the command line."""
    changed = {"scores": None, **TINY[recipe], **(overrides or {})}
    return ["--threads", "1", *(w for k, v in changed.items() for w in ("--set", f"{k}={json.dumps(v)}"))]


def weights(run):
    """The bytes of every tensor in the newest checkpoint, by file."""
    folder = run.directory.checkpoints / f"{run.step:08d}"
    return {f.name: f.read_bytes() for f in folder.glob("*.safetensors")}
