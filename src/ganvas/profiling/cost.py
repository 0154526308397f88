"""What a recipe costs: parameters and operations, counted from its layers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from ganvas import recipes
from ganvas.networks import ImageShape
from ganvas.networks.layers import inference
from ganvas.networks.spectral_norm import own_parameters, raw_weight
from ganvas.recipes.schema import Recipe


@dataclass(frozen=True)
class Cost:
    """Trainable parameters, and MACs of one image's forward pass."""

    parameters: int
    macs: int


@dataclass(frozen=True)
class Layer:
    """One layer as a summary shows it: `output` is the shape behind the batch axis."""

    kind: str
    output: tuple[int, ...]
    cost: Cost


def network_layers(recipe: Recipe, image_shape: ImageShape) -> tuple[list[Layer], list[Layer]]:
    """The layers of the generator and of the discriminator for images of `image_shape`.

    Counted from the shapes that pass through, the padding's taps included; no number is computed.
    """
    with torch.device("meta"):
        generator = recipe.generator.build(image_shape, recipe.generator_input_size, recipe.pixel_range)
        discriminator = recipe.discriminator.build_conditional(image_shape, recipe.classes)
        z, image = torch.empty(1, recipe.generator_input_size), torch.empty(1, *image_shape)
    return _layers(generator, z), _layers(discriminator, image)


def _layers(network: nn.Module, example: torch.Tensor) -> list[Layer]:
    layers: list[Layer] = []

    def note(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        weights = sum(w.numel() for w in own_parameters(layer))
        cost = Cost(weights, _layer_macs(layer, inputs[0], output))
        layers.append(Layer(type(layer).__name__, tuple(output.shape[1:]), cost))

    for name, layer in network.named_modules():
        if "parametrizations" in name.split("."):  # how a weight is normalized is no layer
            continue
        inner = [child for child, _ in layer.named_children() if child != "parametrizations"]
        if not isinstance(layer, nn.Identity) and (not inner or own_parameters(layer)):
            layer.register_forward_hook(note)
    with inference(network):
        network(example)
    return layers


def _layer_macs(layer: nn.Module, x: torch.Tensor, y: torch.Tensor) -> int:
    if isinstance(layer, nn.ConvTranspose2d):  # every input pixel meets the whole kernel
        return x[0, 0].numel() * raw_weight(layer).numel()
    if isinstance(layer, nn.Conv2d):  # every output pixel does
        return y[0, 0].numel() * raw_weight(layer).numel()
    return raw_weight(layer).numel() if isinstance(layer, nn.Linear) else 0


def total_cost(network: list[Layer]) -> Cost:
    """Parameters and MACs of all layers."""
    weights = sum(layer.cost.parameters for layer in network)
    return Cost(weights, sum(layer.cost.macs for layer in network))


def layer_table(recipe: Recipe, image_shape: ImageShape) -> list[str]:
    """The joined model, layer by layer: kind, output shape, parameters, MACs an image."""
    lines = [f"{'layer':<22}{'output':>16}{'parameters':>13}{'MACs':>16}"]
    for title, network in zip(
        ("generator", "discriminator"), network_layers(recipe, image_shape), strict=True
    ):
        both = total_cost(network)
        lines += [title]
        for layer in network:
            shape = " x ".join(map(str, layer.output)) or "1"
            c = layer.cost
            lines.append(f"  {layer.kind:<20}{shape:>16}{c.parameters:>13,}{c.macs:>16,}")
        lines.append(f"  {'in all':<36}{both.parameters:>13,}{both.macs:>16,}")
    return lines


def recipe_table() -> list[str]:
    """The lines of `ganvas recipes`."""
    lines = []
    for name in recipes.recipe_names():
        recipe = recipes.load_recipe(name)
        side = recipe.image_size or 28
        g, d = map(total_cost, network_layers(recipe, (1, side, side)))
        split = {"train": "training set", "test": "test set", "all": "training and test set"}
        lines += [
            f"{name}: {recipe.summary}",
            f"    source  {recipe.source}",
            f"    data    {recipe.data}, {split[recipe.split]}",
            f"    length  {recipe.length}, batches of {recipe.batch_size}",
            f"    cost    G {g.parameters / 1e6:.2f} M parameters, {g.macs / 1e6:.1f} M MACs an "
            f"image; D {d.parameters / 1e6:.2f} M, {d.macs / 1e6:.1f} M",
        ]
    return [
        *lines,
        "",
        "One as JSON: ganvas recipes show NAME; its layers: ganvas recipes layers NAME.",
        "Change a value: ganvas train NAME --set KEY=VALUE",
    ]
