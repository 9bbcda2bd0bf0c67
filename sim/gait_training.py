"""Learns the policy of a gait with stable-baselines3's PPO: checkpoints, resume, a CSV log and a progress line."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback

from ..controllers.device import DeviceDescription
from .gait_env import GaitVecEnv
from .gait_task import GaitTask
from .policy import GaitPolicy

CHECKPOINT_EVERY = 500_000  # steps


def train_gait(
    task: GaitTask,
    devices: dict[str, DeviceDescription],
    out: Path,
    seed: int = 0,
    steps: int | None = None,
    resume: bool = False,
    start_from: Path | None = None,
    threads: int = 2,
) -> Path:
    """Train and write ``policy.npz`` into out; returns its path. Ctrl-C keeps the newest weights.

    steps: environment steps (default: the task's). resume: go on from ``out/checkpoint.zip``. start_from: weights of an
    earlier checkpoint to begin with.
    """
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    env = GaitVecEnv(task, devices, seed, threads)
    total = steps or task.steps
    checkpoint = out / "checkpoint.zip"
    if resume and checkpoint.exists():
        model = PPO.load(checkpoint, env=env, device="cpu")
    else:
        model = _new_model(task, env, seed)
        if start_from is not None:
            model.set_parameters(str(start_from), exact_match=False, device="cpu")
    log = _Log(task, out, total)
    try:
        model.learn(
            max(0, total - model.num_timesteps),
            callback=log,
            reset_num_timesteps=False,
        )
    except KeyboardInterrupt:
        log.console.print(f"[yellow]stopped at {model.num_timesteps:,} steps; go on with --resume")
    model.save(checkpoint)
    policy = policy_of(model, task.name)
    target = out / "policy.npz"
    policy.save(target)
    return target


def _new_model(task: GaitTask, env: GaitVecEnv, seed: int) -> PPO:
    ppo = task.ppo
    model = PPO(
        "MlpPolicy",
        env,
        n_steps=ppo.n_steps,
        batch_size=ppo.batch_size,
        n_epochs=ppo.n_epochs,
        learning_rate=Decay(ppo.learning_rate, ppo.final_learning_rate),
        gamma=ppo.gamma,
        gae_lambda=ppo.gae_lambda,
        clip_range=ppo.clip_range,
        target_kl=ppo.target_kl,
        ent_coef=0.0,
        policy_kwargs={
            "net_arch": {"pi": [ppo.hidden] * 2, "vf": [ppo.hidden] * 2},
            "activation_fn": torch.nn.ELU,
            "log_std_init": ppo.log_std,
        },
        seed=seed,
        device="cpu",
    )
    with torch.no_grad():
        model.policy.action_net.weight.mul_(ppo.output_scale)
    return model


class Decay:
    """Learning rate falling linearly over the run; a class, so that checkpoints can hold it."""

    def __init__(self, first: float, last: float) -> None:
        self.first, self.last = first, last

    def __call__(self, remaining: float) -> float:
        return self.last + (self.first - self.last) * max(0.0, remaining)


def policy_of(model: PPO, gait: str) -> GaitPolicy:
    """The deterministic actor of a trained model."""
    extractor, head = model.policy.mlp_extractor.policy_net, model.policy.action_net
    layers = [extractor[0], extractor[2], head]
    return GaitPolicy(
        gait=gait,
        weights=[layer.weight.detach().numpy().astype(np.float64) for layer in layers],
        biases=[layer.bias.detach().numpy().astype(np.float64) for layer in layers],
    )


class _Log(BaseCallback):
    """Writes ``log.csv``, the progress line and checkpoints."""

    FIELDS = ("steps", "wall_s", "steps_per_s", "episode_s", "episode_reward", "full_episodes", "log_std")

    def __init__(self, task: GaitTask, out: Path, total: int) -> None:
        super().__init__()
        self.task, self.out, self.total = task, out, total
        self.console = Console()
        self.episodes: list[dict[str, Any]] = []
        self.begun = time.perf_counter()
        self.saved = 0
        self.rollouts = 0

    def _on_training_start(self) -> None:
        self.saved = self.first = self.num_timesteps
        path = self.out / "log.csv"
        self.file = path.open("a" if self.first else "w", newline="", encoding="utf-8")
        self.writer = csv.DictWriter(self.file, self.FIELDS)
        if not self.first:
            self.writer.writeheader()

    def _on_step(self) -> bool:
        self.episodes += [info["episode"] for info in self.locals["infos"] if info]
        return True

    def _on_rollout_end(self) -> None:
        self.rollouts += 1
        if self.rollouts % 20 or not self.episodes:
            return
        wall = time.perf_counter() - self.begun
        lengths = np.array([e["l"] for e in self.episodes]) * 0.02
        row = {
            "steps": self.num_timesteps,
            "wall_s": round(wall, 1),
            "steps_per_s": round((self.num_timesteps - self.first) / wall),
            "episode_s": round(float(lengths.mean()), 2),
            "episode_reward": round(float(np.mean([e["r"] for e in self.episodes])), 1),
            "full_episodes": round(float(np.mean(lengths >= self.task.episode_s - 1e-6)), 3),
            "log_std": round(float(self.model.policy.log_std.detach().mean()), 3),
        }
        self.episodes.clear()
        self.writer.writerow(row)
        self.file.flush()
        self.console.print(
            f"{row['steps']:>10,} of {self.total:,} steps  {row['steps_per_s']:,}/s  "
            f"episode {row['episode_s']:.2f} s  whole {100 * row['full_episodes']:.0f} %  "
            f"reward {row['episode_reward']:.1f}"
        )
        if self.num_timesteps - self.saved >= CHECKPOINT_EVERY:
            self.saved = self.num_timesteps
            partial = self.out / "checkpoint.part.zip"
            self.model.save(partial)
            partial.replace(self.out / "checkpoint.zip")

    def _on_training_end(self) -> None:
        self.file.close()
