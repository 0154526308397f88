"""Synthetic color images with some of what photographs have: 1/f detail, edges, a light from above.

Color varies less than brightness, and is no matter of chance: a bluish top, a greenish or brownish
bottom, an object of its own warm color. So a turned hue is another image, as it is in photographs.
"""

import numpy as np

SKIES = np.array([[120, 160, 220], [180, 200, 230], [90, 130, 200]], float)
GROUNDS = np.array([[90, 130, 60], [130, 110, 80], [60, 100, 50]], float)
OBJECTS = np.array([[200, 120, 80], [180, 60, 50], [220, 190, 120], [70, 60, 55]], float)


def scenes(count, side=32, seed=0):
    """Images uint8 [count, 3, side, side]."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = np.inf
    y, x = np.mgrid[:side, :side] / side

    def cloud(strength):
        spectrum = rng.normal(size=(2, *frequency.shape))
        field = np.fft.irfft2((spectrum[0] + 1j * spectrum[1]) / frequency, (side, side))
        return strength * field / field.std()

    images = np.empty((count, 3, side, side), np.uint8)
    for image in images:
        horizon = rng.uniform(0.2, 0.8) + cloud(0.04)
        color = np.where(
            (y < horizon)[..., None], SKIES[rng.integers(len(SKIES))], GROUNDS[rng.integers(len(GROUNDS))]
        )
        cy, cx, ry, rx = *rng.uniform(0.2, 0.8, 2), *rng.uniform(0.1, 0.35, 2)
        inside = ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1
        color = np.where(inside[..., None], OBJECTS[rng.integers(len(OBJECTS))], color)
        color = color * rng.uniform(0.5, 1.2) + cloud(rng.uniform(5, 30))[..., None]
        for channel in range(3):
            color[..., channel] += cloud(5)
        image[:] = np.clip(color, 0, 255).transpose(2, 0, 1)
    return images
