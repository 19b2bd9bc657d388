"""What each kind of server says to a client that only wants to know whether it answers.

One module for each protocol, with one `ask(connection, spec)` that returns an Answer, or raises
OSError when the server goes away. Nothing here knows about services or retries.
"""
