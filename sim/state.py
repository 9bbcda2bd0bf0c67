"""Slots of the state vector of one person's nervous system, next to the physics' own state."""

# The gait: where in the cycle (0..1 from right heel strike), how fast, and the stride's length in time.
PHASE, SPEED, STRIDE_TIME = 0, 1, 2
# Speed that is asked for (m/s), line that is walked on (world y, m). TRIM: correction of lasting speed errors (m/s).
WANTED, LANE, TRIM = 3, 4, 5
# The plan of the steps: world x and height of the leading heel's foothold, distances and rises from the trailing
# foothold and to the next one, m.
FOOT_X, FOOT_Z, BACK, AHEAD_BY, RISE_BACK, RISE_NEXT = 6, 7, 8, 9, 10, 11
# Kind of the present step (see gait_plan), direction, rise, tread and number of risers of the stairs, riser reached.
KIND, DIRECTION, STAIR_RISE, STAIR_TREAD, STAIR_COUNT, STEP = 12, 13, 14, 15, 16, 17
# Whether the steps before stairs are already measured out; the ground below the reference and its slope (dz/dx).
BOUND, GROUND, GRADE = 18, 19, 20
# Share of the exo's torque that is expected; squared activations summed over muscles and physics steps.
ADAPTATION, EFFORT, EFFORT_COUNT = 21, 22, 23
# Whether the right leg led when the policy last looked, how many looks there were, and how old they are (s).
LOOK_RIGHT, LOOKS, DELAY = 24, 25, 26
# The speed that the present step ends with, m/s.
NEXT_SPEED = 27
# The posture that a person who does not walk is asked for (see posture_plan).
GOAL = 28
# The line that the person is asked to walk on (world y, m); LANE goes there.
NEXT_LANE = 29
# Whether the right leg led at the look before the last.
LOOKED_RIGHT = 30
# Mean forward speed of the pelvis over about half a step, m/s.
VELOCITY = 31
# What the pace action has been over the last seconds (its low-passed value).
HABIT = 32
# What the mean speed was more than the plan's own, likewise over about half a step, m/s.
EXCESS = 33
STATE_SIZE = 34
