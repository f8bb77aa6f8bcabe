"""Labelled datasets out, training, the registry, the gate."""
