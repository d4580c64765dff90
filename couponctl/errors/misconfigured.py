"""The operator must fix something before it can work."""

from __future__ import annotations

from dataclasses import dataclass

from couponctl.errors.base import CouponctlError


class Misconfigured(CouponctlError):
    """The operator must fix something.

    `couponctl doctor` says what.
    """

    code = "misconfigured"


@dataclass(eq=False)
class BadSettings(Misconfigured):
    """{problem}.

    {way_out}
    """

    problem: str
    way_out: str


class SchemaMissing(Misconfigured):
    """This database has no coupons and claims tables where the role looks for them, or they lack a column.

    `couponctl db init` creates the tables; `couponctl doctor` says which database this is.
    """

    code = "schema_missing"


class SchemaUnfit(Misconfigured):
    """The tables coupons and claims are not of the types that couponctl works with.

    Names and user ids must be varchar, text or citext, amounts numbers; `couponctl doctor` names the columns.
    """

    code = "schema_unfit"


class NoPrivilege(Misconfigured):
    """The role may not do this here: it lacks a privilege, or a row-level security policy forbids it.

    A privilege can be granted, and a policy be changed, by the owner; `couponctl doctor` names the GRANT.
    """

    code = "no_privilege"
    status = 403


@dataclass(eq=False)
class MayNotDrill(NoPrivilege):
    """Role {role} may not create a schema in this database, and a drill works in one of its own.

    Its owner can allow it: {grant}
    """

    role: str
    grant: str
    """The statement, names quoted as SQL wants them."""


class LoginRefused(Misconfigured):
    """The server refuses the login: by role, password, database, certificate or address.

    Check them; the server's log says which it was.
    """

    code = "login_refused"
    status = 401


class ReadOnlyServer(Misconfigured):
    """This server is read-only: a standby, or set so.

    Point couponctl at the primary.
    """

    code = "read_only_server"


@dataclass(eq=False)
class ServerFailed(Misconfigured):
    """The server itself has failed: {reason}.

    Its log says more; what was being done was rolled back.
    """

    code = "server_failed"
    reason: str
