from __future__ import annotations

import pytest
from exotwin.sim.recording import Recording
from synthetic_walk import walk


@pytest.fixture(scope="session")
def arms() -> dict[str, Recording]:
    return {
        "no_exo": walk("no_exo", unload=0.02),
        "unpowered": walk("unpowered"),
        "profile": walk("profile", unload=0.08, assist=0.15, estimate_error=0.2),
        "estimator": walk("estimator", unload=0.15, assist=0.2),
        "oracle": walk("oracle", unload=0.18, assist=0.2, estimate_error=0.0),
    }
