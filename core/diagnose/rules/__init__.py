"""One file a class of hang: pure functions from evidence to a finding."""
