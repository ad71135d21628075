"""Training: a loop over batches, its figures, and checkpoints to go on from."""

from .batches import Batches
from .callbacks import EarlyStopping
from .checkpoints import CheckpointError, Checkpoints, load, save
from .log import Log
from .loop import Run, evaluate, fit, training_step

__all__ = [
    "Batches",
    "CheckpointError",
    "Checkpoints",
    "EarlyStopping",
    "Log",
    "Run",
    "evaluate",
    "fit",
    "load",
    "save",
    "training_step",
]
