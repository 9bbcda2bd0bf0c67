"""The plant of the closed loop: one person, with or without a device, stepped a control period at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..controllers.config import require_known
from ..controllers.device import DeviceDescription
from ..controllers.interface import SensorFrame
from .batch import has_fallen, settle
from .body import SIDED_JOINTS, SIDED_MUSCLES, Embodiment, physics_steps
from .bridge import functions
from .compiled import compiled
from .gait_task import load_gait_task
from .impairments import Impairment
from .nervous import POLICY_PERIOD, advance, keep_pace
from .observation import N_OBSERVATIONS, observe
from .policy import act, load_policy
from .posture_plan import POSTURES, STAND
from .reference import load_reference
from .sensors import FaultInjector, SensorFault, SensorSuite, SensorTruth
from .state import GOAL, NEXT_LANE, WANTED
from .subjects import Subject
from .terrain import LEVEL, Terrain
from .truth import BLOCKS, ROW, read_imus, read_truth

FloatArray = NDArray[np.float64]


@compiled
def _control_period(
    functions: Any,
    pointers: Any,
    body: Any,
    exo: Any,
    state: Any,
    action: Any,
    command: Any,
    work: Any,
    network: Any,
    observation: Any,
    clock: Any,
    policy_steps: int,
    steps: int,
    limits: Any,
    imus: Any,
    acc: Any,
    gyro: Any,
    row: Any,
) -> bool:
    """One control period of physics with the policy at its own rate; the truth at its end into row.

    clock: (1,) physics steps until the policy speaks next. imus: see `read_imus`; acc, gyro: (steps, n_sites, 3) what
    they feel after each step. Returns whether the person has fallen.
    """
    for step in range(steps):
        if clock[0] == 0:
            keep_pace(state, policy_steps * body.timestep)
            observe(functions, pointers, body, exo, state, action, work, observation)
            act(network, observation, action)
            clock[0] = policy_steps
        advance(functions, pointers, body, exo, state, action, command, work, 1)
        clock[0] -= 1
        read_imus(functions, pointers, body, imus, acc[step], gyro[step])
    read_truth(functions, pointers, body, exo, limits, state, work, row)
    return bool(has_fallen(pointers, body, state, work))


class Plant:
    """One person performing one gait, and what the device on it measures.

    device: what is worn, or None. gait: a shipped gait (its policy and reference). adaptation: share of the exo's
    torque that the nervous system expects, 0 (naive) to 1 (adapted, as after practice). faults: sensor faults.
    terrain: the ground along the way. impairments: what the person suffers from. Physics runs in steps of at most 2 ms
    that divide the control period.
    """

    def __init__(
        self,
        subject: Subject,
        device: DeviceDescription | None,
        gait: str = "walk",
        adaptation: float = 1.0,
        control_rate_hz: float | None = None,
        faults: tuple[SensorFault, ...] = (),
        policy: str | None = None,
        terrain: Terrain = LEVEL,
        impairments: Sequence[Impairment] = (),
    ) -> None:
        rate = control_rate_hz or (device.control_rate_hz if device else 200.0)
        self.rate, self.subject, self.device, self.gait = rate, subject, device, gait
        self.adaptation = adaptation
        self.task = load_gait_task(gait)
        self.steps = physics_steps(rate)
        timestep = 1.0 / rate / self.steps
        self.policy_steps = max(1, round(POLICY_PERIOD / timestep))
        self.person = Embodiment(subject, device, load_reference(self.task.reference), timestep, terrain, impairments)
        self.network = load_policy(policy or gait).network
        model = self.person.model
        self._limits = np.array(
            [[model.sensor(f"limit_{j}").adr[0], model.joint(j).range.mean()] for j in SIDED_JOINTS]
        )
        self._functions = functions()
        self._observation = np.zeros(N_OBSERVATIONS)
        self._clock = np.zeros(1, dtype=np.int64)
        self.row = np.zeros(ROW)
        self._command = np.zeros(len(self.person.exo.joint))
        self.layout = device.layout if device else None
        self.suite: SensorSuite | None = None
        self._imus = np.zeros((0, 6), dtype=np.int64)
        self._acc, self._gyro = np.zeros((self.steps, 0, 3)), np.zeros((self.steps, 0, 3))
        self._injector = FaultInjector(device.layout, faults, rate) if device else None
        if device:
            self._plan_sensors(device)
        self.faults = faults
        self.active_faults: tuple[str, ...] = ()
        self.packet_seed = 0  # of the run's lost packets of raw EMG, which are drawn after it

    def _plan_sensors(self, device: DeviceDescription) -> None:
        model, s = self.person.model, device.sensors
        mounts = s.imu.mounts if s.imu else ()
        starts = [[model.sensor(f"imu_{m.site}_{kind}").adr[0] for kind in ("acc", "gyro")] for m in mounts]
        self._imus = (np.array(starts, dtype=np.int64).reshape(-1, 2, 1) + np.arange(3)).reshape(-1, 6)
        self._acc, self._gyro = (np.zeros((self.steps, len(mounts), 3)) for _ in range(2))
        encoders = [f"{j}_{side}" for side in ("r", "l") for j in (s.encoder.joints if s.encoder else ())]
        # An encoder sits on the drive where there is one, else on the limb.
        names = [f"exo_{j}" if j in device.actuated else j for j in encoders]
        self._encoder = np.array([model.joint(n).qposadr[0] for n in names], dtype=np.int64)
        muscles = [f"{m}_{side}" for side in ("r", "l") for m in (s.emg.muscles if s.emg else ())]
        start = BLOCKS["excitation"][0]
        self._emg = np.array([start + SIDED_MUSCLES.index(m) for m in muscles], dtype=np.int64)
        self._cuff = BLOCKS["exo"][0] + self.person.exo.joint

    def reset(
        self, speed: float, rng: np.random.Generator, phase: float | None = None, x: float = 0.0, posture: str = "stand"
    ) -> SensorFrame | None:
        """Start a run at a walking speed (m/s) and gait phase (default: random) near world x; the first frame.

        posture: in which a person who does not walk begins: `stand`, `sit` or `squat`.

        All randomness of the run comes from rng.
        """
        person, here = self.person, self._posture(posture)
        person.place(float(rng.random()) if phase is None else phase, speed, self.adaptation, x, (here, here))
        settle(self._functions, person.pointers, person.body, person.exo, person.state, person.action, person.work)
        self._clock[0] = 0
        self._command[:] = 0.0
        self.ticks, self.fallen = 0, False
        read_truth(
            self._functions,
            person.pointers,
            person.body,
            person.exo,
            self._limits,
            person.state,
            person.work,
            self.row,
        )
        read_imus(self._functions, person.pointers, person.body, self._imus, self._acc[0], self._gyro[0])
        self._acc[:], self._gyro[:] = self._acc[0], self._gyro[0]
        if self.device:
            self.suite = SensorSuite(self.device, rng.spawn(1)[0], self.rate)
            assert self._injector
            self._injector.reset(rng.spawn(1)[0])
            self.packet_seed = int(rng.spawn(1)[0].integers(2**63))
        return self._frame()

    @property
    def frame_lost(self) -> bool:
        """Whether a dropout keeps the present frame from the controller; its values are NaN."""
        return self._injector is not None and self._injector.frame_lost

    @property
    def time(self) -> float:
        """s since the run began."""
        return self.ticks / self.rate

    def command_speed(self, speed: float) -> None:
        """Ask the person for another speed (m/s): the coming steps go there, by at most 0.4 m/s^2 upwards."""
        self.person.state[WANTED] = speed

    def command_posture(self, posture: str) -> None:
        """Ask a person who does not walk to `stand`, `sit` or `squat`; a movement that is under way is ended first.

        Raises ValueError for a gait that walks and for another posture, naming the nearest.
        """
        self.person.state[GOAL] = self._posture(posture)

    def _posture(self, posture: str) -> int:
        require_known("posture", [posture], POSTURES)
        if posture != POSTURES[STAND] and not self.person.reference.still:
            raise ValueError(f"the gait {self.gait!r} walks: it has no posture {posture!r}")
        return POSTURES.index(posture)

    def change_lane(self, y: float) -> None:
        """Ask the person to walk on the line at world y (m): the next steps go there, at 0.15 m/s."""
        self.person.state[NEXT_LANE] = y

    def step(self, torque: FloatArray | None = None) -> SensorFrame | None:
        """Move on by one control period under a torque command (n_actuated,) Nm; the new frame, None without device.

        Sets `fallen`. Raises ValueError for a command of the wrong length.
        """
        if torque is not None:
            if len(torque) != len(self._command):
                raise ValueError(f"{len(torque)} torques for {len(self._command)} actuated joints")
            self._command[:] = torque
        p = self.person
        self.fallen = _control_period(
            self._functions,
            p.pointers,
            p.body,
            p.exo,
            p.state,
            p.action,
            self._command,
            p.work,
            self.network,
            self._observation,
            self._clock,
            self.policy_steps,
            self.steps,
            self._limits,
            self._imus,
            self._acc,
            self._gyro,
            self.row,
        )
        self.ticks += 1
        return self._frame()

    def _frame(self) -> SensorFrame | None:
        if self.suite is None or self.layout is None or self._injector is None:
            return None
        row = self.row
        angle, grf, cop = BLOCKS["angle"][0], BLOCKS["grf"][0], BLOCKS["foot_cop"][0]
        truth = SensorTruth(
            time=self.time,
            imu_acc=self._acc,
            imu_gyro=self._gyro,
            angle=row[angle : angle + len(SIDED_JOINTS)],
            encoder_angle=self.person.data.qpos[self._encoder],
            cuff_torque=row[self._cuff],
            foot_force=np.maximum(row[grf + 2 : grf + 6 : 3], 0.0),
            foot_cop=row[cop : cop + 4].reshape(2, 2),
            excitation=row[self._emg],
        )
        values = self.suite.measure(self._injector.disturb(truth))
        self.active_faults = self._injector.spoil(self.time, values)
        return SensorFrame(self.time, values, self.layout)

    def biological_torque(self, joints: tuple[str, ...]) -> FloatArray:
        """True biological torque (Nm/kg) now at some joints, for the oracle."""
        index = [SIDED_JOINTS.index(j) for j in joints]
        muscle, ligament = BLOCKS["muscle"][0], BLOCKS["ligament"][0]
        total = self.row[muscle : muscle + 12] + self.row[ligament : ligament + 12]
        return total[index] / self.subject.mass_kg
