"""All SQL. Nobody else talks to PostgreSQL."""
