"""The commands behind `minigrad`: one file each, found by the table in minigrad/cli.py."""
