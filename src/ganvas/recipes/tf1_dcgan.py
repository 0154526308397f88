"""The TensorFlow 1 DCGAN on all 70,000 MNIST digits, shuffled once.

Source: the TensorFlow 1 ports of Radford et al. 2016 (carpedm20/DCGAN-tensorflow and its descendants), with
their quirks: linear biases that start at the layer's width, a generator five times faster than the
discriminator, and the same z for both players' turns.
"""

from ganvas.networks import (
    BatchNorm,
    Convolution,
    ConvolutionalDiscriminator,
    ConvolutionalGenerator,
    ToImage,
    Weights,
)
from ganvas.recipe import Adam, Grid, Latent, Recipe, Sampling, Update

_norm = BatchNorm(momentum=0.9, epsilon=1e-5)
_weights = Weights(rule="truncated_normal", deviation=0.02, linear_bias="width")

recipe = Recipe(
    name="tf1-dcgan",
    summary="the TensorFlow 1 DCGAN on all 70,000 MNIST digits",
    source="Radford et al. 2016, arXiv 1511.06434, as ported to TensorFlow 1",
    data="mnist",
    split="all",
    image_size=28,
    pixel_range=(0, 1),
    sampling=Sampling(order="shuffled_once", partial_batch="drop"),
    batch_size=256,
    latent=Latent(size=100, distribution="uniform"),
    generator=ConvolutionalGenerator(
        hidden=(1024,),
        base=128,
        layers=(Convolution(channels=64, kernel=4, stride=2),),
        to_image=ToImage(kernel=4, stride=2),
        slope=0,
        batch_norm=_norm,
        weights=_weights,
    ),
    discriminator=ConvolutionalDiscriminator(
        layers=(
            Convolution(channels=64, kernel=4, stride=2),
            Convolution(channels=128, kernel=4, stride=2),
        ),
        hidden=(1024,),
        slope=0.2,
        batch_norm=_norm,
        weights=_weights,
    ),
    generator_optimizer=Adam(learning_rate=1e-3, beta1=0.5, epsilon=1e-8),
    discriminator_optimizer=Adam(learning_rate=2e-4, beta1=0.5, epsilon=1e-8),
    update=Update(rule="alternating", reuse_latents=True),
    length="100 epochs",
    checkpoint_every="10 epochs",
    log_every="1 step",
    grid=Grid(rows=2, columns=5, every="1 epoch"),
    tensorboard=True,
)
