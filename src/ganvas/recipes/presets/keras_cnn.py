"""The Keras CNN GAN on MNIST: pixels in [0, 1], no batch norm, half real and half fake in one batch.

Source: the widely copied Keras tutorial "How to develop a GAN for generating MNIST handwritten digits"
(machinelearningmastery.com). Latent sizes 10, 50 and 500 work as well: `--set latent.size=500`.

Expect: FID 142 ± 42 after 260 steps, two minutes on two processor cores (docs/scores.md).
"""

from ganvas.networks import ConvLayer, DCGANDiscriminator, DCGANGenerator, OutputLayer
from ganvas.recipes.optimizers import Adam
from ganvas.recipes.schema import AccuracyProbe, DataOrder, Grid, Recipe, Update

recipe = Recipe(
    name="keras-cnn",
    summary="the Keras CNN GAN on MNIST",
    source="machinelearningmastery.com: how to develop a GAN for MNIST digits from scratch in Keras",
    data="mnist",
    image_size=28,
    pixel_range=(0, 1),
    data_order=DataOrder(order="with_replacement", drop_last=True),
    batch_size=256,
    generator=DCGANGenerator(
        base_channels=128,
        layers=(
            ConvLayer(channels=128, kernel=4, stride=2),
            ConvLayer(channels=128, kernel=4, stride=2),
        ),
        output_layer=OutputLayer(kernel=7, transposed=False),
        negative_slope=0.2,
    ),
    discriminator=DCGANDiscriminator(
        layers=(
            ConvLayer(channels=64, kernel=3, stride=2),
            ConvLayer(channels=64, kernel=3, stride=2),
        ),
        negative_slope=0.2,
        dropout=0.4,
    ),
    generator_optimizer=Adam(learning_rate=2e-4, beta1=0.5),
    discriminator_optimizer=Adam(learning_rate=2e-4, beta1=0.5),
    update=Update(rule="alternating_joint", generator_mode="eval"),
    length="100 epochs",
    checkpoint_interval="10 epochs",
    grid=Grid(rows=10, columns=10, interval="10 epochs", latents="new", invert=True),
    accuracy_probe=AccuracyProbe(images=100, interval="10 epochs"),
    generator_interval="10 epochs",
)
