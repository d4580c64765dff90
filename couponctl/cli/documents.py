"""The JSON shapes of models; field names are a contract, more may follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from couponctl.drills.drill import Drill
    from couponctl.models import Audit, Coupon
    from couponctl.service import Attempt


def coupon_document(coupon: Coupon) -> dict[str, Any]:
    return {
        "name": coupon.name,
        "amount": coupon.amount,
        "remaining_amount": coupon.remaining_amount,
        "created_at": coupon.created_at.isoformat() if coupon.created_at else None,
    }


def attempt_document(attempt: Attempt) -> dict[str, Any]:
    return {
        "user_id": attempt.user_id,
        "outcome": attempt.outcome.value,
        "status": attempt.outcome.status,
    }


def audit_document(audit: Audit) -> dict[str, Any]:
    return {
        "ok": audit.ok,
        "coupons": audit.coupons,
        "claims": audit.claims,
        "findings": [
            {"coupon": finding.coupon, "kind": finding.kind.value, "detail": finding.detail}
            for finding in audit.findings
        ],
    }


def drill_document(drill: Drill[Any]) -> dict[str, Any]:
    return {
        "name": drill.name,
        "title": drill.title,
        "promise": drill.promise,
        "blast_radius": drill.blast_radius,
        "faults": list(drill.faults),
        "parameters": [
            {"name": each.name, "default": each.default, "meaning": each.meaning}
            for each in drill.parameters.described()
        ],
    }
