"""Tables that are damaged behind the back of a service that is right."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from sqlalchemy import text

from couponctl.service import CouponService
from tests.support.mutants.mutant import Mutant

if TYPE_CHECKING:
    from couponctl.models import Coupon


class _Damaged(CouponService):
    """Damages the tables once the coupon is there."""

    damage: ClassVar[str]

    async def create(self, name: str, amount: int) -> Coupon:
        coupon = await super().create(name, amount)
        async with self.database.session() as session:
            for statement in self.damage.format(schema=self.database.schema).split(";;"):
                await session.execute(text(statement))
            await session.commit()
        return coupon


class WithoutKey(_Damaged):
    damage = "ALTER TABLE {schema}.claims DROP CONSTRAINT IF EXISTS claims_pkey"


class _WithoutCheck(_Damaged):
    damage = "ALTER TABLE {schema}.coupons DROP CONSTRAINT IF EXISTS coupons_remaining_within_amount"


class _Vanishing(_Damaged):
    """A trigger quietly removes claims at commit."""

    damage = """
        CREATE OR REPLACE FUNCTION {schema}.vanish() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN DELETE FROM {schema}.claims WHERE user_id = NEW.user_id; RETURN NULL; END $$
        ;; DROP TRIGGER IF EXISTS vanish ON {schema}.claims
        ;; CREATE CONSTRAINT TRIGGER vanish AFTER INSERT ON {schema}.claims
           DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION {schema}.vanish()
    """


class _Backdating(_Damaged):
    """A trigger writes claims as of yesterday."""

    damage = """
        CREATE OR REPLACE FUNCTION {schema}.backdate() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN NEW.created_at = now() - interval '1 day'; RETURN NEW; END $$
        ;; DROP TRIGGER IF EXISTS backdate ON {schema}.claims
        ;; CREATE TRIGGER backdate BEFORE INSERT ON {schema}.claims
           FOR EACH ROW EXECUTE FUNCTION {schema}.backdate()
    """


class _DatedAsTheirCoupon(_Damaged):
    """A trigger writes claims as of the moment at which their coupon was created."""

    damage = """
        CREATE OR REPLACE FUNCTION {schema}.dated() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN NEW.created_at = (SELECT created_at FROM {schema}.coupons WHERE name = NEW.coupon_name);
        RETURN NEW; END $$
        ;; DROP TRIGGER IF EXISTS dated ON {schema}.claims
        ;; CREATE TRIGGER dated BEFORE INSERT ON {schema}.claims
           FOR EACH ROW EXECUTE FUNCTION {schema}.dated()
    """


class _LosesOfMany(_Damaged):
    """A trigger takes two units for a claim where there are very many."""

    damage = """
        CREATE OR REPLACE FUNCTION {schema}.two() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN NEW.remaining_amount = NEW.remaining_amount - 1; RETURN NEW; END $$
        ;; DROP TRIGGER IF EXISTS two ON {schema}.coupons
        ;; CREATE TRIGGER two BEFORE UPDATE ON {schema}.coupons
           FOR EACH ROW WHEN (OLD.amount > 1000000) EXECUTE FUNCTION {schema}.two()
    """


class _PunctuationIgnored(_Damaged):
    """A unique index takes users for one who differ in punctuation only."""

    damage = """
        CREATE UNIQUE INDEX IF NOT EXISTS alike
            ON {schema}.claims (coupon_name, translate(user_id, '-', ''))
    """


class _WithoutReferences(_Damaged):
    """The database applies what others wrote, as a subscriber does: nothing is looked up for foreign keys."""

    damage = """
        DO $$ BEGIN
            EXECUTE format('ALTER DATABASE %I SET session_replication_role = replica', current_database());
        END $$
    """


class _Endless(_Damaged):
    """Claims are dated where no calendar has a day."""

    damage = "ALTER TABLE {schema}.claims ALTER created_at SET DEFAULT 'infinity'"


MUTANTS = (
    Mutant("claims dated for ever", service_class=_Endless),
    Mutant("claims vanish", service_class=_Vanishing),
    Mutant("no check constraint", service_class=_WithoutCheck),
    Mutant("foreign keys asleep", service_class=_WithoutReferences),
    Mutant("claims backdated", service_class=_Backdating),
    Mutant("two of very many taken", service_class=_LosesOfMany),
    Mutant("punctuation ignored", service_class=_PunctuationIgnored),
    Mutant("claims dated as their coupon", service_class=_DatedAsTheirCoupon),
)
