"""The real node: the core of `raft`, unchanged, on a disk, a clock and a network.

server    the driver: events in, effects carried out in their order
store     term, vote and log in SQLite
links     connections to the other members; frames and codec: what is said on them
clock     microseconds that never go back
expiry    locks that have run out
api       HTTP for clients; openapi: its description; client: a client in Python
trace     what the node did, line by line; recording: one recording of all nodes', to be judged
"""
