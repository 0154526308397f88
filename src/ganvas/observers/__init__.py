"""Observers: what looks on while a run trains. One file each; none changes training's bits."""
