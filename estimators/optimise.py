"""The training loop that all networks share: AdamW, cosine schedule, early stopping, checkpoint, Ctrl-C."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn

CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn. patience: epochs without a better validation score before stopping."""

    epochs: int
    patience: int
    learning_rate: float
    weight_decay: float


@dataclass(frozen=True)
class Outcome:
    """What the loop did. score: best validation score (lower is better). interrupted: stopped by Ctrl-C."""

    score: float
    epochs: int
    steps: int
    wall_s: float
    interrupted: bool


@contextlib.contextmanager
def capped_threads(count: int) -> Iterator[None]:
    """Let torch use at most `count` threads in here."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def optimise(
    model: nn.Module,
    losses: Callable[[np.random.Generator], Iterable[torch.Tensor]],
    score: Callable[[], float],
    schedule: Schedule,
    *,
    seed: int,
    folder: Path,
    resume: bool,
    progress: bool,
) -> Outcome:
    """Train `model` in place; it ends with the weights of the best validation score.

    losses: makes one epoch's batches from its generator and yields each batch's loss. score: the validation
    score. Each epoch draws from (seed, epoch) and ends with a checkpoint in `folder`, so a resumed training
    gives the weights of an uninterrupted one. Ctrl-C keeps the best so far and the checkpoint (before the
    first epoch's end it is raised). Raises FileNotFoundError when there is nothing to resume,
    ValueError when the checkpoint is another network's, FloatingPointError when the loss is not finite.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / CHECKPOINT
    optimiser = torch.optim.AdamW(model.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
    best_weights = _copy(model)
    best, best_epoch, epoch, steps, earlier_s = math.inf, 0, 0, 0, 0.0
    if resume:
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no checkpoint to resume from")
        saved = torch.load(path, weights_only=True)
        try:
            model.load_state_dict(saved["weights"])
            optimiser.load_state_dict(saved["optimiser"])
        except (RuntimeError, ValueError):
            raise ValueError(f"{path}: the checkpoint of a network with another shape") from None
        best_weights = saved["best_weights"]
        best, best_epoch, epoch, steps, earlier_s = (
            saved[key] for key in ("best", "best_epoch", "epoch", "steps", "wall_s")
        )
    started = time.monotonic()
    interrupted = False
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not progress) as bar:
        task = bar.add_task("training", total=schedule.epochs, completed=epoch)
        try:
            while epoch < schedule.epochs and epoch - best_epoch < schedule.patience:
                for group in optimiser.param_groups:
                    group["lr"] = 0.5 * schedule.learning_rate * (1 + math.cos(math.pi * epoch / schedule.epochs))
                model.train()
                total, count = 0.0, 0
                for loss in losses(np.random.default_rng([seed, epoch])):
                    optimiser.zero_grad()
                    loss.backward()
                    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    optimiser.step()
                    total, count = total + loss.item(), count + 1
                if not math.isfinite(total):
                    raise FloatingPointError(f"the loss is not finite in epoch {epoch + 1}")
                model.eval()
                with torch.no_grad():
                    value = score()
                epoch, steps = epoch + 1, steps + count
                if value < best:
                    best, best_epoch, best_weights = value, epoch, _copy(model)
                state = {
                    "weights": model.state_dict(),
                    "best_weights": best_weights,
                    "optimiser": optimiser.state_dict(),
                    "best": best,
                    "best_epoch": best_epoch,
                    "epoch": epoch,
                    "steps": steps,
                    "wall_s": earlier_s + time.monotonic() - started,
                }
                torch.save(state, path.with_suffix(".part"))
                os.replace(path.with_suffix(".part"), path)
                text = f"epoch {epoch}: loss {total / count:.4f}, validation {value:.4f}, best {best:.4f}"
                bar.update(task, completed=epoch, description=text)
        except KeyboardInterrupt:
            if math.isinf(best):
                raise
            interrupted = True
    model.load_state_dict(best_weights)
    model.eval()
    if not interrupted:
        path.unlink(missing_ok=True)
    return Outcome(best, epoch, steps, earlier_s + time.monotonic() - started, interrupted)


def _copy(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: values.clone() for name, values in model.state_dict().items()}
