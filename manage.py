#!/usr/bin/env python
"""Run a management command; the embedded servers start on demand."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "budgetstudy.settings")
    from django.core.management import execute_from_command_line

    from budgetstudy.embedded import EmbeddedServerError, start_servers

    try:
        start_servers()
    except EmbeddedServerError as error:
        sys.exit(str(error))
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("Stopped.")
