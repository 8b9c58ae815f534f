"""``python -m ostiary.cli``."""

from ostiary.cli import main

if __name__ == "__main__":
    main()
