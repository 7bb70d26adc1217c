"""What goes wrong: models with a flaw that somebody shipped, each with the switch that removes it.

`find("flawed/bully")` is MODEL of the file bully.py here: a flawed model is added by adding a file.
The switch is a constant that says where, or whether, the thing is done rightly. A configuration
that says nothing of it has the flaw, so `oneleader explore flawed/...` shows the counterexample.
"""
