"""What can go wrong before a connection is there, each with a way out of its own."""

from __future__ import annotations

from dataclasses import dataclass

from couponctl.errors.misconfigured import LoginRefused, Misconfigured
from couponctl.errors.unavailable import Unreachable


class HostUnknown(Unreachable):
    """The database cannot be reached: {reason}.

    Correct the host name, or the name service that should know it; `couponctl doctor` looks closer.
    """


class Silent(Unreachable):
    """The database cannot be reached: {reason}.

    Check that the server runs and no firewall is in the way; `couponctl doctor` looks closer.
    """


class NotAccepting(Unreachable):
    """The database cannot be reached: {reason}.

    Try again later; `couponctl doctor` looks closer.
    """


class NoHostFits(Unreachable):
    """The database cannot be reached: {reason}.

    Name a host that fits, or another target_session_attrs.
    """


@dataclass(eq=False)
class WrongPassword(LoginRefused):
    """The server refuses the login: wrong password for role {role}, or no such role; {given}.

    The password may stand in PGPASSWORD, ~/.pgpass or the service file.
    """

    role: str
    given: str
    """Where the password came from, if there was one."""


@dataclass(eq=False)
class MayNotLogIn(LoginRefused):
    """The server refuses the login: there is no role {role}, it may not log in, or not as this user.

    Check the role; a superuser can make it: CREATE ROLE, or ALTER ROLE with LOGIN.
    """

    role: str


@dataclass(eq=False)
class NotAdmitted(LoginRefused):
    """The server refuses the login: its pg_hba.conf does not admit role {role} to database {database} {way}.

    Try another sslmode, or ask its administrator for a line there.
    """

    role: str
    database: str
    way: str
    """From this address, and with or without TLS, as far as it is known."""


@dataclass(eq=False)
class CertificateWanted(LoginRefused):
    """The server refuses the login: it requires a client certificate from role {role}, and got none.

    Name its files: sslcert and sslkey, or PGSSLCERT and PGSSLKEY.
    """

    role: str


@dataclass(eq=False)
class CertificateRefused(LoginRefused):
    """The server refuses the login: it does not accept the client certificate ({why}).

    Have it signed by an authority that the server trusts, and check sslcert and sslkey.
    """

    why: str


@dataclass(eq=False)
class UnknownDatabase(LoginRefused):
    """The server refuses the login: it has no database {database}.

    Check the database name, or create it: {statement}
    """

    database: str
    statement: str


@dataclass(eq=False)
class MayNotConnect(LoginRefused):
    """The server refuses the login: role {role} may not connect to this database, or nobody may now.

    Its owner can allow it: {grant}
    """

    role: str
    grant: str


@dataclass(eq=False)
class ServerNotTrusted(Misconfigured):
    """The server's certificate is not trusted: {why}.

    {way_out}
    """

    why: str
    way_out: str


@dataclass(eq=False)
class TlsNotOffered(Misconfigured):
    """The server at {where} offers no TLS, and sslmode={mode} requires it.

    Switch TLS on there; where plain text is acceptable, use sslmode=prefer.
    """

    where: str
    mode: str


@dataclass(eq=False)
class TlsNotAgreed(Misconfigured):
    """No encrypted connection could be agreed with {where}: {why}.

    Check sslmode, the TLS versions that both sides allow, and the certificates.
    """

    where: str
    why: str


class TlsFilesUnusable(Misconfigured):
    """A file for TLS is not there, or holds no certificate, no key, or another certificate's key.

    Check the files of sslcert, sslkey, sslrootcert and sslcrl, or those in ~/.postgresql.
    """
