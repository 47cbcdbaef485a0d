"""Whether this machine has what cvdebug needs, tried for real where that is possible.

`examine` runs the checks of `registry`; each is a function from a `Machine` to an `Answer` and changes nothing that
lasts, except that the embedded server is started as a run would start it.
"""
