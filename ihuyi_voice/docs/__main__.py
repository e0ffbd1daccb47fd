"""Build the site: FOLDER/en and FOLDER/zh, warnings being errors."""

import sys
from pathlib import Path

from sphinx.cmd.build import main as sphinx

HERE = Path(__file__).parent


def build(language: str, out: Path) -> int:
    """Build the pages of one language and return Sphinx's exit code."""
    options = ["-q", "-W", "--keep-going", "-b", "html", "-t", language, "-c", str(HERE)]
    return sphinx(
        [*options, "-d", str(out / "cache" / language), str(HERE / language), str(out / language)]
    )


def main(arguments: list[str]) -> int:
    """Build both; the worse exit code counts."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m ihuyi_voice.docs FOLDER\n")
        return 2
    return max(build(language, Path(arguments[0])) for language in ("en", "zh"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
