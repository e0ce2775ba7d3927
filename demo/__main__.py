"""``make demo``: tell the story, then keep Airflow running until Ctrl-C.

``DEMO_EXIT=1`` ends it after the story; ``DEMO_AFTER`` names a Python module to be run before that.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from types import FrameType

from rich.console import Console

from demo.leftovers import end_leftovers
from demo.stack import PROJECT, AirflowStack, StackError
from demo.story import Story

HOME = PROJECT / ".demo"


def main() -> int:
    """Run the demo; returns the exit code."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    signal.signal(signal.SIGTERM, _as_interrupt)
    end_leftovers(HOME)
    shutil.rmtree(HOME, ignore_errors=True)
    stack = AirflowStack(HOME, port=_port("DEMO_PORT"), gateway_port=_port("DEMO_GATEWAY_PORT"))
    story = Story(stack, console, Path(os.environ["DEMO_MODELS_PYTHON"]))
    try:
        with stack:
            story.tell()
            story.say_where_to_look()
            if module := os.environ.get("DEMO_AFTER"):
                console.print(f"\nRunning {module} against the demo.")
                stack.run(
                    "python",
                    "-m",
                    module,
                    DEMO_URL=stack.url,
                    DEMO_GATEWAY=stack.gateway,
                    DEMO_PASSWORDS=json.dumps(stack.passwords),
                )
            if not os.environ.get("DEMO_EXIT"):
                console.print("\nCtrl-C ends it.")
                signal.pause()
    except KeyboardInterrupt:
        console.print("\nEnded; nothing is left running.")
    except StackError as error:
        console.print(f"[bold red]The demo failed.[/] {error}", highlight=False)
        console.print(f"Logs: {HOME.relative_to(PROJECT)}/logs")
        return 1
    return 0


def _port(variable: str) -> int | None:
    return int(os.environ[variable]) if variable in os.environ else None


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
