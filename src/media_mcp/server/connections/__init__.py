"""The server's side of each connection: how many there may be, and how long one may dawdle."""
