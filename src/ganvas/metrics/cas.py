"""The accuracy on real images of a classifier that was trained on generated ones.

Source: Ravuri and Vinyals 2019, arXiv 1905.10887 (Classification Accuracy Score). Theirs is a ResNet-50 on
ImageNet; here it is a small fixed network, so that a score takes a minute on a laptop.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganvas.errors import DataError
from ganvas.metrics import common

SIDE = 32  # images are resized to this; those of 28 pixels are not, so that MNIST is not blurred
BATCH = 128
LEARNING_RATE = 3e-3  # the peak of a one-cycle schedule


def classification_accuracy(
    train_images: Tensor,
    train_labels: Tensor,
    test_images: Tensor,
    test_labels: Tensor,
    *,
    classes: int,
    seed: int = 0,
    epochs: int = 5,
) -> float:
    """Train a fixed small network on the given (generated) images; its accuracy on the real test images.

    A function of the seed on one machine with one number of threads; the global random numbers are not
    touched. Print the accuracy of training on as many real images beside it: 98.3% for 10,000 of MNIST's
    training images and seed 0, 87.7% for Fashion-MNIST's.

    Args:
        train_images: uint8 [N, C, H, W], C 1 or 3, H and W 8 to 256.
        train_labels: int64 [N], each within [0, classes).
        test_images: uint8 [M, C, H, W].
        test_labels: int64 [M].
        classes: their number, at least 2.
        seed: of the initial parameters and the order of the images.
        epochs: passes over the training images.

    Returns:
        Fraction of the test images that are classified correctly.

    Raises:
        DataError: images or labels of another shape, type or range.
        UserError: fewer than 2 classes or 1 epoch.
    """
    common.check_int(classes, "classes", at_least=2)
    common.check_int(epochs, "epochs", at_least=1)
    _check_images(train_images, train_labels, "train")
    _check_images(test_images, test_labels, "test")
    if train_images.shape[1:] != test_images.shape[1:]:
        raise DataError(
            f"test_images: expected {list(train_images.shape[1:])} as the training images, "
            f"got {list(test_images.shape[1:])}; resize both to one size"
        )
    labels = common.check_labels(train_labels, "train_labels", below=classes)
    expected = common.check_labels(test_labels, "test_labels", below=classes)
    network = _train(train_images, labels, classes, seed, epochs)
    with torch.inference_mode():
        correct = sum(
            int((network(_preprocess(images)).argmax(dim=1) == answer).sum())
            for images, answer in zip(test_images.split(500), expected.split(500), strict=True)
        )
    return correct / len(expected)


def _train(images: Tensor, labels: Tensor, classes: int, seed: int, epochs: int) -> nn.Module:
    """The network after `epochs` over the images, in inference mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _network(images.shape[1], classes)
    network.to(images.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    order = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
    steps = -(-len(images) // BATCH) * epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps + 1)
    with torch.enable_grad():
        for _ in range(epochs):
            for rows in torch.randperm(len(images), generator=order).to(images.device).split(BATCH):
                loss = F.cross_entropy(network(_preprocess(images[rows])), labels[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
    network.eval()
    return network


def _network(channels: int, classes: int) -> nn.Sequential:
    """Three stages of convolution, batch norm, ReLU and pooling; global average pooling; a linear layer."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((channels, 32), (32, 64), (64, 128)):
        layers += [
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.MaxPool2d(2),
        ]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, classes))


def _preprocess(images: Tensor) -> Tensor:
    """Images uint8 [N, C, H, W] -> float32 [N, C, S, S] in [-1, 1], S 28 or 32."""
    x = images.float() / 127.5 - 1
    if images.shape[2:] not in ((28, 28), (SIDE, SIDE)):
        x = F.interpolate(x, size=(SIDE, SIDE), mode="bilinear", antialias=True)
    return x.contiguous(memory_format=torch.channels_last)


def _check_images(images: Tensor, labels: Tensor, name: str) -> None:
    if (
        images.ndim != 4
        or images.dtype != torch.uint8
        or images.shape[1] not in (1, 3)
        or not all(8 <= side <= 256 for side in images.shape[2:])
    ):
        raise DataError(
            f"{name}_images: expected uint8 [N, 1 or 3, H, W] of 8 to 256 pixels, "
            f"got {str(images.dtype).removeprefix('torch.')} {list(images.shape)}; convert them"
        )
    if len(images) < 2 or len(labels) != len(images):
        raise DataError(
            f"{name}_images: expected at least 2 images and a label for each, "
            f"got {len(images)} and {len(labels)} labels; pass one label for each image"
        )
