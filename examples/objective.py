"""An objective: the relativistic average hinge loss.

    ganvas train mlp --data mnist-5k --plugin examples/objective.py \
        --set objective=relativistic_average_hinge

With C the logit of an image, each image is compared with the average one of the other kind:

    D minimizes  E max(0, 1 - (C(real) - E C(fake))) + E max(0, 1 + (C(fake) - E C(real)))
    G minimizes  the same with real and fake exchanged

A function gets the logits of both kinds under every update rule. Under `alternating_separate`, which the
recipe mlp has, those of the kind whose turn it is not are constants.

Source: Jolicoeur-Martineau 2018, arXiv 1807.00734, RaHingeGAN.
"""

from torch import Tensor
from torch.nn import functional as F

import ganvas


def _hinge(above: Tensor, below: Tensor) -> Tensor:
    """The loss, a scalar, of a player who wants the logits `above` to lie above those `below` by 1."""
    return F.relu(1 - (above - below.mean())).mean() + F.relu(1 + (below - above.mean())).mean()


@ganvas.register.objective("relativistic_average_hinge")
def relativistic_average_hinge(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Logits [N] of real and [M] of fake images -> (D's loss, G's loss)."""
    return _hinge(real, fake), _hinge(fake, real)
