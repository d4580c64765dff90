"""`python -m couponctl`, the same as the `couponctl` script."""

from __future__ import annotations

from couponctl.cli import main

if __name__ == "__main__":
    main()
