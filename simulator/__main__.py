"""`python -m simulator`: options in, a run, an exit code out."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from simulator.interrupts import Interrupts
from simulator.options import read_options
from simulator.report import Console
from simulator.simulation import ServerNotThere, Simulation, check_server


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the simulator; the exit code is 0 after a run, 1 when there is no server, 2 for wrong options."""
    options = read_options(arguments)
    with Interrupts() as interrupts, Console(sys.stdout, sys.stderr) as console:
        try:
            check_server(options.url, options.timeout)
        except ServerNotThere as missing:
            print(f"simulator: {missing}", file=sys.stderr)
            return 1
        Simulation(options, console).run(lambda: not interrupts.count)
    return 0


if __name__ == "__main__":
    sys.exit(main())
