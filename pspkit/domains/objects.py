"""Anything else: cars, cats, churches. Decoder and pictures are the user's, and MoCo takes the place of identity."""

from pspkit.domains.domain import Domain

OBJECTS = Domain("objects", "anything else", has_faces=False)
