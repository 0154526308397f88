"""The DCGAN tutorial on Fashion-MNIST: `tutorial-dcgan` with other data and another schedule.

The original is later run without "train": it restores the newest checkpoint, prints the
discriminator's logits for one fixed fake before and after (`ganvas discriminate RUN`), and makes a new grid
(`ganvas sample RUN`).

Expect: FID 77 ± 21 after 500 steps, two minutes on two processor cores (docs/scores.md).
"""

from ganvas.recipes.presets.tutorial_dcgan import recipe as tutorial_dcgan
from ganvas.recipes.schema import Recipe

recipe: Recipe = tutorial_dcgan.model_copy(
    update={
        "name": "fashion-dcgan",
        "summary": "the DCGAN tutorial on Fashion-MNIST, with a GIF that thins out",
        "data": "fashion-mnist",
        "length": "100 epochs",
        "checkpoint_interval": "20 epochs",
        "animation": "subsampled",
    }
)
