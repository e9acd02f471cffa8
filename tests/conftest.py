"""What holds for all tests: nobody's cache of compiled code is touched, and every run tries the same examples.

`HYPOTHESIS_PROFILE=search` draws new ones, to look for what nobody has found yet.
"""

import os

from hypothesis import settings

os.environ["RETRAP_CACHE"] = "off"

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
