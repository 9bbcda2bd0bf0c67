"""Data only: exo models, device descriptions, gait references, trained weights."""
