"""What holds for all tests: nobody's cache of compiled code is read or written."""

import os

os.environ["RETRAP_CACHE"] = "off"
