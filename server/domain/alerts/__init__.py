"""Alerts: one model, two dialects (CAP 1.2 and 国突), and the rules a message has to keep.

`model` is what an alert is; `reading` turns bytes into one, `cap` and `guotu` turn one into bytes; `grammar` is the
schema as data; `rules` is the table CAP-001..CAP-041.

On the desk an alert is a `desk.DeskAlert`: `states` says who may do what to it, `verbs` builds the next message of its
chain, `review` checks it, `release` makes its broadcast. Nothing here reads a clock, a file or a network.
"""
