"""Makes the helper modules of this folder importable (pytest's importlib mode does not)."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def update_golden() -> bool:
    """Whether golden files are to be rewritten: RETRAP_UPDATE_GOLDEN=1."""
    return os.environ.get("RETRAP_UPDATE_GOLDEN") == "1"
