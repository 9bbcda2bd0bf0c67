"""Published curves of human movement over the gait cycle: the one place that reads them, for reports and realism alike.

The tables hold clinical signs; here moments take the sign of the joint coordinate, as everywhere else.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from ..controllers.config import require_known
from .gait_cycles import PERCENT, FloatArray


@dataclass(frozen=True, slots=True)
class Source:
    """Where curves come from. one_person: its SD is between the repetitions of one person, not between people."""

    citation: str
    one_person: bool = False


SOURCES = {
    "Bovi2011": Source("Bovi et al. 2011, Gait & Posture 33:6-13 (20 adults)"),
    "Winter1991": Source("Winter 1991, The Biomechanics and Motor Control of Human Gait (natural cadence)"),
    "Perry": Source("Perry & Burnfield 2010, Gait Analysis (EMG, digitised by Dembia et al. 2020)"),
    "Winner2023": Source("Winner et al. 2023, PLoS Comput Biol 19:e1011556 (5 controls, 7 stroke survivors)"),
    "HamnerDelp2013": Source("Hamner & Delp 2013, J Biomech 46:780-787 (1 of its runners)", one_person=True),
    "Uhlrich2022": Source("Uhlrich et al. 2023, OpenCap, PLoS Comput Biol 19:e1011462 (1 person)", one_person=True),
    "OpenSimTutorial4": Source("OpenSim tutorial 4 (1 patient with crouch gait, 1 cycle)", one_person=True),
}


@dataclass(frozen=True, slots=True)
class _Signal:
    name: str
    factor: float = 1.0
    offset: bool = False


# Signal of the tables -> ours. Extension, abduction and plantarflexion moments are positive there. Our muscles stand
# for groups, so several of Perry's may belong to one: their mean is taken.
_SIGNALS = {
    "hip_flexion_angle_deg": _Signal("angle/hip_flexion"),
    "knee_flexion_angle_deg": _Signal("angle/knee_flexion"),
    "ankle_dorsiflexion_angle_deg": _Signal("angle/ankle_dorsiflexion"),
    "ankle_dorsiflexion_angle_LAMBoffset_deg": _Signal("angle/ankle_dorsiflexion", offset=True),
    # The source does not say its sign; forward tilt is taken as negative because it leans more so on the way upstairs.
    "pelvis_tilt_angle_LAMB_deg": _Signal("angle/pelvis_tilt", offset=True),
    "hip_extension_moment_Nm_per_kg": _Signal("moment/hip_flexion", -1.0),
    "hip_abduction_moment_Nm_per_kg": _Signal("moment/hip_adduction", -1.0),
    "knee_extension_moment_Nm_per_kg": _Signal("moment/knee_flexion", -1.0),
    "ankle_plantarflexion_moment_Nm_per_kg": _Signal("moment/ankle_dorsiflexion", -1.0),
    "hip_power_W_per_kg": _Signal("power/hip_flexion"),
    "knee_power_W_per_kg": _Signal("power/knee_flexion"),
    "ankle_power_W_per_kg": _Signal("power/ankle_dorsiflexion"),
    "grf_vertical_BW": _Signal("grf/z"),
    "grf_ap_BW": _Signal("grf/x"),
    "emg_soleus": _Signal("emg/soleus"),
    "emg_gastrocnemius_medialis": _Signal("emg/gastroc"),
    "emg_tibialis_anterior": _Signal("emg/tibant"),
    "emg_vastus_medialis": _Signal("emg/vasti"),
    "emg_rectus_femoris": _Signal("emg/rectfem"),
    "emg_biceps_femoris": _Signal("emg/hamstrings"),
    "emg_gluteus_maximus": _Signal("emg/glutmax"),
    **{
        f"emg_pctMMT_{muscle}": _Signal(f"emg/{ours}", 0.01)
        for ours, muscles in {
            "soleus": "Soleus",
            "gastroc": "Gastrocnemius",
            "tibant": "TibialisAnterior",
            "vasti": "VastusLateralis VastusMedialisLongus VastusIntermedius",
            "rectfem": "RectusFemoris",
            "hamstrings": "BicepsFemorisLongHead Semimembranosus Semitendinosus",
            "glutmax": "GluteusMaximusUpper GluteusMaximusLower",
            "abd": "GluteusMedius",
            "bifemsh": "BicepsFemorisShortHead",
            "iliopsoas": "Iliacus",
            "add": "AdductorLongus AdductorMagnus",
            "edl": "ExtensorDigitorumLongus",
            "fdl": "FlexorDigitorumLongus",
        }.items()
        for muscle in muscles.split()
    },
}


@dataclass(frozen=True, slots=True)
class Band:
    """One published curve at 0, 1 .. 100 % of the cycle, (101,) each; sd is NaN where the source gives none.

    ``angle/<joint>`` in degrees, ``moment/<joint>`` in Nm/kg, ``power/<joint>`` in W/kg, ``grf/z`` and ``grf/x`` in
    body weights, ``emg/<muscle>`` as the source normalised it: compare its timing only. offset: the source's neutral
    is not ours by an unknown constant, so only shape and range can be compared.
    """

    mean: FloatArray
    sd: FloatArray
    offset: bool = False


@dataclass(frozen=True, slots=True)
class Normative:
    """The curves of the published speed nearest to the one asked for."""

    citation: str
    speed_mps: float
    bands: dict[str, Band]


def published(task: str, source: str, condition: str) -> dict[str, Band]:
    """Curves by our name of the signal, from ``assets/normative/<task>.csv``.

    ValueError names the task or the pair of source and condition that is not there, and the nearest.
    """
    table = _table(task)
    require_known(f"curve of {task}", [f"{source}, {condition}"], (f"{s}, {c}" for s, c, _ in table))
    return next(bands for (s, c, _), bands in table.items() if (s, c) == (source, condition))


def level_walking(speed_mps: float) -> Normative:
    """Level walking of healthy adults at the published speed nearest to `speed_mps`."""
    speeds = {
        float(speed): bands for (source, _, speed), bands in _table("level_walking").items() if source == "Bovi2011"
    }
    nearest = min(speeds, key=lambda speed: abs(speed - speed_mps))
    return Normative(SOURCES["Bovi2011"].citation, nearest, speeds[nearest])


@cache
def _table(task: str) -> dict[tuple[str, str, str], dict[str, Band]]:
    """Curves of a task by (source, condition, speed) and signal."""
    shelf = files("exotwin.assets") / "normative"
    require_known("published task", [task], (f.name[:-4] for f in shelf.iterdir() if f.name.endswith(".csv")))
    rows: dict[tuple[str, str, str], dict[str, dict[str, FloatArray]]] = {}
    with (shelf / f"{task}.csv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            key = (row.pop("source"), row.pop("condition"), row.pop("speed_mps"))
            signal, statistic = row.pop("signal"), row.pop("statistic")
            percent, values = np.array([[float(p), float(v)] for p, v in row.items()]).T
            rows.setdefault(key, {}).setdefault(signal, {})[statistic] = np.interp(PERCENT, percent, values)
    return {key: dict(_bands(signals)) for key, signals in rows.items()}


def _bands(signals: dict[str, dict[str, FloatArray]]) -> Iterator[tuple[str, Band]]:
    unknown = np.full(PERCENT.size, np.nan)
    grouped: dict[str, list[Band]] = {}
    for signal, found in signals.items():
        ours = _SIGNALS[signal]
        sd = abs(ours.factor) * found.get("sd", unknown)
        grouped.setdefault(ours.name, []).append(Band(ours.factor * found["mean"], sd, ours.offset))
    for name, bands in grouped.items():
        mean = np.mean([band.mean for band in bands], axis=0)
        yield name, Band(mean, bands[0].sd if len(bands) == 1 else unknown, bands[0].offset)
