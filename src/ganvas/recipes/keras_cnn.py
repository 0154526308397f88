"""The Keras CNN GAN on MNIST: pixels in [0, 1], no batch norm, half real and half fake in one batch.

Source: the widely copied Keras tutorial "How to develop a GAN for generating MNIST handwritten digits"
(machinelearningmastery.com). Latent sizes 10, 50 and 500 work as well: `--set latent.size=500`.
"""

from ganvas.networks import (
    Convolution,
    ConvolutionalDiscriminator,
    ConvolutionalGenerator,
    ToImage,
)
from ganvas.recipe import Adam, Grid, Recipe, Sampling, Update, Verdict

recipe = Recipe(
    name="keras-cnn",
    summary="the Keras CNN GAN on MNIST",
    source="machinelearningmastery.com: how to develop a GAN for MNIST digits from scratch in Keras",
    data="mnist",
    image_size=28,
    pixel_range=(0, 1),
    sampling=Sampling(order="with_replacement", partial_batch="drop"),
    batch_size=256,
    generator=ConvolutionalGenerator(
        base=128,
        layers=(
            Convolution(channels=128, kernel=4, stride=2),
            Convolution(channels=128, kernel=4, stride=2),
        ),
        to_image=ToImage(kernel=7, transposed=False),
        slope=0.2,
    ),
    discriminator=ConvolutionalDiscriminator(
        layers=(
            Convolution(channels=64, kernel=3, stride=2),
            Convolution(channels=64, kernel=3, stride=2),
        ),
        slope=0.2,
        dropout=0.4,
    ),
    generator_optimizer=Adam(learning_rate=2e-4, beta1=0.5),
    discriminator_optimizer=Adam(learning_rate=2e-4, beta1=0.5),
    update=Update(rule="alternating_mixed", fakes="inference"),
    length="100 epochs",
    checkpoint_every="10 epochs",
    grid=Grid(rows=10, columns=10, every="10 epochs", latents="new", inverted=True),
    verdict=Verdict(images=100, every="10 epochs"),
    generator_every="10 epochs",
)
