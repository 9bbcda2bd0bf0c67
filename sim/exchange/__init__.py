"""Recordings from and to other formats: OpenSim, C3D, CSV (LocoHub), MCAP. docs/exchange.md tells the rules."""
