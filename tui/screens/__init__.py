"""The screens of the app: the main one, and those that ask or explain something on top of it."""
