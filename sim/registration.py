"""Importing this names the environment ``exotwin/HumanGait-v0`` for `gymnasium.make`; it imports nothing heavy."""

from __future__ import annotations

import gymnasium

ENVIRONMENT = "exotwin/HumanGait-v0"

if ENVIRONMENT not in gymnasium.registry:
    gymnasium.register(ENVIRONMENT, entry_point="exotwin.sim.gait_env:HumanGaitEnv")
