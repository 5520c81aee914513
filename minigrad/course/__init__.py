"""The course: exercises on minigrad itself, that cannot be fooled.

A workspace is a copy of both packages with some functions empty. The student fills them; the checks stay here, in
the installed package, and run the student's functions in a process of their own. `table.py` lists the exercises,
`source.py` empties a function or grafts one in, `checking.py` finds the smallest failing case and the mistake it
looks like, `grading.py` grades each exercise alone.

In a workspace: `minigrad course watch`, `pytest -m ex02`, or `from course import check; check("ex02")`.
"""
