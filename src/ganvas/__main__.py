"""The command `ganvas`, and `python -m ganvas`."""

import signal
import sys


def main() -> int:
    """Run one command and return its exit code.

    Ctrl-C while modules are imported, or while the interpreter ends, ends the process without a traceback.
    """
    # A shell lets programs in the background ignore it; then it stays ignored.
    heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if heard:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from ganvas.cli import main as run

    try:
        if heard:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return run()
    finally:
        if heard:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    sys.exit(main())
