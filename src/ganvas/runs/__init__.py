"""train, resume, fork: the life of a run, and `Run`: a run directory, opened."""
