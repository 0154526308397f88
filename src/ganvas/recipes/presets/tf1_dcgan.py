"""The TensorFlow 1 DCGAN on all 70,000 MNIST digits, shuffled once.

Source: the TensorFlow 1 ports of Radford et al. 2016 (carpedm20/DCGAN-tensorflow and its descendants), with
their quirks: linear biases that start at the layer's width, a generator five times faster than the
discriminator, and the same z for both players' turns.

Expect: FID 13 ± 3 after 660 steps, two minutes on two processor cores (docs/scores.md).
"""

from ganvas.networks import BatchNorm, ConvLayer, DCGANDiscriminator, DCGANGenerator, Init, OutputLayer
from ganvas.recipes.optimizers import Adam
from ganvas.recipes.schema import DataOrder, Grid, Latent, Recipe, Update

_norm = BatchNorm(momentum=0.9, epsilon=1e-5)
_init = Init(rule="truncated_normal", std=0.02, linear_bias="width")

recipe = Recipe(
    name="tf1-dcgan",
    summary="the TensorFlow 1 DCGAN on all 70,000 MNIST digits",
    source="Radford et al. 2016, arXiv 1511.06434, as ported to TensorFlow 1",
    data="mnist",
    split="all",
    image_size=28,
    pixel_range=(0, 1),
    data_order=DataOrder(order="shuffle_once", drop_last=True),
    batch_size=256,
    latent=Latent(size=100, distribution="uniform"),
    generator=DCGANGenerator(
        hidden=(1024,),
        base_channels=128,
        layers=(ConvLayer(channels=64, kernel=4, stride=2),),
        output_layer=OutputLayer(kernel=4, stride=2),
        negative_slope=0,
        batch_norm=_norm,
        init=_init,
    ),
    discriminator=DCGANDiscriminator(
        layers=(
            ConvLayer(channels=64, kernel=4, stride=2),
            ConvLayer(channels=128, kernel=4, stride=2),
        ),
        hidden=(1024,),
        negative_slope=0.2,
        batch_norm=_norm,
        init=_init,
    ),
    generator_optimizer=Adam(learning_rate=1e-3, beta1=0.5, epsilon=1e-8),
    discriminator_optimizer=Adam(learning_rate=2e-4, beta1=0.5, epsilon=1e-8),
    update=Update(rule="alternating", reuse_latents=True),
    length="100 epochs",
    checkpoint_interval="10 epochs",
    log_interval="1 step",
    grid=Grid(rows=2, columns=5, interval="1 epoch"),
    tensorboard=True,
)
