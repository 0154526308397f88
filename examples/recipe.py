"""A recipe: a relativistic GAN with both gradient penalties, of fully connected networks.

    ganvas train examples/recipe.py --data mnist-5k

`ganvas recipes show examples/recipe.py` prints all of its values, `--set KEY=VALUE` changes one.

Source: Huang et al. 2024 (R3GAN), arXiv 2501.05441, equation 2, with R1 and R2 and Adam without momentum;
their networks are convolutional.
"""

from ganvas.networks import MLPDiscriminator, MLPGenerator
from ganvas.recipes.optimizers import Adam
from ganvas.recipes.schema import Penalty, Recipe

recipe = Recipe(
    name="relativistic-mlp",
    summary="a small relativistic GAN with R1 and R2",
    source="Huang et al. 2024, arXiv 2501.05441",
    batch_size=64,
    generator=MLPGenerator(hidden=(256, 256), batch_norm=None),
    discriminator=MLPDiscriminator(hidden=(256, 256)),
    objective="relativistic",
    penalties=(Penalty(kind="r1", weight=1), Penalty(kind="r2", weight=1)),
    generator_optimizer=Adam(learning_rate=2e-4, beta1=0, beta2=0.99),
    discriminator_optimizer=Adam(learning_rate=2e-4, beta1=0, beta2=0.99),
    ema=0.999,
    length="5000 steps",
)
