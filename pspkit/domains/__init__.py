"""The domains: kinds of pictures, each with its decoder, identity network, face box, losses and data in one object."""

from pspkit.domains.domain import SHIPPED_PROFILE, WEIGHTS, Domain
from pspkit.domains.heads import HEAD_BOX, IDENTITY_SIDE
from pspkit.domains.registry import DOMAINS, get_domain, register_domain

__all__ = [
    "DOMAINS",
    "HEAD_BOX",
    "IDENTITY_SIDE",
    "SHIPPED_PROFILE",
    "WEIGHTS",
    "Domain",
    "get_domain",
    "register_domain",
]
