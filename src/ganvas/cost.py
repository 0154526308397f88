"""What a recipe costs: weights and operations, counted from its layers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from ganvas import recipes
from ganvas.networks import ImageShape
from ganvas.networks.layers import inference
from ganvas.recipe import Recipe


@dataclass(frozen=True)
class Cost:
    """Trainable weights, and multiply-adds of one image's forward pass."""

    weights: int
    multiply_adds: int


def of_networks(recipe: Recipe, image_shape: ImageShape) -> tuple[Cost, Cost]:
    """Costs of the generator and of the discriminator for images of `image_shape`.

    Counted from the shapes that pass through each layer, the padding's taps included; no number is computed.
    """
    with torch.device("meta"):
        generator = recipe.generator.build(image_shape, recipe.latent.size, recipe.pixel_range)
        discriminator = recipe.discriminator.build(image_shape)
        z, image = torch.empty(1, recipe.latent.size), torch.empty(1, *image_shape)
    return _cost(generator, z), _cost(discriminator, image)


def _cost(network: nn.Module, example: torch.Tensor) -> Cost:
    counted = 0

    def count(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal counted
        weight = layer.weight
        assert isinstance(weight, torch.Tensor)
        if isinstance(layer, nn.ConvTranspose2d):  # every input pixel meets the whole kernel
            counted += inputs[0][0, 0].numel() * weight.numel()
        elif isinstance(layer, nn.Conv2d):  # every output pixel does
            counted += output[0, 0].numel() * weight.numel()
        else:
            counted += weight.numel()

    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            layer.register_forward_hook(count)
    with inference(network):
        network(example)
    return Cost(sum(p.numel() for p in network.parameters()), counted)


def table() -> list[str]:
    """The lines of `ganvas recipes`."""
    lines = []
    for name in recipes.names():
        recipe = recipes.find(name)
        side = recipe.image_size or 28
        g, d = of_networks(recipe, (1, side, side))
        split = {"train": "training set", "test": "test set", "all": "training and test set"}
        lines += [
            f"{name}: {recipe.summary}",
            f"    source  {recipe.source}",
            f"    data    {recipe.data}, {split[recipe.split]}",
            f"    length  {recipe.length}, batches of {recipe.batch_size}",
            f"    cost    G {g.weights / 1e6:.2f} M weights, {g.multiply_adds / 1e6:.1f} M multiply-adds an "
            f"image; D {d.weights / 1e6:.2f} M, {d.multiply_adds / 1e6:.1f} M",
        ]
    return [
        *lines,
        "",
        "One as JSON: ganvas recipes show NAME. Change a value: ganvas train NAME --set KEY=VALUE",
    ]
