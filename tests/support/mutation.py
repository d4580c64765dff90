"""Mutates what must not be wrong, and shows which mutants no test kills: `make mutation`."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support import servers

AT_ONCE = "2"


def main(mutants: list[str]) -> None:
    """Test these mutants, or all; on one server, for to start one takes as long as to test a mutant."""
    with (
        servers.open_directory() as directory,
        servers.test_server(directory / "server") as (name, url),
    ):
        if name != servers.NAMED:
            servers.mark(url)
        environment = {**os.environ, servers.NAMED: url}
        for command in (["run", "--max-children", AT_ONCE, *mutants], ["results"]):
            subprocess.run([sys.executable, "-m", "mutmut", *command], env=environment, check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
