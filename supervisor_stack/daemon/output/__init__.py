"""What services print, on its way to a file or to the journal, and what becomes of it there."""
