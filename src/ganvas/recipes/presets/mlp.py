"""The fully connected GAN on MNIST, in the shape of the Keras-GAN collection.

Source: Goodfellow et al. 2014, arXiv 1406.2661; github.com/eriklindernoren/Keras-GAN, gan.py. The
discriminator takes two steps an iteration, on real images and then on fakes; what is reported is their mean.

Expect: FID 124 ± 5 after 3,000 steps, two minutes on two processor cores (docs/scores.md).
"""

from ganvas.networks import MLPDiscriminator, MLPGenerator
from ganvas.recipes.optimizers import Adam
from ganvas.recipes.schema import DataOrder, Grid, Recipe, Update

recipe = Recipe(
    name="mlp",
    summary="the fully connected GAN on MNIST",
    source="Goodfellow et al. 2014, arXiv 1406.2661; Keras-GAN's gan.py",
    data="mnist",
    image_size=28,
    pixel_range=(-1, 1),
    data_order=DataOrder(order="with_replacement", drop_last=True),
    batch_size=1024,
    generator=MLPGenerator(),
    discriminator=MLPDiscriminator(),
    generator_optimizer=Adam(learning_rate=2e-4, beta1=0.5),
    discriminator_optimizer=Adam(learning_rate=2e-4, beta1=0.5),
    update=Update(rule="alternating_separate", generator_mode="eval"),
    length="10000 steps",
    checkpoint_interval="1000 steps",
    log_interval="100 steps",
    grid=Grid(rows=5, columns=5, interval="1000 steps", latents="new"),
)
