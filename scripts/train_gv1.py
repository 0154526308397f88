"""Train gv1, the feature network that ships inside ganvas, and print its accuracies and SHA-256.

    GANVAS_DATA=... python scripts/train_gv1.py

Data: the official training splits of MNIST and Fashion-MNIST together, 120,000 images of 20 classes; the
test splits are only measured at the end. No augmentation: features that forgive a shift or noise could
not see them in a generator. About fifteen minutes on two cores with bf16. The result depends on the machine's
arithmetic, so running it again gives another network with another name: gv1 is the file in the package.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import time
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ganvas import load_dataset
from ganvas.features.gv1 import FIRST_CLASS, Gv1

OUT = Path(__file__).parents[1] / "src" / "ganvas" / "features" / "gv1.safetensors"
SETS = ("mnist", "fashion-mnist")


def convolutions(plain: Gv1) -> list[nn.Conv2d]:
    """The convolutions, from the image on."""
    return [layer for layer in plain.convolutions if isinstance(layer, nn.Conv2d)]


class Training(nn.Module):
    """Gv1 with what only training needs: batch norm after each convolution, dropout on the features."""

    def __init__(self, plain: Gv1) -> None:
        super().__init__()
        self.plain = plain
        self.norms = nn.ModuleList([nn.BatchNorm2d(c.out_channels) for c in convolutions(plain)])

    def features(self, x: Tensor) -> Tensor:
        """Images float32 [N, 1, 28, 28] -> features [N, 128]."""
        for convolution, norm in zip(self.plain.convolutions, self.norms, strict=True):
            x = F.relu(norm(convolution(x)))
        found: Tensor = self.plain.hidden(F.avg_pool2d(x, 3, stride=2).flatten(1))
        return found

    def forward(self, x: Tensor) -> Tensor:
        """Images -> logits [N, 20]."""
        return self.plain.logits(F.dropout(self.features(x), 0.3, self.training))


def split(name: str) -> tuple[Tensor, Tensor]:
    """Images uint8 [N, 1, 28, 28] and labels int64 [N] of both sets, Fashion-MNIST's from 10 on."""
    found = [load_dataset(data, split=name) for data in SETS]
    labels = [s.labels + FIRST_CLASS[s.name] for s in found if s.labels is not None]
    images = np.concatenate([s.images for s in found])
    return torch.from_numpy(images), torch.from_numpy(np.concatenate(labels))


def scaled(images: Tensor) -> Tensor:
    """uint8 -> float32 in [0, 1], channels last."""
    return (images.float() / 255).contiguous(memory_format=torch.channels_last)


def train(images: Tensor, labels: Tensor, epochs: int, batch: int, seed: int) -> Training:
    """The averaged network after `epochs`."""
    torch.manual_seed(seed)
    network = Training(Gv1()).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.999), use_buffers=True)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.05)
    steps = len(images) // batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=epochs * steps)
    began = time.perf_counter()
    for epoch in range(epochs):
        losses = []
        for index in torch.randperm(len(images))[: steps * batch].split(batch):
            with torch.autocast("cpu", torch.bfloat16):
                loss = F.cross_entropy(network(scaled(images[index])), labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            average.update_parameters(network)
            losses.append(loss.detach())
        mean = torch.stack(losses).mean()
        print(f"epoch {epoch + 1}  loss {mean:.4f}  {time.perf_counter() - began:.0f} s", flush=True)
    module = average.module
    assert isinstance(module, Training)
    return module.eval()


@torch.no_grad()
def folded(network: Training, images: Tensor) -> Gv1:
    """The plain network with the batch norms in its convolutions and features of mean variance 1."""
    plain = copy.deepcopy(network.plain)
    for convolution, norm in zip(convolutions(plain), network.norms, strict=True):
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        assert convolution.bias is not None
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        convolution.weight.mul_(scale.view(-1, 1, 1, 1))
        convolution.bias.sub_(norm.running_mean).mul_(scale).add_(norm.bias)
    features = torch.cat([plain(scaled(part)) for part in images.split(500)])
    size = features.var(0).mean().sqrt()
    plain.hidden.weight.div_(size)
    plain.hidden.bias.div_(size)
    plain.classes.weight.mul_(size)  # a ReLU lies between: the logits stay as they are
    return plain


@torch.no_grad()
def accuracies(network: Gv1) -> dict[str, float]:
    """Share of right answers on each test split, among all 20 classes."""
    images, labels = split("test")
    logits = torch.cat([network.logits(network(scaled(part))) for part in images.split(500)])
    right = (logits.argmax(1) == labels).float().chunk(2)
    return {name: float(part.mean()) for name, part in zip(SETS, right, strict=True)}


def main() -> None:
    """Train, fold, measure, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    images, labels = split("train")
    network = folded(train(images, labels, a.epochs, a.batch, a.seed), images)
    for name, accuracy in accuracies(network).items():
        print(f"{name} test accuracy {accuracy:.2%}")
    content = safetensors.torch.save({k: v.contiguous() for k, v in network.state_dict().items()})
    a.out.write_bytes(content)
    print(f"{a.out}: {len(content):,} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
