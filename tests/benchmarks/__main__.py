"""`make bench`: every benchmark, one after the other, each beside its peers in the same run."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main(chosen: list[str]) -> int:
    """Run ``bench_<name>`` for the names chosen, or all; return how many failed."""
    known = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
    unknown = set(chosen) - set(known)
    if unknown:
        sys.stderr.write(f"no such benchmark: {', '.join(unknown)}; there are {known}\n")
        return 2
    failed = 0
    for name in chosen or known:
        module = f"{__package__}.bench_{name}"
        failed += subprocess.run([sys.executable, "-m", module], check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
