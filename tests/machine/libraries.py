"""Real libraries from Debian's source packages, built here for ARM and Thumb, soft and hard float.

    python tests/machine/programs.py --libraries

downloads the sources with apt-get into a temporary directory (through lists of its own: nothing of the system is
changed; no rights are needed), builds a small user of each library (`programs/libraries/*_user.c`) together with
the library, statically, and compares like any other program. Nothing of it is kept. `--sources DIR` takes what
was downloaded before, and downloads there what is missing.
"""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

USERS = Path(__file__).with_name("programs") / "libraries"
SUITE = "bookworm"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class Unavailable(Exception):
    """The sources cannot be had here."""


@dataclass(frozen=True)
class Library:
    """A source package, what of it to compile, and how. Patterns are relative to its root."""

    package: str
    files: tuple[str, ...]
    include: tuple[str, ...]
    options: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    """Files to copy first: what a configure script would have made."""

    @property
    def user(self) -> Path:
        return USERS / f"{self.package.removeprefix('lib')}_user.c"


LIBRARIES = (
    Library("zlib", ("*.c",), (".",), ("-DZ_HAVE_UNISTD_H",)),
    Library("lz4", ("lib/lz4*.c", "lib/xxhash.c"), ("lib",), without=("lz4file.c",)),
    Library(
        "libtomcrypt",
        ("src/hashes/**/*.c", "src/ciphers/**/*.c", "src/misc/*.c", "src/misc/crypt/*.c"),
        ("src/headers",),
        ("-DLTC_SOURCE", "-DLTC_NO_FILE", "-DLTC_NO_PK", "-DLTC_NO_PKCS", "-DLTC_NO_PRNGS",
         "-DLTC_NO_MISC", "-DARGTYPE=4"),
        without=("*tab.c", "chc.c", "crypt.c", "crypt_inits.c", "crypt_constants.c", "crypt_sizes.c",
                 "crypt_register_all_*.c"),
    ),
    Library("cjson", ("cJSON.c",), (".",)),
    Library(
        "pcre2",
        ("src/pcre2_*.c",),
        ("src",),
        ("-DHAVE_CONFIG_H", "-DPCRE2_CODE_UNIT_WIDTH=8", "-DSUPPORT_UNICODE"),
        without=("pcre2_fuzzsupport.c", "pcre2_jit_match.c", "pcre2_jit_misc.c", "pcre2_jit_test.c",
                 "pcre2_dftables.c", "pcre2_printint.c", "pcre2_ucptables.c"),
        renamed=(("src/config.h.generic", "src/config.h"), ("src/pcre2.h.generic", "src/pcre2.h"),
                 ("src/pcre2_chartables.c.dist", "src/pcre2_chartables.c")),
    ),
)  # fmt: skip


def fetch(directory: Path, wanted: Iterable[Library]) -> dict[str, Path]:
    """The unpacked sources of each package, in `directory`. Raises `Unavailable`."""
    missing = [lib.package for lib in wanted if not list(directory.glob(f"{lib.package}_*.orig.tar.*"))]
    if missing:
        _download(directory, missing)
    roots = {}
    for library in wanted:
        root = directory / "unpacked" / library.package
        if not root.exists():
            (archive,) = directory.glob(f"{library.package}_*.orig.tar.*")
            root.mkdir(parents=True)
            with tarfile.open(archive) as tar:
                tar.extractall(root, filter="data")
        (top,) = root.iterdir()
        for made, name in library.renamed:
            shutil.copy(top / made, top / name)
        roots[library.package] = top
    return roots


def _download(directory: Path, packages: list[str]) -> None:
    if shutil.which("apt-get") is None:
        raise Unavailable("there is no apt-get to download Debian's sources with")
    apt = directory / "apt"
    for name in ("lists/partial", "cache/archives/partial"):
        (apt / name).mkdir(parents=True, exist_ok=True)
    signed = f"[signed-by={KEYRING}] " if Path(KEYRING).exists() else ""
    (apt / "sources.list").write_text(f"deb-src {signed}http://deb.debian.org/debian {SUITE} main\n")
    places = {
        "Dir::Etc::sourcelist": apt / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": apt / "lists",
        "Dir::Cache": apt / "cache",
        "APT::Sandbox::User": "",
    }
    options = [f"-o{name}={place}" for name, place in places.items()]
    for command in (["update"], ["source", "--download-only", *packages]):
        done = subprocess.run(
            ["apt-get", "-q", *options, *command], cwd=directory, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Unavailable(f"apt-get {command[0]} failed: {(done.stderr.strip() or done.stdout)[-300:]}")


def arguments(library: Library, root: Path) -> list[str]:
    """What to hand to the compiler besides its mode."""
    found = sorted(
        path
        for pattern in library.files
        for path in root.glob(pattern)
        if not any(path.match(but) for but in library.without)
    )
    include = [f"-I{root / place}" for place in library.include]
    files = [str(path) for path in found]
    return ["-w", *library.options, f"-I{USERS}", *include, str(library.user), *files]
