"""Faces that a decoder draws, whose codes are known exactly; the faults of a camera; and photographs to measure on."""
