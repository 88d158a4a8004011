"""Fuzz what reads input of strangers, for a bounded time, guided by the code that each input reaches.

    python fuzz/run.py [--seconds 10] [TARGET ...]

Inputs that were found are kept in `build/fuzz/TARGET`, and the next run starts from them. An input that fails is
written to `build/fuzz/TARGET.crash-…`; `python fuzz/run.py --input FILE TARGET` runs it alone. Exits with 1 if an
input failed.
"""

import argparse
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import atheris

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "build/fuzz"
sys.path.append(str(ROOT / "tests"))  # for `support`, which tests and fuzz targets share
INPUT_BYTES_MAX = 8192
INPUT_SECONDS_MAX = 5
"""An input that takes longer is a fault: a stranger could make the server wait."""
MEMORY_MB_MAX = 2048
PROCESSES = 2


def fuzz(target: str, seconds: int) -> None:
    """Fuzz one target in this process, which libFuzzer ends."""
    with atheris.instrument_imports(include=["avowal", "sqlglot", "python_multipart", "markdown_it"]):
        from targets import TARGETS
    corpus = FOLDER / target
    atheris.Setup(
        [
            sys.argv[0],
            str(corpus),
            f"-max_total_time={seconds}",
            f"-max_len={INPUT_BYTES_MAX}",
            f"-timeout={INPUT_SECONDS_MAX}",
            f"-rss_limit_mb={MEMORY_MB_MAX}",
            f"-dict={FOLDER / target}.words",
            f"-artifact_prefix={FOLDER / target}.",
        ],
        TARGETS[target],
    )
    atheris.Fuzz()


def prepare(target: str) -> None:
    """Write the seeds and the words of a target where the fuzzer reads them."""
    from seeds import SEEDS, WORDS

    corpus = FOLDER / target
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS[target]):
        (corpus / f"seed-{number}").write_bytes(seed)
    escaped = ("".join(f"\\x{byte:02x}" for byte in word.encode()) for word in WORDS[target])
    (FOLDER / f"{target}.words").write_text("".join(f'"{word}"\n' for word in escaped))


def run(target: str, seconds: int) -> tuple[str, int, str]:
    """Fuzz a target in a process of its own. Returns its name, exit code and what it printed."""
    command = [sys.executable, __file__, "--process", target, "--seconds", str(seconds)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace")
    return target, done.returncode, done.stdout + done.stderr


def main() -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--seconds", type=int, default=10, help="how long each target is fuzzed")
    parser.add_argument("--input", type=Path, help="run the target on this file alone")
    parser.add_argument("--process", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.process:
        fuzz(options.process, options.seconds)
        return 0
    from targets import TARGETS

    if unknown := set(options.targets) - TARGETS.keys():
        parser.error(f"there is no target `{unknown.pop()}`; there are: {', '.join(TARGETS)}")
    if options.input:
        for target in options.targets:
            TARGETS[target](options.input.read_bytes())
        return 0
    chosen = options.targets or list(TARGETS)
    for target in chosen:
        prepare(target)
    failed = 0
    with ThreadPoolExecutor(PROCESSES) as pool:
        for target, code, printed in pool.map(lambda name: run(name, options.seconds), chosen):
            lines = printed.strip().splitlines()
            failed += code != 0
            print(f"{target}: {lines[-1] if code == 0 and lines else f'failed with {code}'}")
            if code:
                print("\n".join(lines[-40:]))
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
