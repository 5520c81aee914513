"""Programs that the tests run in both worlds."""
