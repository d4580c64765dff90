"""Saved runs of drills, one JSON file each, in a directory that never grows beyond its bounds.

A file is named for its time, drill and run, so that a listing is in order and says what is where:

    20261120T210311.123456Z-flash-sale-0badcafe.json

It holds the report, who made it and with which versions; the server's address is in it, never a password.
"""

from __future__ import annotations

import json
import platform
import re
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from time import time
from typing import TYPE_CHECKING, Any

from couponctl import __version__
from couponctl.drills.check import some
from couponctl.drills.reports.conclusion import conclusion
from couponctl.drills.reports.decode import Facts
from couponctl.drills.reports.report import Report
from couponctl.embedded.directory import write_private
from couponctl.errors import BadSettings, Invalid, RunNotFound
from couponctl.present import milliseconds, moment, safe
from couponctl.present.table import Table, numbers, texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

FORMAT = 1
"""The version of the file format; every change of the format increments it."""

MOST_RUNS = 500
"""`drill all` thirty times over; all of them are read in a tenth of a second."""
MOST_BYTES = 50_000_000
"""A run takes about five thousand bytes; this bound is for unusually large ones."""

_ABANDONED = 60.0
"""Seconds after which an unfinished file counts as abandoned."""

_FILE = re.compile(
    r"[0-9]{8}T[0-9]{6}\.[0-9]{6}Z-(?P<drill>[a-z][a-z0-9-]*)-(?P<run_id>[0-9a-f]+)\.(?P<state>json|new)"
)
_LATEST = re.compile(r"last(?:~(?P<before>[0-9]{1,6}))?")
_OTHER_PLACE = "Set XDG_STATE_HOME to another directory, of your own and with free space."


@dataclass(frozen=True, slots=True)
class SavedRun:
    """A saved run; its report has no journal."""

    at: datetime
    """When it was saved, in UTC."""
    made_by: str
    """`cli` or `console`."""
    python: str
    couponctl: str
    """The versions that ran it."""
    report: Report

    @property
    def file_name(self) -> str:
        return f"{self.at:%Y%m%dT%H%M%S.%fZ}-{self.report.drill}-{self.report.run_id}.json"

    def as_json(self) -> dict[str, Any]:
        """The content of the file."""
        return {
            "kept": FORMAT,
            "at": self.at.isoformat(),
            "made_by": self.made_by,
            "python": self.python,
            "couponctl": self.couponctl,
            "report": self.report.as_json(),
        }

    @classmethod
    def from_json(cls, document: object) -> SavedRun:
        """Read a run from the JSON of `as_json`. Raises Invalid for anything else."""
        facts = Facts(document)
        if facts.one("kept", int) != FORMAT:
            raise Invalid("saved run", "another version of couponctl wrote it")
        try:
            at = datetime.fromisoformat(facts.one("at", str)).astimezone(UTC)
        except (ValueError, OverflowError) as exc:
            raise Invalid("saved run", "it has no time") from exc
        return cls(
            at=at,
            made_by=facts.one("made_by", str),
            python=facts.one("python", str),
            couponctl=facts.one("couponctl", str),
            report=Report.from_json(facts.anything("report")),
        )


@dataclass(frozen=True, slots=True)
class Listing:
    """Saved runs, newest first."""

    runs: tuple[SavedRun, ...]
    skipped: int
    """Unreadable files among them: broken, or of another version of couponctl."""
    more: bool
    """Whether there are older ones beyond the limit."""


@dataclass(frozen=True, slots=True)
class _File:
    """A file with the name of a run; its content is not read yet."""

    path: Path
    drill: str
    run_id: str
    whole: bool
    """False while it is being written, and for good if its writer was killed."""

    def read(self) -> SavedRun:
        """Read the run. Raises Invalid if the file holds no run, or another than its name says."""
        try:
            run = SavedRun.from_json(json.loads(self.path.read_bytes()))
        except (OSError, ValueError, RecursionError, Invalid) as exc:
            raise self._unreadable from exc
        if run.file_name != self.path.name:
            raise self._unreadable
        return run

    @property
    def _unreadable(self) -> Invalid:
        return Invalid(f"run {self.run_id}", f"{self.path} is broken, or of another version of couponctl")


class RunStore:
    """The saved runs of one directory. Every method raises BadSettings if the directory is unusable."""

    def __init__(self, directory: Path, *, most_runs: int = MOST_RUNS, most_bytes: int = MOST_BYTES) -> None:
        self.directory = directory
        self._most_runs = most_runs
        self._most_bytes = most_bytes

    def save(self, report: Report, *, made_by: str) -> SavedRun:
        """Save a run atomically, readable only by the user; delete the oldest ones beyond the bounds."""
        run = SavedRun(datetime.now(UTC), made_by, platform.python_version(), __version__, report)
        path = self.directory / run.file_name
        fresh = path.with_suffix(".new")
        with self._explained():
            self.directory.mkdir(0o700, parents=True, exist_ok=True)
            try:
                write_private(fresh, json.dumps(run.as_json()))
                fresh.replace(path)
            finally:
                fresh.unlink(missing_ok=True)
            self._prune()
        return run

    def list(self, *, drill: str | None = None, limit: int = MOST_RUNS) -> Listing:
        """The newest runs, of one drill or of all."""
        runs: list[SavedRun] = []
        skipped = 0
        for file in self._runs():
            if drill not in {None, file.drill}:
                continue
            if len(runs) == limit:
                return Listing(tuple(runs), skipped, more=True)
            try:
                runs.append(file.read())
            except Invalid:
                skipped += 1
        return Listing(tuple(runs), skipped, more=False)

    def find(self, name: str) -> SavedRun:
        """Find the run whose id begins with `name`; or `last`, `last~1` (the one before), `last~2`…

        Raises RunNotFound, and Invalid if several match or the file cannot be read.
        """
        if latest := _LATEST.fullmatch(name):
            before = int(latest["before"] or 0)
            for run in self.list(limit=before + 1).runs[before:]:
                return run
            raise RunNotFound(name)
        found = [file for file in self._runs() if file.run_id.startswith(name)]
        if not found:
            raise RunNotFound(name)
        if len(found) > 1:
            begin = some([file.run_id for file in found])
            raise Invalid(f'run "{name}"', f"{len(found)} runs begin like that: {begin}")
        return found[0].read()

    def run_ids(self) -> tuple[str, ...]:
        """Newest first; no file is opened."""
        return tuple(file.run_id for file in self._runs())

    def _runs(self) -> Iterator[_File]:
        return (file for file in self._files() if file.whole)

    def _files(self) -> Sequence[_File]:
        """Return the files of runs, newest first; never a pipe or the like: reading it would not end."""
        with self._explained():
            try:
                paths = sorted(self.directory.iterdir(), reverse=True)
            except FileNotFoundError:
                return ()
        return [
            _File(path, named["drill"], named["run_id"], whole=named["state"] == "json")
            for path in paths
            if (named := _FILE.fullmatch(path.name)) and path.is_file()
        ]

    def _prune(self) -> None:
        number = size = 0
        for file in self._files():
            with suppress(OSError):  # another process may have removed it, and no file is worth an error
                facts = file.path.stat()
                if file.whole:
                    number += 1
                    size += facts.st_size
                    surplus = number > self._most_runs or size > self._most_bytes
                else:
                    surplus = time() - facts.st_mtime > _ABANDONED
                if surplus:
                    file.path.unlink()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            problem = f"{self.directory} cannot hold saved runs: {exc.strerror or 'it is of no use'}"
            raise BadSettings(problem, _OTHER_PLACE) from exc


def default_directory() -> Path:
    """Return the directory of saved runs. Raises BadSettings for a user without a home."""
    from platformdirs import user_state_path  # noqa: PLC0415 - only this one function needs it

    try:
        return user_state_path("couponctl") / "runs"
    except RuntimeError as exc:
        raise BadSettings("There is no home directory to save runs in", _OTHER_PLACE) from exc


def run_table(runs: Sequence[SavedRun]) -> Table:
    """Return a row per run, safe to print; percentiles are of the outcome beside them."""
    columns = texts("FINISHED", "RUN", "DRILL", "VERDICT") + numbers("ATTEMPTS", "P50", "P99")
    return Table(columns + texts("OF") + numbers("CLAIMS/S"), [_cells(run) for run in runs])


def _cells(run: SavedRun) -> tuple[str, ...]:
    report = run.report
    return (
        moment(run.at),
        safe(report.run_id),
        safe(report.drill),
        str(conclusion(report)),
        f"{report.answers:,}",
        *_percentiles(report),
        "" if report.claims_per_s is None else f"{report.claims_per_s:,.0f}",
    )


def _percentiles(report: Report) -> tuple[str, str, str]:
    if report.leading is None:
        return ("", "", "")
    latency = report.latency[report.leading]
    return (milliseconds(latency.p50), milliseconds(latency.p99), report.leading.label)


def origin_words(run: SavedRun) -> str:
    """When, by what and where a run was made, safe to print."""
    versions = f"couponctl {run.couponctl}, Python {run.python}"
    return safe(
        f"run {run.report.run_id}, finished {moment(run.at)} by the {run.made_by} ({versions}), "
        f"on {run.report.server.place}"
    )
