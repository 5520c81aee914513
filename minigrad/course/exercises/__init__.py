"""The exercises: a folder each, with its text, its check, its wrong solutions and its picture."""
