"""The browser of the tests: Debian's Chromium, or the one that TONG_CHROMIUM names.

`python -m tests.support.pages.chromium` (run by `make test`) installs it where it is missing and may be installed;
elsewhere it says what to do and fails. No test is skipped for the lack of a browser.
"""

import os
import shutil
import subprocess
import sys
from typing import Final

NAMES: Final = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
PACKAGES: Final = ("chromium", "fonts-noto-cjk")
INSTALL_SECONDS: Final = 900


class ChromiumMissing(Exception):
    """There is no browser. The text says what to do."""


def executable() -> str:
    """Path of the browser. Raises ChromiumMissing."""
    for name in (os.environ.get("TONG_CHROMIUM", ""), *NAMES):
        found = shutil.which(name) if name else None
        if found is not None:
            return found
    raise ChromiumMissing(
        f"the browser tests need Chromium (Debian: apt-get install {' '.join(PACKAGES)}); TONG_CHROMIUM names another"
    )


def install() -> None:
    """Installs Debian's packages. Raises ChromiumMissing where that is not possible."""
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        executable()
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update"], ["apt-get", "install", "--yes", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
        if done.returncode != 0:
            raise ChromiumMissing(f"`{' '.join(command)}` failed:\n{(done.stdout + done.stderr)[-2_000:]}")


def main() -> int:
    """Exit status 0: there is a browser."""
    try:
        try:
            executable()
        except ChromiumMissing:
            print("tong: installing Chromium for the browser tests", file=sys.stderr)  # noqa: T201 - for the person
            install()
            executable()
    except ChromiumMissing as fault:
        print(f"tong: {fault}", file=sys.stderr)  # noqa: T201 - for the person
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
