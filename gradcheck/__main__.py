"""python -m gradcheck: the same as the command gradcheck."""

from gradcheck.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
