"""Everything that couponctl raises on purpose, grouped by who must act.

CouponctlError
├── Refused             a claim or a create is refused
│   ├── CouponNotFound
│   │   ├── CouponMisnamed
│   │   └── CouponNotSeen
│   ├── ClaimNotSeen
│   ├── CouponExists
│   ├── SoldOut
│   └── AlreadyClaimed
├── RefusedByDatabase   the database refuses it by a rule of its own
│   └── KeyTaken
├── Invalid             the input is wrong
├── RunNotFound         there is no saved run of this name
├── Unavailable         the database cannot answer now
│   ├── Unreachable
│   │   ├── HostUnknown
│   │   ├── Silent
│   │   ├── NotAccepting
│   │   └── NoHostFits
│   ├── TooFewFiles
│   ├── PoolExhausted
│   ├── TimedOut
│   ├── Contended
│   ├── NoHeadRoom
│   ├── OutOfResources
│   ├── ServiceClosed
│   └── OutcomeUnknown
├── Misconfigured       the operator must fix something
│   ├── BadSettings
│   ├── SchemaMissing
│   ├── SchemaUnfit
│   ├── NoPrivilege
│   │   └── MayNotDrill
│   ├── LoginRefused
│   │   ├── WrongPassword
│   │   ├── MayNotLogIn
│   │   ├── NotAdmitted
│   │   ├── CertificateWanted
│   │   ├── CertificateRefused
│   │   ├── UnknownDatabase
│   │   └── MayNotConnect
│   ├── ServerNotTrusted
│   ├── TlsNotOffered
│   ├── TlsNotAgreed
│   ├── TlsFilesUnusable
│   ├── ReadOnlyServer
│   └── ServerFailed
├── LedgerBroken        a bench found wrong claims
└── Guarded             refused by a guard

A module for each of the large families, and one for what can go wrong before a connection is there.

The first paragraph of a class's docstring is its message, the rest is the way out; `{facts}` in it
are the fields of the error. No sentence holds SQL, a SQLSTATE, the name of a driver or a password.
"""

from __future__ import annotations

from couponctl.errors.base import (
    CouponctlError,
    Guarded,
    Invalid,
    LedgerBroken,
    RunNotFound,
)
from couponctl.errors.login import (
    CertificateRefused,
    CertificateWanted,
    HostUnknown,
    MayNotConnect,
    MayNotLogIn,
    NoHostFits,
    NotAccepting,
    NotAdmitted,
    ServerNotTrusted,
    Silent,
    TlsFilesUnusable,
    TlsNotAgreed,
    TlsNotOffered,
    UnknownDatabase,
    WrongPassword,
)
from couponctl.errors.misconfigured import (
    BadSettings,
    LoginRefused,
    MayNotDrill,
    Misconfigured,
    NoPrivilege,
    ReadOnlyServer,
    SchemaMissing,
    SchemaUnfit,
    ServerFailed,
)
from couponctl.errors.refused import (
    AlreadyClaimed,
    ClaimNotSeen,
    CouponExists,
    CouponMisnamed,
    CouponNotFound,
    CouponNotSeen,
    KeyTaken,
    Refused,
    RefusedByDatabase,
    SoldOut,
)
from couponctl.errors.unavailable import (
    Contended,
    NoHeadRoom,
    OutcomeUnknown,
    OutOfResources,
    PoolExhausted,
    ServiceClosed,
    TimedOut,
    TooFewFiles,
    Unavailable,
    Unreachable,
)

__all__ = [
    "AlreadyClaimed",
    "BadSettings",
    "CertificateRefused",
    "CertificateWanted",
    "ClaimNotSeen",
    "Contended",
    "CouponExists",
    "CouponMisnamed",
    "CouponNotFound",
    "CouponNotSeen",
    "CouponctlError",
    "Guarded",
    "HostUnknown",
    "Invalid",
    "KeyTaken",
    "LedgerBroken",
    "LoginRefused",
    "MayNotConnect",
    "MayNotDrill",
    "MayNotLogIn",
    "Misconfigured",
    "NoHeadRoom",
    "NoHostFits",
    "NoPrivilege",
    "NotAccepting",
    "NotAdmitted",
    "OutOfResources",
    "OutcomeUnknown",
    "PoolExhausted",
    "ReadOnlyServer",
    "Refused",
    "RefusedByDatabase",
    "RunNotFound",
    "SchemaMissing",
    "SchemaUnfit",
    "ServerFailed",
    "ServerNotTrusted",
    "ServiceClosed",
    "Silent",
    "SoldOut",
    "TimedOut",
    "TlsFilesUnusable",
    "TlsNotAgreed",
    "TlsNotOffered",
    "TooFewFiles",
    "Unavailable",
    "UnknownDatabase",
    "Unreachable",
    "WrongPassword",
]
