"""``python -m airlock_host``."""

from airlock_host.cli import main

if __name__ == "__main__":
    main()
