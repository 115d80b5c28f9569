"""One file per language other than English; ``dashboard.language`` says what is in it."""
