"""Faces that a decoder draws: pictures whose codes are known exactly, and the camera's faults added to them."""
