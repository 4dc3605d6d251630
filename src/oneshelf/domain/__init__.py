"""Pure rules of stock: no I/O, no clock, no randomness, no async."""
