"""What each kind of server says to a client that only wants to know whether it answers.

One module for each protocol, with one `ask(connection, spec)` that returns an empty string when the
server is ready, else a short sentence for people. Nothing here knows about services or retries.
"""
