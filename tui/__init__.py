"""Everything a person sees: the command line and the plain front end."""
