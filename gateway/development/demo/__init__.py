"""The demo group of `tong up`: its tour, its codes, its access."""
