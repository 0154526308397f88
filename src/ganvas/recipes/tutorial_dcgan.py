"""TensorFlow's DCGAN tutorial on MNIST.

Source: tensorflow.org/tutorials/generative/dcgan. One forward pass feeds both players; the last,
partial batch of real images meets a whole batch of fakes.
"""

from ganvas.networks import (
    BatchNorm,
    Convolution,
    ConvolutionalDiscriminator,
    ConvolutionalGenerator,
    ToImage,
)
from ganvas.recipe import Adam, Grid, Recipe

recipe = Recipe(
    name="tutorial-dcgan",
    summary="TensorFlow's DCGAN tutorial on MNIST",
    source="https://www.tensorflow.org/tutorials/generative/dcgan",
    data="mnist",
    image_size=28,
    pixel_range=(-1, 1),
    batch_size=256,
    generator=ConvolutionalGenerator(
        base=256,
        layers=(
            Convolution(channels=128, kernel=5, stride=1),
            Convolution(channels=64, kernel=5, stride=2),
        ),
        to_image=ToImage(kernel=5, stride=2),
        slope=0.3,
        bias=False,
        batch_norm=BatchNorm(),
    ),
    discriminator=ConvolutionalDiscriminator(
        layers=(
            Convolution(channels=64, kernel=5, stride=2),
            Convolution(channels=128, kernel=5, stride=2),
        ),
        slope=0.3,
        dropout=0.3,
    ),
    generator_optimizer=Adam(learning_rate=1e-4),
    discriminator_optimizer=Adam(learning_rate=1e-4),
    length="50 epochs",
    checkpoint_every="15 epochs",
    grid=Grid(rows=4, columns=4, every="1 epoch"),
)
