"""Lets the tests of this folder, and the campaign run as a script, import the oracles beside them by name."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
