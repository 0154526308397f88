"""The sample grids over time, under a slider."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ganvas.report.frames import Frame, chosen
from ganvas.report.markup import Markup, data_block, empty, png_uri, section, tag

_WIDE = 760  # pixels of the page that a grid may take


def samples(files: Sequence[Path], steps_per_epoch: int, fixed: bool, resume: str) -> Markup:
    """The section: the last grid large, and a slider to the earlier ones.

    Args:
        files: the grids, oldest first.
        steps_per_epoch: for the labels.
        fixed: whether all grids are of the same z.
        resume: the command that trains on.
    """
    frames = chosen(files)
    if not frames:
        why = (
            "None of the sample grids is a whole picture any more. Training on makes new ones."
            if files
            else "No sample grid has been drawn yet: the run has not begun to train."
        )
        return section("Samples as training went on", empty(why, resume), name="samples")
    same = (
        "Every grid is drawn from the same random numbers, so each place shows one image growing up. "
        if fixed
        else "Every grid is drawn from new random numbers. "
    )
    count = "1 grid was saved" if len(files) == 1 else f"{len(files):,} grids were saved"
    count += f", {len(frames)} of them are shown." if len(frames) < len(files) else "."
    last = frames[-1]
    words = [_label(frame, steps_per_epoch) for frame in frames]
    shown = tag(
        "img",
        src=png_uri(last.png),
        alt=f"Grid of generated images, {words[-1]}",
        style=f"--natural:{max(1, _WIDE // last.width) * last.width}px",
        width=last.width,
        height=last.height,
    )
    slider = tag(
        "input",
        type="range",
        min=0,
        max=len(frames) - 1,
        value=len(frames) - 1,
        step=1,
        aria_label="Which grid is shown",
        autocomplete="off",
    )
    play = tag("button", "Play", type="button", class_="play")
    controls = tag("div", play, slider, tag("output", words[-1]), class_="controls")
    # The last frame is not said twice: the script takes it from the picture that is shown first.
    rest = {"labels": words, "frames": [png_uri(frame.png) for frame in frames[:-1]]}
    player = tag(
        "div",
        tag("div", shown, class_="screen"),
        controls if len(frames) > 1 else tag("p", words[-1], class_="reading"),
        data_block(rest),
        class_="player",
    )
    hint = " Move the slider, or use the left and right arrow keys." if len(frames) > 1 else ""
    return section(
        "Samples as training went on", tag("p", f"{same}{count}{hint}", class_="lead"), player, name="samples"
    )


def _label(frame: Frame, steps_per_epoch: int) -> str:
    if frame.step == 0:
        return "before training"
    return f"step {frame.step:,}, epoch {frame.step // steps_per_epoch:,}"
