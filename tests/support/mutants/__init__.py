"""Claims and databases that are wrong on purpose: a drill that does not catch them proves nothing."""

from __future__ import annotations

from tests.support.mutants import answers, claims, reading, resources, retries, services, tables
from tests.support.mutants.resources import give_back_kept
from tests.support.mutants.services import give_back_leaked

MUTANTS = (
    *claims.MUTANTS,
    *services.MUTANTS,
    *answers.MUTANTS,
    *reading.MUTANTS,
    *retries.MUTANTS,
    *resources.MUTANTS,
    *tables.MUTANTS,
)

__all__ = ["MUTANTS", "give_back_kept", "give_back_leaked"]
