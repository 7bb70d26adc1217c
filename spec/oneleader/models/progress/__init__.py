"""What the models come to, for any number of servers, and under which assumptions: one file each.

Each is proved by `oneleader prove progress/NAME`. An assumption that is left out is an obligation that fails.
"""
