"""Finds the tables, and creates missing ones: never a second pair beside the first, unless asked to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from sqlalchemy import text

from couponctl.errors import BadSettings
from couponctl.ledger.schema import Applied, apply_schema
from couponctl.ledger.tables import metadata
from couponctl.postgres.login_errors import quoted

if TYPE_CHECKING:
    from couponctl.postgres.database import Database, Session

_NAMES = tuple(metadata.tables)
_COLUMNS = {table.name: {column.name for column in table.columns} for table in metadata.tables.values()}


@dataclass(frozen=True, slots=True)
class Places:
    """Where a role finds the tables, and which other schemas have them."""

    role: str
    """The role that logged in, whose search_path applies."""
    makes_in: str | None
    """The schema in which it would create tables; None if its search_path finds none."""
    found: dict[str, str]
    """The schema of each table that the search_path finds."""
    elsewhere: dict[str, bool]
    """Other schemas with both tables, and whether the role may use them."""
    searched: tuple[str, ...]
    """The schemas that the search_path names, whether or not they exist and may be used."""

    @property
    def complete(self) -> bool:
        return len(self.found) == len(_NAMES)

    @property
    def astray(self) -> tuple[str, str] | None:
        """The problem and its remedy if the tables are only in another schema, else None."""
        if self.complete or not self.elsewhere:
            return None
        schema, may_use = next(iter(self.elsewhere.items()))
        one_of = "" if len(self.elsewhere) == 1 else f", as in {', '.join(list(self.elsewhere)[1:])}"
        ways = [] if may_use else [f"GRANT USAGE ON SCHEMA {quoted(schema)} TO {quoted(self.role)};"]
        why = f"which role {self.role} may not use"
        if schema not in self.searched:
            ways.append(f"ALTER ROLE {quoted(self.role)} SET search_path = {quoted(schema)};")
            if may_use:
                option = quote(f"-csearch_path={quoted(schema)}", safe="")
                ways[-1] += f" or add ?options={option} to the URL"
            why = f"which the search_path of role {self.role} does not have"
        return f"{' and '.join(_NAMES)} are in schema {schema}{one_of}, {why}", " ".join(ways)


_PLACES = text("""
    SELECT relname, nspname, has_schema_privilege(pg_namespace.oid, 'USAGE') AS may_use,
           coalesce(pg_class.oid = to_regclass(relname), false) AS found,
           (SELECT array_agg(attname::text) FROM pg_attribute
             WHERE attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped) AS columns
      FROM pg_class JOIN pg_namespace ON relnamespace = pg_namespace.oid
     WHERE relname = ANY (:names) AND relkind IN ('r', 'p', 'v', 'f')
       AND nspname !~ '^(couponctl_|pg_toast|pg_temp)'
     ORDER BY nspname
""")

_ROLE = text(
    "SELECT session_user AS role, current_schema() AS makes_in, current_setting('search_path') AS path,"
    " current_user AS acts_as"
)


async def places(session: Session) -> Places:
    """Look for the tables in every schema, including those that the role may not use."""
    role = (await session.execute(_ROLE)).one()
    rows = (await session.execute(_PLACES, {"names": list(_NAMES)})).all()
    found = {row.relname: row.nspname for row in rows if row.found}
    ours = [row for row in rows if _COLUMNS[row.relname] <= set(row.columns or ())]
    pairs = {row.nspname: row.may_use for row in ours if row.relname == _NAMES[0]}
    with_both = {row.nspname for row in ours if row.relname == _NAMES[1]} & pairs.keys()
    elsewhere = {schema: pairs[schema] for schema in pairs if schema in with_both - set(found.values())}
    names = [name.strip().strip('"').replace('""', '"') for name in role.path.split(",")]
    searched = tuple(role.acts_as if name == "$user" else name for name in names)
    return Places(role.role, role.makes_in, found, elsewhere, searched)


async def set_up(database: Database, schema: str | None = None) -> Applied:
    """Create the missing tables, in `schema` or where the role creates tables; all or none.

    If both exist, no DDL is run, which would require privileges. Raises BadSettings if another schema has
    them and none is named, or if there is no schema for them.
    """
    async with database.session("AUTOCOMMIT") as session:
        found = await places(session)
        exists = text("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = :schema)")
        if schema is not None and not (await session.execute(exists, {"schema": schema})).scalar_one():
            raise BadSettings(f"there is no schema {schema}", f"Make it: CREATE SCHEMA {quoted(schema)};")
    if schema is None:
        if found.complete:
            return Applied((), _NAMES)
        if found.astray:
            problem, way_out = found.astray
            raise BadSettings(problem, f"{way_out} For a second pair name its schema: --schema")
        if found.makes_in is None:
            raise BadSettings(f"the search_path of role {found.role} finds no schema", _no_schema(found))
    elif set(found.found.values()) == {schema} and found.complete:
        return Applied((), _NAMES)
    return await apply_schema(database, schema=None if schema is None else quoted(schema))


def _no_schema(found: Places) -> str:
    wanted = next((name for name in found.searched if name and name != "$user"), "public")
    return (
        f"CREATE SCHEMA {quoted(wanted)}; or GRANT USAGE ON it, or "
        f"ALTER ROLE {quoted(found.role)} SET search_path to one that is there."
    )
