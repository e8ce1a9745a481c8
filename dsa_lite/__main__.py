"""`python -m dsa_lite` is `dsa-lite`."""

from dsa_lite.cli import main

if __name__ == "__main__":
    main()
