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
from stable_baselines3.common.utils import FloatSchedule
from torch.optim.swa_utils import AveragedModel

from ..controllers.device import DeviceDescription
from .gait_env import GaitVecEnv
from .gait_task import GaitTask
from .nervous import POLICY_PERIOD
from .policy import GaitPolicy, Network

CHECKPOINT_EVERY = 500_000  # steps
# Share of the last stage's steps that the policy's weights are the mean over (Izmailov 2018, arXiv:1803.05407).
AVERAGED = 0.3
# How far a specialist's weights go from the general network's to what it learnt (Wortsman 2022, arXiv:2109.01903):
# half way it is as good at its own, and falls less in what it meets seldom: pushes, the slowest walk, steep ramps.
WAY = 0.5


def train_gait(
    task: GaitTask,
    devices: dict[str, DeviceDescription],
    out: Path,
    seed: int = 0,
    resume: bool = False,
    threads: int = 2,
    begin: GaitPolicy | None = None,
    specialist: str = "",
) -> Path:
    """Train through the task's stages and write ``policy.npz`` into out; returns its path.

    resume: go on from ``out/checkpoint.zip``. begin: the policy that the last stage alone goes on from, with a new
    critic. specialist: the one network of `begin` that is taught, from what the general one can; the general one itself
    if empty. In training it acts where it will act in use, while the others act on their ground.
    Ctrl-C writes the checkpoint and the policy as far as they are. Raises ValueError for a policy of another shape than
    the task's, for an unknown specialist, and for one without a policy to begin with.
    """
    if specialist:
        task = task.of_specialist(specialist)
        if not begin:
            raise ValueError(f"the specialist {specialist!r} belongs to a policy; name the one to begin with (--from)")
    taught = specialist or "general"
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    checkpoint = out / "checkpoint.zip"
    model: PPO | None = None
    begun = PPO.load(checkpoint, device="cpu").num_timesteps if resume and checkpoint.exists() else 0
    stages = task.stages()[-1:] if begin else task.stages()
    total = sum(stage.steps for stage in stages)
    log = _Log(out, total, total - round(AVERAGED * stages[-1].steps), threads)
    end = 0
    try:
        for number, stage in enumerate(stages):
            end += stage.steps
            log.stage, log.episode_s = number, stage.episode_s
            while begun < end:
                # Whoever is met for too long is learnt by heart.
                until = min(end, begun + stage.people_for)
                drawn = seed + begun // stage.people_for + 1000 * number
                env = GaitVecEnv(stage, devices, drawn, threads, begin, taught)
                rate = Decay(stage.ppo.learning_rate, stage.ppo.final_learning_rate, stage.steps, end, until)
                if begun:
                    # The keys of this stage are laid over those of the one before.
                    model = PPO.load(checkpoint, env=env, device="cpu", learning_rate=rate, **_settings(stage))
                else:
                    model = _new_model(stage, env, rate, seed)
                    if begin:
                        _take_over(model, begin.general)
                        _learn_critic(model, stage, log)
                model.learn(until - model.num_timesteps, callback=log, reset_num_timesteps=False)
                log.save(model)
                begun = model.num_timesteps
    except KeyboardInterrupt:
        log.console.print("[yellow]stopped; go on with --resume")
    target = out / "policy.npz"
    if model is None:
        if target.exists():  # nothing was left to learn
            return target
        model = PPO.load(checkpoint, device="cpu")
    log.save(model)
    learnt = network_of(log.mean.module if log.mean else actor_of(model))
    if begin and specialist:
        learnt = begin.general.towards(learnt, WAY)
    (begin or GaitPolicy(task.name, learnt)).having(taught, learnt).save(target)
    return target


def _settings(task: GaitTask) -> dict[str, Any]:
    """The settings of PPO that may change from stage to stage, but for the learning rate."""
    ppo = task.ppo
    return {
        "n_steps": ppo.n_steps,
        "batch_size": ppo.batch_size,
        "n_epochs": ppo.n_epochs,
        "gamma": ppo.gamma,
        "gae_lambda": ppo.gae_lambda,
        "target_kl": ppo.target_kl,
        "ent_coef": ppo.entropy,
    }


def _new_model(task: GaitTask, env: GaitVecEnv, rate: Decay, seed: int) -> PPO:
    ppo = task.ppo
    model = PPO(
        "MlpPolicy",
        env,
        learning_rate=rate,
        **_settings(task),
        clip_range=ppo.clip_range,
        policy_kwargs={
            "net_arch": {"pi": [ppo.hidden] * 2, "vf": [ppo.hidden] * 2},
            "activation_fn": torch.nn.ELU,
            "log_std_init": ppo.log_std,
        },
        seed=seed,
        device="cpu",
    )
    policy: Any = model.policy
    with torch.no_grad():
        policy.action_net.weight.mul_(ppo.output_scale)
    return model


def _take_over(model: PPO, network: Network) -> None:
    """Give a new model's actor the weights of a network."""
    actor: Any = actor_of(model)
    extractor, head = actor
    with torch.no_grad():
        for layer, weight, bias in zip(
            (extractor[0], extractor[2], head), network.weights, network.biases, strict=True
        ):
            if layer.weight.shape != weight.shape:
                raise ValueError(
                    f"a layer of the policy is {weight.shape}, of the task's {tuple(layer.weight.shape)} (out, in)"
                )
            layer.weight.copy_(torch.from_numpy(weight))
            layer.bias.copy_(torch.from_numpy(bias))


def _learn_critic(model: PPO, task: GaitTask, log: _Log) -> None:
    """Let the critic learn what the policy that was taken over is worth, before its advice counts."""
    policy: Any = model.policy
    frozen = [*actor_of(model).parameters(), policy.log_std]
    for parameter in frozen:
        parameter.requires_grad_(False)
    model.n_epochs = task.ppo.critic_epochs
    rate, model.lr_schedule = model.lr_schedule, FloatSchedule(task.ppo.critic_learning_rate)
    model.learn(min(task.ppo.critic_steps, task.steps), callback=log, reset_num_timesteps=False)
    model.n_epochs, model.lr_schedule = task.ppo.n_epochs, rate
    for parameter in frozen:
        parameter.requires_grad_(True)


class Decay:
    """Learning rate falling linearly over a stage; a class, so that checkpoints can hold it.

    steps: of the stage. end: of the run, when the stage ends. until: of the run, when this call of learn ends.
    """

    def __init__(self, first: float, last: float, steps: int, end: int, until: int) -> None:
        self.first, self.last, self.steps, self.end, self.until = first, last, steps, end, until

    def __call__(self, remaining: float) -> float:
        """The rate when this share of the steps up to `until` remains."""
        left = self.end - (1.0 - remaining) * self.until
        return self.last + (self.first - self.last) * min(1.0, max(0.0, left / self.steps))


def actor_of(model: Any) -> torch.nn.ModuleList:
    """The hidden layers and the head of a model's deterministic actor."""
    return torch.nn.ModuleList([model.policy.mlp_extractor.policy_net, model.policy.action_net])


def network_of(actor: Any) -> Network:
    """What an actor has learnt."""
    extractor, head = actor
    layers = [extractor[0], extractor[2], head]
    return Network(
        weights=[layer.weight.detach().numpy().astype(np.float64) for layer in layers],
        biases=[layer.bias.detach().numpy().astype(np.float64) for layer in layers],
    )


class _Log(BaseCallback):
    """Writes ``log.csv``, the progress line and checkpoints, and averages the weights of the run's end."""

    FIELDS = ("stage", "steps", "wall_s", "steps_per_s", "episode_s", "episode_reward", "whole", "log_std")

    def __init__(self, out: Path, total: int, average_from: int, threads: int) -> None:
        super().__init__()
        self.out, self.total, self.average_from, self.threads = out, total, average_from, threads
        self.mean: AveragedModel | None = None
        self.stage, self.episode_s = 0, 10.0
        self.console = Console()
        self.episodes: list[dict[str, Any]] = []
        self.begun = time.perf_counter()
        self.first: int | None = None
        self.saved = 0
        self.rollouts = 0

    def _on_training_start(self) -> None:
        if self.first is not None:
            return
        self.first = self.saved = self.num_timesteps
        path = self.out / "log.csv"
        with path.open("a" if self.first else "w", newline="", encoding="utf-8") as file:
            if not self.first:
                csv.DictWriter(file, self.FIELDS).writeheader()

    def _on_step(self) -> bool:
        self.episodes += [info["episode"] for info in self.locals["infos"] if info]
        return True

    def _on_rollout_start(self) -> None:
        # The threads of torch wait by spinning, which would take the cores from the physics.
        torch.set_num_threads(1)
        if self.num_timesteps > self.average_from:
            actor = actor_of(self.model)
            self.mean = self.mean or AveragedModel(actor)
            self.mean.update_parameters(actor)

    def _on_rollout_end(self) -> None:
        torch.set_num_threads(self.threads)
        self.rollouts += 1
        if self.rollouts % 20 or not self.episodes:
            return
        wall = time.perf_counter() - self.begun
        policy: Any = self.model.policy
        lengths = np.array([e["l"] for e in self.episodes]) * POLICY_PERIOD
        row = {
            "stage": self.stage,
            "steps": self.num_timesteps,
            "wall_s": round(wall, 1),
            "steps_per_s": round((self.num_timesteps - (self.first or 0)) / wall),
            "episode_s": round(float(lengths.mean()), 2),
            "episode_reward": round(float(np.mean([e["r"] for e in self.episodes])), 1),
            "whole": round(float(np.mean(lengths >= self.episode_s - 1e-6)), 3),
            "log_std": round(float(policy.log_std.detach().mean()), 3),
        }
        self.episodes.clear()
        with (self.out / "log.csv").open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self.FIELDS).writerow(row)
        left = (self.total - self.num_timesteps) / max(1, row["steps_per_s"]) / 60.0
        self.console.print(
            f"stage {self.stage}  {row['steps']:>10,} of {self.total:,} steps  {row['steps_per_s']:,}/s  "
            f"{left:.0f} min left  episode {row['episode_s']:.2f} s  whole {100 * row['whole']:.0f} %  "
            f"reward {row['episode_reward']:.1f}"
        )
        if self.num_timesteps - self.saved >= CHECKPOINT_EVERY:
            self.save(self.model)

    def save(self, model: Any) -> None:
        """Replace the checkpoint at once, so that a kill never leaves half of one."""
        self.saved = model.num_timesteps
        partial = self.out / "checkpoint.part.zip"
        model.save(partial)
        partial.replace(self.out / "checkpoint.zip")
