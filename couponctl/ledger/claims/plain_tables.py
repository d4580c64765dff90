"""Whether the tables store claims as they are sent: checked once per database, before its first claim."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sqlalchemy import text

from couponctl.aio.cancellation import cancel_once
from couponctl.ledger.tables import qualified
from couponctl.logs import logger

if TYPE_CHECKING:
    from couponctl.postgres.database import Database

_log = logger(__name__)

_plain = text("""
    SELECT relkind IN ('r', 'p')
       AND NOT EXISTS (
               SELECT FROM pg_trigger
                WHERE (tgrelid = c.oid OR tgrelid IN (SELECT relid FROM pg_partition_tree(c.oid)))
                  AND NOT tgisinternal AND tgenabled <> 'D'
                  AND tgtype & 7 = 7)  -- for each row, before, on INSERT
       AND NOT EXISTS (SELECT FROM pg_rewrite WHERE ev_class = c.oid AND ev_type = '3')
       AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisunique AND indexprs IS NOT NULL)
       AND NOT EXISTS (
               SELECT FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
                WHERE a.attrelid IN (c.oid, to_regclass(:coupons))
                  AND attname IN ('name', 'coupon_name', 'user_id')
                  AND CASE typtype WHEN 'd' THEN typbasetype ELSE t.oid END
                      NOT IN ('varchar'::regtype, 'text'::regtype, 'bpchar'::regtype))
      FROM pg_class AS c WHERE c.oid = to_regclass(:claims)
""")


class PlainTables:
    """The tables of one database's tables."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.plain: bool | None = None
        """None until it is known."""
        self._one_asks = asyncio.Lock()

    async def is_plain(self) -> bool:
        """Whether a claim's row is stored as it was sent, or not at all. Raises as `Database.session` does.

        False if a trigger or rule could rewrite, drop or redirect it, or the columns or keys could treat two
        texts as one. True if there are no tables: the claim itself will report that.
        """
        if self.plain is None:
            async with self._one_asks:
                if self.plain is None:
                    self.plain = await cancel_once(self._ask())
                    if not self.plain:
                        _log.info("The tables have rules of their own: each claim is made in a savepoint.")
        return self.plain

    async def _ask(self) -> bool:
        schema = self._database.schema
        parameters = {name: qualified(name, schema) for name in ("coupons", "claims")}
        async with self._database.session("AUTOCOMMIT") as session:
            return (await session.execute(_plain, parameters)).scalar_one_or_none() is not False
