"""The DCGAN tutorial on Fashion-MNIST: `tutorial-dcgan` with other data and another schedule.

The original is later run without "train": it restores the newest checkpoint, prints the
discriminator's verdict on one fixed fake before and after (`ganvas critique RUN`), and draws a new grid
(`ganvas sample RUN`).
"""

from ganvas.recipe import Recipe
from ganvas.recipes.tutorial_dcgan import recipe as tutorial_dcgan

recipe: Recipe = tutorial_dcgan.model_copy(
    update={
        "name": "fashion-dcgan",
        "summary": "the DCGAN tutorial on Fashion-MNIST, with a GIF that thins out",
        "data": "fashion-mnist",
        "length": "100 epochs",
        "checkpoint_every": "20 epochs",
        "animation": "thinned",
    }
)
