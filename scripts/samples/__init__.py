"""Simulation of the level-1 sample files; see ../make_samples.py."""
