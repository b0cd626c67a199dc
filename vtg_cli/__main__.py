"""python -m vtg_cli"""

from __future__ import annotations

import sys

from vtg_cli.cli import main

if __name__ == "__main__":
    sys.exit(main())
