"""How the server is watched: a line of the log for each transition, and figures for Prometheus."""
