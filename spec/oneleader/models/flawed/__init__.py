"""What goes wrong: models with a flaw that somebody shipped. They must be found violated.

`find("flawed/lease_from_receipt")` is MODEL of the file lease_from_receipt.py here: a flawed model is
added by adding a file. Each is a change of a sound one, or has a switch that removes the flaw: a
constant that says where the thing is done rightly, and of which a usual configuration says nothing.
"""
