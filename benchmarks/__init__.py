"""Measurements of the hot paths on this machine."""
