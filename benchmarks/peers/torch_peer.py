"""The classic recipes in plain PyTorch, as users port them; prints seconds a step as JSON.

    python torch_peer.py RECIPE STEPS WARM_UP

`nn.Sequential` networks, `nn.Dropout`, `BCEWithLogitsLoss`, `torch.optim.Adam`, a shuffling `DataLoader`,
`loss.backward()` twice through D, losses read with `.item()` each step: what the common ports do. Padding is
symmetric, as they have it; the work is the same.
"""

import json
import sys
import time

import torch
from torch import nn


def leaky(slope):
    return nn.LeakyReLU(slope)


def tutorial_dcgan():
    g = nn.Sequential(
        nn.Linear(100, 7 * 7 * 256, bias=False), nn.BatchNorm1d(7 * 7 * 256), leaky(0.3),
        nn.Unflatten(1, (256, 7, 7)),
        nn.ConvTranspose2d(256, 128, 5, 1, 2, bias=False), nn.BatchNorm2d(128), leaky(0.3),
        nn.ConvTranspose2d(128, 64, 5, 2, 2, 1, bias=False), nn.BatchNorm2d(64), leaky(0.3),
        nn.ConvTranspose2d(64, 1, 5, 2, 2, 1, bias=False), nn.Tanh(),
    )  # fmt: skip
    d = nn.Sequential(
        nn.Conv2d(1, 64, 5, 2, 2), leaky(0.3), nn.Dropout(0.3),
        nn.Conv2d(64, 128, 5, 2, 2), leaky(0.3), nn.Dropout(0.3), nn.Flatten(), nn.Linear(7 * 7 * 128, 1),
    )  # fmt: skip
    return g, d


def keras_cnn():
    g = nn.Sequential(
        nn.Linear(100, 128 * 49), leaky(0.2), nn.Unflatten(1, (128, 7, 7)),
        nn.ConvTranspose2d(128, 128, 4, 2, 1), leaky(0.2), nn.ConvTranspose2d(128, 128, 4, 2, 1), leaky(0.2),
        nn.Conv2d(128, 1, 7, 1, 3), nn.Sigmoid(),
    )  # fmt: skip
    d = nn.Sequential(
        nn.Conv2d(1, 64, 3, 2, 1), leaky(0.2), nn.Dropout(0.4),
        nn.Conv2d(64, 64, 3, 2, 1), leaky(0.2), nn.Dropout(0.4), nn.Flatten(), nn.Linear(49 * 64, 1),
    )  # fmt: skip
    return g, d


def mlp():
    layers, inputs = [], 100
    for width in (256, 512, 1024):
        layers += [nn.Linear(inputs, width), leaky(0.2), nn.BatchNorm1d(width)]
        inputs = width
    g = nn.Sequential(*layers, nn.Linear(1024, 784), nn.Tanh(), nn.Unflatten(1, (1, 28, 28)))
    d = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 512), leaky(0.2), nn.Linear(512, 256), leaky(0.2), nn.Linear(256, 1)
    )
    return g, d


def tf1_dcgan():
    g = nn.Sequential(
        nn.Linear(100, 1024), nn.BatchNorm1d(1024), nn.ReLU(),
        nn.Linear(1024, 128 * 49), nn.BatchNorm1d(128 * 49), nn.ReLU(), nn.Unflatten(1, (128, 7, 7)),
        nn.ConvTranspose2d(128, 64, 4, 2, 1), nn.BatchNorm2d(64), nn.ReLU(),
        nn.ConvTranspose2d(64, 1, 4, 2, 1), nn.Sigmoid(),
    )  # fmt: skip
    d = nn.Sequential(
        nn.Conv2d(1, 64, 4, 2, 1), leaky(0.2), nn.Conv2d(64, 128, 4, 2, 1), nn.BatchNorm2d(128), leaky(0.2),
        nn.Flatten(), nn.Linear(128 * 49, 1024), nn.BatchNorm1d(1024), leaky(0.2), nn.Linear(1024, 1),
    )  # fmt: skip
    return g, d


RECIPES = {  # networks, rule, G's and D's learning rate, beta1, images a batch, real images a batch
    "tutorial-dcgan": (tutorial_dcgan, "simultaneous", 1e-4, 1e-4, 0.9, 256, 256),
    "keras-cnn": (keras_cnn, "mixed", 2e-4, 2e-4, 0.5, 256, 128),
    "mlp": (mlp, "separate", 2e-4, 2e-4, 0.5, 1024, 1024),
    "tf1-dcgan": (tf1_dcgan, "alternating", 1e-3, 2e-4, 0.5, 256, 256),
}


def main():
    name, steps, warmup = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    networks, rule, rate_g, rate_d, beta1, batch, reals = RECIPES[name]
    g, d = networks()
    ce = nn.BCEWithLogitsLoss()
    go = torch.optim.Adam(g.parameters(), rate_g, (beta1, 0.999))
    do = torch.optim.Adam(d.parameters(), rate_d, (beta1, 0.999))
    images = torch.utils.data.TensorDataset(torch.rand(60_000, 1, 28, 28))

    def forever():
        while True:
            yield from torch.utils.data.DataLoader(images, reals, shuffle=True, drop_last=True)

    def bce(logits, target):
        return ce(logits, torch.full_like(logits, target))

    def discriminator_turn(real, fake):
        do.zero_grad()
        if rule == "mixed":
            r, f = d(torch.cat([real, fake])).chunk(2)
            (bce(r, 1.0) + bce(f, 0.0)).div(2).backward()
            do.step()
        elif rule == "separate":
            bce(d(real), 1.0).backward()
            do.step()
            do.zero_grad()
            bce(d(fake), 0.0).backward()
            do.step()
        else:
            loss = bce(d(real), 1.0) + bce(d(fake), 0.0)
            loss.backward()
            do.step()

    def one_step(real):
        z = torch.randn(batch, 100)
        fake = g(z[: len(real)] if rule == "mixed" else z)
        discriminator_turn(real, fake.detach())
        go.zero_grad()
        if rule in ("mixed", "separate"):
            fake = g(torch.randn(batch, 100))
        loss = bce(d(fake), 1.0)
        loss.backward()
        go.step()
        return loss.item()

    seconds = []
    for i, (real,) in enumerate(forever()):
        if i == warmup + steps:
            break
        began = time.perf_counter()
        one_step(real)
        seconds.append(time.perf_counter() - began)
    print(json.dumps({"version": f"PyTorch {torch.__version__}", "seconds": seconds[warmup:]}))


if __name__ == "__main__":
    main()
