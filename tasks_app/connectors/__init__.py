"""How to speak to the outside: one file a kind, one guarded door for all. No ORM, no Django."""
