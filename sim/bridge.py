"""Lets compiled (numba) code call libmujoco and see MuJoCo's arrays, so that no Python runs in the physics step.

Function addresses travel as integers, not as ctypes objects, so that numba can cache what it compiled.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from numba import carray, types
from numba.core import cgutils
from numba.extending import intrinsic

from .compiled import compiled

# Numba calls an intrinsic without its typing context, which a type checker cannot know.
_intrinsic: Any = intrinsic

# Order of the addresses in `functions()`.
FWD_POSITION, FWD_VELOCITY, FWD_ACTUATION, FWD_ACCELERATION, FWD_CONSTRAINT, EULER = range(6)
SENSOR_POS, SENSOR_VEL, SENSOR_ACC, RNE_POST_CONSTRAINT = range(6, 10)
_NAMES = (
    "mj_fwdPosition",
    "mj_fwdVelocity",
    "mj_fwdActuation",
    "mj_fwdAcceleration",
    "mj_fwdConstraint",
    "mj_Euler",
    "mj_sensorPos",
    "mj_sensorVel",
    "mj_sensorAcc",
    "mj_rnePostConstraint",
)

# Body ids of a person: its free root, which has no mass and whose centre MuJoCo puts 1 m too high, and the pelvis.
ROOT_BODY, PELVIS_BODY = 1, 2

# mjData arrays that compiled code reads or writes; their addresses are fixed for the life of an MjData.
FIELDS = (
    "qpos",
    "qvel",
    "act",
    "ctrl",
    "actuator_length",
    "actuator_velocity",
    "actuator_force",
    "actuator_moment",
    "qfrc_passive",
    "qfrc_actuator",
    "sensordata",
    "xpos",
    "xmat",
    "cfrc_ext",
    "subtree_com",
    "xfrc_applied",
)
(
    QPOS,
    QVEL,
    ACT,
    CTRL,
    ACTUATOR_LENGTH,
    ACTUATOR_VELOCITY,
    ACTUATOR_FORCE,
    ACTUATOR_MOMENT,
    QFRC_PASSIVE,
    QFRC_ACTUATOR,
    SENSORDATA,
    XPOS,
    XMAT,
    CFRC_EXT,
    SUBTREE_COM,
    XFRC_APPLIED,
) = range(len(FIELDS))
MODEL, DATA = len(FIELDS), len(FIELDS) + 1


def _library() -> ctypes.CDLL:
    folder = Path(mujoco.__file__).parent
    found = [p for pattern in ("libmujoco*", "mujoco.dll") for p in folder.glob(pattern)]
    if not found:
        raise ImportError(f"libmujoco was not found in {folder}")
    return ctypes.CDLL(str(found[0]))


def functions() -> np.ndarray:
    """Addresses of the libmujoco functions that the compiled step calls, int64."""
    library = _library()
    return np.array([ctypes.cast(getattr(library, n), ctypes.c_void_p).value for n in _NAMES], dtype=np.int64)


def addresses(model: mujoco.MjModel, data: mujoco.MjData) -> np.ndarray:
    """Addresses of `FIELDS` of data, then of model and data, int64. They hold while both are alive."""
    arrays = [getattr(data, name).__array_interface__["data"][0] for name in FIELDS]
    return np.array([*arrays, model._address, data._address], dtype=np.int64)


@_intrinsic
def _to_pointer(typing_context: Any, address: Any) -> Any:
    signature = types.CPointer(types.float64)(types.int64)

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(sig.return_type))

    return signature, generate


@_intrinsic
def call(typing_context: Any, function: Any, model: Any, data: Any) -> Any:
    """Call void function(const mjModel*, mjData*) by address from compiled code."""
    signature = types.void(types.int64, types.int64, types.int64)

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        from llvmlite import ir

        pointer = cgutils.voidptr_t
        kind = ir.FunctionType(ir.VoidType(), [pointer, pointer])
        target = builder.inttoptr(arguments[0], kind.as_pointer())
        builder.call(target, [builder.inttoptr(a, pointer) for a in arguments[1:]])
        return context.get_dummy_value()

    return signature, generate


@compiled(inline="always")
def view(address: int, count: int) -> Any:
    """A float64 array of `count` numbers at an address, without copying."""
    return carray(_to_pointer(address), (count,))
