"""What one service does on each event: short functions, one for each kind of move.

A move takes the record, the event, the time and a random number, and returns the next record with
the orders that go with it. Which move is made in which state, and where it may lead, stands in
`core/rules.py` and nowhere else. Nothing here looks at a clock or at another service.
"""
