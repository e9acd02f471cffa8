"""Packages are the checkout's root folders, installed below the `retrap` namespace; the trap path is compiled.

What every trap passes through is compiled ahead with mypyc when a wheel is built (`pip install .`,
`make compiled`), if a C compiler and Python's headers are at hand. Compiled and plain Python behave the same, to
the byte; `retrap --version` says which one is installed. `RETRAP_PURE=1` asks for plain Python, `RETRAP_COMPILE=1`
makes it an error that something cannot be compiled. An editable install (`make setup`) is always plain: modules
compiled beside their sources would go on running after the sources change.
"""

import os
import shlex
import shutil
import sys
import sysconfig
from multiprocessing.pool import ThreadPool
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError

ROOTS = ("machine", "kernel", "loader", "traces", "tools")

COMPILED = (
    "kernel/*.py",
    "kernel/abi/release.py",
    "kernel/objects/*.py",
    "machine/*.py",
    "machine/llvm/*.py",
    "tools/relaying.py",
    "tools/session.py",
    "traces/*.py",
)
"""What is compiled, by pattern."""

PLAIN = (
    ("*/__init__.py", "looks at the name under which it is imported"),
    ("machine/compiled.py", "speaks to mypyc only"),
    ("machine/llvm/arena.py", "ctypes"),
    ("machine/llvm/change.py", "run once, when there is no cache yet"),
    ("machine/llvm/compiler.py", "the library's types"),
    ("machine/llvm/helpers.py", "run once, at import"),
    ("machine/llvm/interpreter.py", "run once, when there is no cache yet"),
    ("machine/llvm/layout.py", "numbers"),
    ("machine/llvm/relay.py", "run once a process"),
    ("machine/llvm/store.py", "the disk"),
    ("machine/llvm/trampoline.py", "ctypes"),
    ("traces/schema.py", "declares formats to construct; not on the trap path"),
)
"""What is left out although a pattern above names it, each with the reason."""

DIRECT = ["-fvisibility=hidden", "-fno-semantic-interposition", "-fno-plt"]
"""For GCC and Clang: nobody outside replaces or calls these functions, so they call each other directly."""

WHEEL_COMMANDS = {"bdist_wheel", "build", "build_ext", "install"}

BUILD = Path("build/mypyc")


def sources():
    """The files to compile, as paths from here."""
    named = {path for pattern in COMPILED for path in Path().glob(pattern)}
    return sorted(path for path in named if not any(path.match(pattern) for pattern, _ in PLAIN))


def missing():
    """What a compilation lacks, as a sentence; the empty string if nothing."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
    if sys.implementation.name != "cpython":
        return "only CPython has extension modules of this kind"
    if shutil.which(compiler) is None:
        return f"there is no C compiler ({compiler})"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return "Python's headers are not installed (Debian: python3-dev)"
    return ""


def unavailable(why):
    """Go on without extensions, unless they were asked for."""
    if os.environ.get("RETRAP_COMPILE") == "1":
        sys.exit(f"retrap: cannot be compiled ahead: {why}")
    sys.stderr.write(f"retrap: stays plain Python: {why}\n")


def extensions():
    """The extension modules; none where they cannot or shall not be built."""
    if os.environ.get("RETRAP_PURE") == "1" or not WHEEL_COMMANDS & set(sys.argv):
        return []
    lack = missing()
    if lack:
        unavailable(lack)
        return []
    # mypy has to see the files by the names under which they are installed.
    tree = BUILD / "typed" / "retrap"
    tree.mkdir(parents=True, exist_ok=True)
    for root in ROOTS:
        link = tree / root
        if not link.is_symlink():
            link.symlink_to(Path("../../../..") / root)
    os.environ["MYPYPATH"] = str(tree.parent)
    options = ["--namespace-packages", "--explicit-package-bases", "--follow-imports=silent", "--no-incremental"]
    try:
        from mypyc.build import mypycify

        # One C file a module: they compile side by side, each in little memory.
        modules = mypycify(
            [*options, *(str(tree / path) for path in sources())],
            group_name="retrap", target_dir=str(BUILD), multi_file=True, opt_level="2", debug_level="0",
        )  # fmt: skip
        if os.name == "posix":
            for module in modules:
                module.extra_compile_args += DIRECT
        return modules
    except ImportError as error:
        unavailable(f"mypyc is not installed ({error})")
    except SystemExit:
        # It has printed what it does not accept; a checkout in the middle of a change has such places.
        unavailable("mypyc does not accept the sources")
    return []


class BuildAhead(build_ext):
    """Builds all extensions or none, because half of them would not import; side by side."""

    def run(self):
        try:
            super().run()
        except BaseError as error:
            unavailable(f"the C compiler failed ({error})")
            self.extensions.clear()
            for built in Path(self.build_lib).rglob("*.so"):
                built.unlink()

    def build_extensions(self):
        compile_files = self.compiler.compile

        def compile_side_by_side(files, *arguments, **options):
            with ThreadPool(os.cpu_count()) as pool:
                objects = pool.map(lambda file: compile_files([file], *arguments, **options), files)
            return [name for names in objects for name in names]

        self.compiler.compile = compile_side_by_side
        super().build_extensions()


packages = [
    f"retrap.{package}" for root in ROOTS for package in (root, *(f"{root}.{sub}" for sub in find_packages(root)))
]
setup(
    packages=packages,
    package_dir={package: package.removeprefix("retrap.").replace(".", "/") for package in packages},
    package_data={package: ["py.typed", "*.toml", "*.json"] for package in packages},
    ext_modules=extensions(),
    cmdclass={"build_ext": BuildAhead},
)
