"""The shipped walker with an impairment moves as published; those signs that it shows at its own speed, too
(`benchmarks/impairments.py`, the table in docs/impairments.md).
"""

import numpy as np
import pytest
from exotwin.scenarios.impairment_signs import as_published, measure_signs
from exotwin.sim.impairments import Impairment
from exotwin.sim.plant import Plant
from exotwin.sim.runlog import RunLog
from exotwin.sim.subjects import Subject

SHOWN = {
    "hemiparesis": {"step-length asymmetry", "peak knee flexion in swing"},
    "plantarflexor_weakness": {"peak plantarflexion moment", "peak dorsiflexion in stance"},
    "equinus": {"ankle dorsiflexion in mid-swing"},
    "crouch_gait": {"knee flexion at contact", "mean knee flexion in stance"},
}


def signs(kind, severity):
    """Means over two starts of 15 s at 1.1 m/s, the first 4 s left out."""
    impairment = Impairment(kind=kind, severity=severity)
    measured = []
    for start in range(2):
        plant = Plant(Subject(), None, "walk", impairments=(impairment,))
        log = RunLog(plant, 15.0)
        plant.reset(1.1, np.random.default_rng(start))
        for _ in range(round(15.0 * plant.rate)):
            log.add(None)
            plant.step()
        assert not plant.fallen
        measured.append(measure_signs(log.recording("signs", "none", start), impairment, 4.0))
    return {name: float(np.mean([one[name] for one in measured])) for name in measured[0]}


@pytest.mark.slow
@pytest.mark.parametrize("kind", SHOWN)
def test_the_signs_of_an_impairment_move_in_the_published_direction(kind):
    well, impaired = signs(kind, 0.0), signs(kind, 0.5)
    moved = {name for name, right in as_published(kind, well, impaired).items() if right}
    assert moved >= SHOWN[kind], (well, impaired)
