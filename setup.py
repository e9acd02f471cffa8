"""Packages are the checkout's root folders, installed below the `retrap` namespace."""

from setuptools import find_packages, setup

ROOTS = ("machine", "kernel", "loader", "traces", "tools")

packages = [
    f"retrap.{package}" for root in ROOTS for package in (root, *(f"{root}.{sub}" for sub in find_packages(root)))
]
setup(
    packages=packages,
    package_dir={package: package.removeprefix("retrap.").replace(".", "/") for package in packages},
    package_data={package: ["py.typed", "*.toml", "*.json"] for package in packages},
)
