"""Two networks of plain torch.nn: a generator that resizes and convolves, and a small discriminator.

    ganvas train mlp --data mnist-5k --plugin examples/network.py \
        --set 'generator={"kind": "resize_conv", "width": 32}' \
        --set 'discriminator={"kind": "strided_conv", "width": 32}'

Enlarging by nearest neighbors and then convolving avoids the checkerboards of transposed convolutions.
Defining a subclass with a `kind` registers it; its fields are recipe keys, which are checked and may be set.

Source: Odena, Dumoulin and Olah 2016, doi 10.23915/distill.00003, "Better upsampling".
"""

from typing import Literal

from torch import nn

from ganvas.networks import DiscriminatorSpec, GeneratorSpec, ImageShape


class ResizeConvGenerator(GeneratorSpec):
    """z [N, Z] -> a quarter of the image's size -> half -> images [N, C, H, W]."""

    kind: Literal["resize_conv"] = "resize_conv"
    width: int = 32

    def build(self, image_shape: ImageShape, latent_size: int, pixel_range: tuple[int, int]) -> nn.Module:
        """In conditional training the class is a part of z already."""
        channels, height, width = image_shape
        small, half = (-(-height // 4), -(-width // 4)), (-(-height // 2), -(-width // 2))
        wide, narrow = 2 * self.width, self.width
        return nn.Sequential(
            nn.Linear(latent_size, wide * small[0] * small[1]),
            nn.Unflatten(1, (wide, *small)),
            nn.BatchNorm2d(wide),
            nn.ReLU(),
            nn.Upsample(size=half),
            nn.Conv2d(wide, narrow, 3, padding=1),
            nn.BatchNorm2d(narrow),
            nn.ReLU(),
            nn.Upsample(size=(height, width)),
            nn.Conv2d(narrow, channels, 3, padding=1),
            nn.Tanh() if pixel_range == (-1, 1) else nn.Sigmoid(),
        )


class StridedConvDiscriminator(DiscriminatorSpec):
    """Images [N, C, H, W] -> logits [N], or [N, K] where there are K classes."""

    kind: Literal["strided_conv"] = "strided_conv"
    width: int = 32

    def build(self, image_shape: ImageShape, classes: int = 0) -> nn.Module:
        """One logit per class: ganvas takes that of the image's own."""
        channels, height, width = image_shape
        inputs = 2 * self.width * -(-height // 4) * -(-width // 4)
        return nn.Sequential(
            nn.Conv2d(channels, self.width, 3, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(self.width, 2 * self.width, 3, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(inputs, classes or 1),
            nn.Identity() if classes else nn.Flatten(0),
        )
