"""python -m gradcheck: the same as the command gradcheck."""

from gradcheck._common.import_path import move_current_folder

if __name__ == "__main__":
    move_current_folder()  # before anything else is imported

from gradcheck.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
