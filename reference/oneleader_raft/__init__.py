"""The compact reference Raft.

Start reading in `raft`, the protocol: `step(node, event, now)` gives the node after the event, the models'
actions that it took and the effects that a driver must carry out.

`lease` and `fencing` are what keeps an old leader and an old holder from doing harm, `state_machine` what the
log is for. `cluster` runs servers by hand, `simulator` by time and chance; `safety` watches them, and `views`
tells a run in the words of a model. `node` is a server for real, and `locks` are for those who use one.
"""
