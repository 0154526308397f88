"""The fully connected GAN on MNIST, in the shape of the Keras-GAN collection.

Source: Goodfellow et al. 2014, arXiv 1406.2661; github.com/eriklindernoren/Keras-GAN, gan.py. The
discriminator takes two steps an iteration, on real images and then on fakes; what is reported is their mean.
"""

from ganvas.networks import DenseDiscriminator, DenseGenerator
from ganvas.recipe import Adam, Grid, Recipe, Sampling, Update

recipe = Recipe(
    name="mlp",
    summary="the fully connected GAN on MNIST",
    source="Goodfellow et al. 2014, arXiv 1406.2661; Keras-GAN's gan.py",
    data="mnist",
    image_size=28,
    pixel_range=(-1, 1),
    sampling=Sampling(order="with_replacement", partial_batch="drop"),
    batch_size=1024,
    generator=DenseGenerator(),
    discriminator=DenseDiscriminator(),
    generator_optimizer=Adam(learning_rate=2e-4, beta1=0.5),
    discriminator_optimizer=Adam(learning_rate=2e-4, beta1=0.5),
    update=Update(rule="alternating_separate", fakes="inference"),
    length="10000 steps",
    checkpoint_every="1000 steps",
    log_every="100 steps",
    grid=Grid(rows=5, columns=5, every="1000 steps", latents="new"),
)
