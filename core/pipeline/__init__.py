"""What runs inside the subject: load, tokenize, embed, clean up, convert, and hand over to the database."""
