"""The domains by name: the three that come with pspkit, and those that users register."""

from pspkit.config import CONFIGS
from pspkit.domains.domain import Domain
from pspkit.domains.faces import FACES
from pspkit.domains.heads import HEADS
from pspkit.domains.objects import OBJECTS
from pspkit.errors import PspkitError, check_choice, check_registered

DOMAINS = {domain.name: domain for domain in (HEADS, FACES, OBJECTS)}
OURS = frozenset(DOMAINS)


def register_domain(domain: Domain) -> Domain:
    """Adds a domain under its name, for training and for translating.

    Raises:
        PspkitError: pspkit has a domain of this name, or a profile is not in `CONFIGS`.
    """
    if domain.name in OURS:
        raise PspkitError(f"name: {domain.name!r} is a domain of pspkit already. Choose another name.")
    for profile in domain.profiles:
        check_choice("profiles", profile, tuple(CONFIGS))
    DOMAINS[domain.name] = domain
    return domain


def get_domain(name: str) -> Domain:
    """Returns the domain of this name.

    Raises:
        UnregisteredError: there is none; lists the names of those that there are.
    """
    check_registered("domain", name, DOMAINS)
    return DOMAINS[name]
