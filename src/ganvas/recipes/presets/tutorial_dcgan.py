"""TensorFlow's DCGAN tutorial on MNIST.

Source: tensorflow.org/tutorials/generative/dcgan. One forward pass feeds both players; the last,
partial batch of real images meets a whole batch of fakes.

Expect: FID 159 ± 28 after 500 steps, two minutes on two processor cores; 16.9 at best in the full 50 epochs,
at 29 s an epoch in bf16 (docs/scores.md).
"""

from ganvas.networks import BatchNorm, ConvLayer, DCGANDiscriminator, DCGANGenerator, OutputLayer
from ganvas.recipes.optimizers import Adam
from ganvas.recipes.schema import Grid, Recipe

recipe = Recipe(
    name="tutorial-dcgan",
    summary="TensorFlow's DCGAN tutorial on MNIST",
    source="https://www.tensorflow.org/tutorials/generative/dcgan",
    data="mnist",
    image_size=28,
    pixel_range=(-1, 1),
    batch_size=256,
    generator=DCGANGenerator(
        base_channels=256,
        layers=(
            ConvLayer(channels=128, kernel=5, stride=1),
            ConvLayer(channels=64, kernel=5, stride=2),
        ),
        output_layer=OutputLayer(kernel=5, stride=2),
        negative_slope=0.3,
        bias=False,
        batch_norm=BatchNorm(),
    ),
    discriminator=DCGANDiscriminator(
        layers=(
            ConvLayer(channels=64, kernel=5, stride=2),
            ConvLayer(channels=128, kernel=5, stride=2),
        ),
        negative_slope=0.3,
        dropout=0.3,
    ),
    generator_optimizer=Adam(learning_rate=1e-4),
    discriminator_optimizer=Adam(learning_rate=1e-4),
    length="50 epochs",
    checkpoint_interval="15 epochs",
    grid=Grid(rows=4, columns=4, interval="1 epoch"),
)
