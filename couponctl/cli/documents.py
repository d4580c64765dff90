"""The JSON documents of models; field names are a contract, and fields may be added."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from couponctl.errors import RefusedByDatabase

if TYPE_CHECKING:
    from couponctl.drills.drill import Drill
    from couponctl.drills.reports.store import SavedRun
    from couponctl.models import Audit, Claim, Coupon, Hidden
    from couponctl.service import Attempt


def sight(hidden: Hidden | None) -> dict[str, str]:
    """Whether the role in use sees all of the ledger."""
    return {"visible": "partly" if hidden else "all"}


def coupon_document(coupon: Coupon) -> dict[str, Any]:
    return {
        "name": coupon.name,
        "amount": coupon.amount,
        "remaining_amount": coupon.remaining_amount,
        "created_at": coupon.created_at.isoformat() if coupon.created_at else None,
    }


def claim_document(claim: Claim) -> dict[str, Any]:
    return {
        "user_id": claim.user_id,
        "created_at": claim.created_at.isoformat() if claim.created_at else None,
    }


def attempt_document(attempt: Attempt) -> dict[str, Any]:
    document = {
        "user_id": attempt.user_id,
        "outcome": attempt.outcome.value,
        "status": attempt.outcome.status,
    }
    if isinstance(attempt.refusal, RefusedByDatabase):
        document["reason"] = attempt.refusal.reason
    return document


def audit_document(audit: Audit) -> dict[str, Any]:
    return {
        "ok": None if audit.inconclusive else audit.ok,
        "coupons": audit.coupons,
        "claims": audit.claims,
        "findings": [
            {"coupon": finding.coupon, "kind": finding.kind.value, "detail": finding.detail}
            for finding in audit.findings
        ],
        "not_told": list(audit.not_told),
        **sight(audit.hidden),
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


def run_document(run: SavedRun) -> dict[str, Any]:
    """Return the entry of a saved run in a listing; the percentiles are those of `latency_of`."""
    report = run.report
    latency = report.latency[report.leading] if report.leading else None
    return {
        "run_id": report.run_id,
        "at": run.at.isoformat(),
        "made_by": run.made_by,
        "drill": report.drill,
        "verdict": report.verdict.value,
        "attempts": report.answers,
        "latency_of": report.leading,
        "p50_ms": latency and latency.p50,
        "p99_ms": latency and latency.p99,
        "claims_per_s": report.claims_per_s,
    }
