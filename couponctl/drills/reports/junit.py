"""Reports as JUnit XML, the format that CI systems read: a drill is a suite, a check is a case.

After the schema of Jenkins' xUnit plug-in (junit-10.xsd). Characters that XML 1.0
forbids, and all others that do not show, are spelled out by `present.safe`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from couponctl.drills.drill import Verdict
from couponctl.drills.reports.text import report_lines, shown
from couponctl.present import safe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from couponctl.drills.reports.report import Report

CONCLUSION = "the drill comes to a conclusion"
"""The test case without a check; it is an error if the verdict is INCONCLUSIVE."""


def junit(reports: Sequence[Report]) -> str:
    """One document for any number of drills, ending in a line break."""
    root = ET.Element("testsuites", name="couponctl drill")
    root.extend(_suite(report) for report in reports)
    _count(root)
    root.set("time", _seconds(sum(report.elapsed for report in reports)))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _suite(report: Report) -> ET.Element:
    suite = ET.Element("testsuite", name=report.drill)
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(report).items():
        ET.SubElement(properties, "property", name=name, value=safe(value))
    for check in report.checks:
        case = _case(suite, report, f"{check.id}: {check.promise}")
        if not check.held:
            message = f"expected {shown(check.expected)}, observed {shown(check.observed)}"
            _problem(case, "failure", message)
    for level in report.slos:
        case = _case(suite, report, f"service level {level.objective.expression}")
        if level.met is not True:
            _problem(case, "error" if level.met is None else "failure", f"observed {level.words}")
    conclusion = _case(suite, report, CONCLUSION)
    if report.unfinished or report.verdict is Verdict.INCONCLUSIVE:
        _problem(conclusion, "error", report.unfinished or "nothing was measured")
    _count(suite)
    suite.set("time", _seconds(report.elapsed))
    lines = "\n".join(safe(line) for line in report_lines(report))
    ET.SubElement(suite, "system-out").text = f"\n{lines}\n"
    return suite


def _properties(report: Report) -> dict[str, str]:
    return {
        "verdict": report.verdict.value,
        "run_id": report.run_id,
        "seed": str(report.seed),
        "strategy": report.strategy,
        "server_version": report.server.version,
        "server": report.server.where,
        **{name: f"{value:g}" for name, value in report.parameters.items()},
        **({"unlogged": "true"} if report.unlogged else {}),
        **({"left_behind": report.left_behind} if report.left_behind else {}),
    }


def _case(suite: ET.Element, report: Report, name: str) -> ET.Element:
    classname = f"couponctl.drill.{report.drill}"
    return ET.SubElement(suite, "testcase", name=safe(name), classname=classname, time="0.000")


def _problem(case: ET.Element, kind: str, message: str) -> None:
    message = safe(message)
    ET.SubElement(case, kind, message=message, type=kind).text = message


def _count(element: ET.Element) -> None:
    """Set the numbers of cases, failures and errors below the element."""
    element.set("tests", str(len(element.findall(".//testcase"))))
    element.set("failures", str(len(element.findall(".//failure"))))
    element.set("errors", str(len(element.findall(".//error"))))


def _seconds(value: float) -> str:
    return f"{value:.3f}"
