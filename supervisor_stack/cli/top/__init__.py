"""`stackctl top`: the stack live on a whole terminal. Only app.py and what it imports load textual."""
