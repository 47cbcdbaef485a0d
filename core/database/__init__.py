"""PostgreSQL with pgvector: the embedded server, the table, the load, the index and the proof that they are right."""
