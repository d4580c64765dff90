"""The root of the command line: its commands, and how their errors are reported."""

from __future__ import annotations

import errno
import importlib
import os
import sys
import traceback
from contextlib import redirect_stdout
from itertools import takewhile

import click

from couponctl import __version__
from couponctl.aio.signals import Interrupted
from couponctl.cli.exit_codes import ExitCode, exit_code_for
from couponctl.cli.invocation import Invocation, common_options
from couponctl.cli.stdout import Answers, OutputFailed
from couponctl.errors import CouponctlError, Invalid, TooFewFiles

_SUMMARIES = {
    "create": "Create a coupon.",
    "claim": "Claim a coupon for one user or many.",
    "show": "Show a coupon's stock, and who claimed it.",
    "list": "List coupons with their stock.",
    "verify": "Audit the ledger: counters against claims.",
    "stats": "Show the pool and the server.",
    "drill": "Run load and fault tests against the claim path.",
    "runs": "List saved drill runs, show one, compare two.",
    "bench": "Measure the strategies against pgbench.",
    "db": "Create the tables; run the embedded server.",
    "tui": "Open the console.",
    "doctor": "Find what is wrong and how to fix it.",
}
"""Every command; the module couponctl.cli.NAME holds it, and is imported only when it is called."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_SUMMARIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _SUMMARIES:
            return None
        command = importlib.import_module(f"couponctl.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as error:
            raise click.exceptions.NoSuchCommand(
                error.command_name, possibilities=_SUMMARIES, ctx=ctx
            ) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_SUMMARIES.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="couponctl")
@common_options
def cli() -> None:
    """Run flash sales on PostgreSQL: create coupons, claim them, and prove before the sale that the
    database survives it.

    Without a database named by --url, COUPONCTL_URL, --context or PGHOST and the like, couponctl runs a
    private PostgreSQL of its own.
    """


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code; every error becomes one sentence."""
    options = list(takewhile(lambda argument: argument != "--", arguments))
    verbose = "-v" in options or "--verbose" in options
    invocation = Invocation(json="--json" in options, verbose=verbose, arguments=tuple(arguments))
    code: int | None = None
    try:
        code = _answered(invocation, arguments)
    finally:
        if invocation.log is not None:
            from couponctl.cli.logs import ended  # noqa: PLC0415 - it was loaded to open the log

            ended(invocation.log, code)
            if lost := invocation.log.lost:
                invocation.say(f"couponctl: {lost} records of the log could not be written")
    return code


def _answered(invocation: Invocation, arguments: list[str]) -> int:
    try:
        with redirect_stdout(Answers(sys.stdout)):
            return _run(invocation, arguments)
    except OutputFailed as failure:
        return _without_output(invocation, failure.why)


def _run(invocation: Invocation, arguments: list[str]) -> int:
    try:
        result = cli.main(arguments, prog_name="couponctl", standalone_mode=False, obj=invocation)
    except CouponctlError as error:
        invocation.fail(error)
        return exit_code_for(error)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return ExitCode.INVALID
    except click.ClickException as error:
        invocation.fail(_usage(error))
        return ExitCode.INVALID
    except (Interrupted, KeyboardInterrupt, click.Abort) as interruption:
        invocation.say("couponctl: interrupted")
        return getattr(interruption, "exit_code", ExitCode.INTERRUPTED)
    except OutputFailed:
        raise
    except Exception as error:  # noqa: BLE001 - a traceback is shown only on request
        return _unexpected(invocation, error)
    return result if isinstance(result, int) else ExitCode.OK


def _usage(error: click.ClickException) -> Invalid:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "couponctl"
    message = error.format_message().rstrip(".")
    return Invalid("usage", f"{message} (see `{command} --help`)")


def _without_output(invocation: Invocation, why: OSError) -> int:
    # The flush at exit must not report the error again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(why, BrokenPipeError):  # the reader has seen enough
        return ExitCode.BROKEN_PIPE
    reason = "stdout is closed" if why.errno == errno.EBADF else why.strerror
    invocation.say(f"couponctl: the answer cannot be written: {reason}; what the command has changed remains")
    return ExitCode.INVALID


def _unexpected(invocation: Invocation, error: Exception) -> int:
    if TooFewFiles.explains(error):
        invocation.fail(TooFewFiles())
        return ExitCode.UNAVAILABLE
    if invocation.log is not None:
        from couponctl.cli.logs import note_unexpected  # noqa: PLC0415 - as above

        note_unexpected(error)
    invocation.fail(CouponctlError())
    if invocation.verbose:
        for line in traceback.format_exc().splitlines():
            invocation.say(line)
    else:
        invocation.say("couponctl: run it again with -v for the details of a bug report")
    return ExitCode.UNEXPECTED
