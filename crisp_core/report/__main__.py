"""Command line: `python -m crisp_core.report serve` opens the pages of the results and saves their corrections."""

import argparse
import logging
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from crisp_core.errors import UserError
from crisp_core.report.server import start_server

PORT = 8765


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the pages of a folder of results on this machine alone, until Ctrl C."""
    parser = argparse.ArgumentParser(prog="python -m crisp_core.report", description=main.__doc__)
    serve = parser.add_subparsers(required=True).add_parser("serve", help=main.__doc__)
    serve.add_argument("folder", nargs="?", type=Path, default=Path("results"), help="folder of the results (results)")
    serve.add_argument("--port", type=int, default=PORT, help=f"port on this machine ({PORT}); 0 takes any free one")
    serve.add_argument("--no-browser", action="store_true", help="print the address without opening it")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        server = start_server(given.folder, given.port)
    except UserError as error:
        sys.exit(f"error: {error}")
    print(f"{server.address}\nCtrl C ends the server.", flush=True)
    if not given.no_browser:
        webbrowser.open(server.address)
    with server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
