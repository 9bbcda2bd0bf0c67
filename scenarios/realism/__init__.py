"""How close the simulated person is to people: each gait against every published curve of it."""
