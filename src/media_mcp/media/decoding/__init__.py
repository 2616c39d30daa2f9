"""Reads media that nobody vouches for, in a process of its own: `pool` asks, `__main__` answers.

Everything else in here opens such files, and is imported by that process alone. It holds no secret,
writes no file and may die: then the file it read is refused, and the next one gets a new process.
"""
